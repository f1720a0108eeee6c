"""A page on a database of its own, without a worker, and a visitor over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, ClientSession, CookieJar, web
from aiohttp.test_utils import BaseTestServer, TestServer

from streams.documents.document import DocumentType
from streams.documents.sale import SALE
from streams.monitoring.health import ready
from streams.operators.desk.desk import Desk
from streams.operators.page.access import Access
from streams.operators.page.routes import PageRoutes
from streams.operators.page.worker_view import LastPoll, WorkerView
from streams.pipeline.outage_gate import Admission, OutageGate
from streams.runtime.outages import Outages
from streams.settings import Settings
from streams.stores.sales_db import SalesDb

CODE = "ma-cua-may-nay-day"
"""That the worker has made for itself."""


class HistoryReader:
    """Stands in for `streams.stores.journal.Journal`, which is tested on real servers."""

    def __init__(self) -> None:
        self.decisions: list[Mapping[str, Any]] = []

    async def history(
        self, document_type: str, pharmacy_code: str, document_code: str, most: int
    ) -> list[Mapping[str, Any]]:
        return self.decisions


class Place:
    """What the page shows, to be changed by a test."""

    def __init__(self) -> None:
        self.carried: set[str] | None = None
        """The names of the document types that the worker carries; None for all."""
        self.outages = Outages()
        self.admission = Admission(OutageGate(5, 50))
        self.connector: tuple[bool, bool | None] | None = (True, True)
        self.polls = False
        self.polled: LastPoll | None = None
        self.histories = HistoryReader()
        self.closed = 0
        self.server: BaseTestServer | None = None
        self.desk: Any = None
        """In the place of the real one."""

    def view(self, settings: Settings, db: SalesDb | None) -> WorkerView:
        async def connector() -> tuple[bool, bool | None] | None:
            return self.connector

        def desk(document_type: DocumentType) -> Desk | None:
            if self.desk is not None:
                stand_in: Desk = self.desk
                return stand_in
            return Desk(settings, db, document_type, self.histories) if db else None

        def close() -> None:
            self.closed += 1

        return WorkerView(
            desk=desk,
            health=lambda: ready(self.outages, []),
            admission=self.admission,
            connector=connector,
            has_connector=True,
            capture_delay=lambda _: 2.0,
            close=close,
            carries=lambda kind: self.carried is None or kind.name in self.carried,
            polled=(lambda _: self.polled) if self.polls else None,
        )


class Visitor:
    """Keeps one browser's cookies, and follows no redirects."""

    def __init__(self, session: ClientSession, origin: str) -> None:
        """Visit the worker at `origin`, ``http://host:port``."""
        self.session = session
        self.origin = origin

    async def get(self, path: str = "", **headers: str) -> tuple[ClientResponse, str]:
        answer = await self.session.get(f"{self.origin}/page/{path}", headers=headers, allow_redirects=False)
        return answer, await answer.text()

    async def form(self, path: str = "", **headers: str) -> str:
        """Return the token that forms must carry."""
        _, text = await self.get(path, **headers)
        found = re.search(r'name="form" value="([^"]+)"', text)
        assert found, text
        return found[1]

    async def post(
        self, path: str, fields: Mapping[str, str] | list[tuple[str, str]], **headers: str
    ) -> tuple[ClientResponse, str]:
        sent = {"Origin": self.origin} | headers
        answer = await self.session.post(f"{self.origin}/page/{path}", data=fields, headers=sent, allow_redirects=False)
        return answer, await answer.text()

    async def sign_in(self, name: str = "Lan", token: str = CODE) -> ClientResponse:
        answer, _ = await self.post("sign-in", {"form": await self.form(), "name": name, "token": token})
        return answer


@asynccontextmanager
async def visiting(
    settings: Settings,
    place: Place,
    db: SalesDb | None = None,
    document_types: Sequence[DocumentType] = (SALE,),
    access: Access | None = None,
) -> AsyncIterator[Visitor]:
    app = web.Application()
    access = access or Access(settings, generate_code=lambda: CODE)
    site = PageRoutes(settings, document_types, place.view(settings, db), access=access, cache_ttl=0)
    site.add_to(app)
    async with TestServer(app) as server:
        place.server = server
        async with visitor_of(str(server.make_url("")).rstrip("/")) as visitor:
            yield visitor
    await site.close()


@asynccontextmanager
async def visitor_of(origin: str) -> AsyncIterator[Visitor]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield Visitor(session, origin)
