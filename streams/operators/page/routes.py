"""The page, put upon a worker's web server."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from streams.documents.document import DocumentType
from streams.operators.page.access import Access
from streams.operators.page.actions import Actions
from streams.operators.page.page import PREFIX, Page
from streams.operators.page.screens import Screens
from streams.operators.page.worker_view import WorkerView
from streams.settings import Settings


class PageRoutes:
    def __init__(
        self,
        settings: Settings,
        document_types: Sequence[DocumentType],
        sight: WorkerView,
        *,
        access: Access | None = None,
        every: float = 2.0,
    ) -> None:
        """`document_types`: the first is shown first. `every`: seconds for which an answer of the database is good for
        all who look."""
        self._page = Page(settings, document_types, sight, access=access, every=every)

    def add_to(self, app: web.Application) -> None:
        """Below ``/page/``; ``/`` leads there. To be called before the server starts."""
        routes = web.RouteTableDef()
        Screens(self._page).add_to(routes)
        Actions(self._page).add_to(routes)
        app.add_subapp(PREFIX, self._page.application(routes))
        app.router.add_get("/", _to_the_page)
        app.router.add_get(PREFIX.rstrip("/"), _to_the_page)

    async def close(self) -> None:
        await self._page.close()


async def _to_the_page(_: web.Request) -> web.Response:
    return web.Response(status=303, headers={"Location": PREFIX})
