"""Adds the page to a worker's web server."""

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
        worker_view: WorkerView,
        *,
        access: Access | None = None,
        cache_ttl: float = 2.0,
    ) -> None:
        """`document_types`: the first one has the shortest paths. `cache_ttl`: seconds for which the result of a query
        is reused, for all visitors.
        """
        self._page = Page(settings, document_types, worker_view, access=access, cache_ttl=cache_ttl)

    def add_to(self, app: web.Application) -> None:
        """Add the page below ``/page/``, and a redirect from ``/``. Has to be called before the server starts."""
        routes = web.RouteTableDef()
        Screens(self._page).add_to(routes)
        Actions(self._page).add_to(routes)
        app.add_subapp(PREFIX, self._page.application(routes))
        app.router.add_get("/", _redirect_to_page)
        app.router.add_get(PREFIX.rstrip("/"), _redirect_to_page)

    async def close(self) -> None:
        """Cancel running queries, and close the connections of the page."""
        await self._page.close()


async def _redirect_to_page(_: web.Request) -> web.Response:
    return web.Response(status=303, headers={"Location": PREFIX})
