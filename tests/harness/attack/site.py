"""The page on the worker's own bounded web server, on a real database, and its visitors."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientError, web

from streams.documents.sale import SALE
from streams.operators.page.access import Access
from streams.operators.page.routes import PageRoutes
from streams.operators.page.sign_in_attempts import SignInAttempts
from streams.runtime.web_server import BoundedRunner, Bounds
from streams.settings import Settings
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.harness.attack.arena import PAGE_TOKEN, SECRETS, Seen
from tests.page.visitor import Place, Visitor, visitor_of

SOON = 10.0
_IN_TIME = 20.0
"""Seconds, on a machine that others use too."""


@dataclass
class House:
    """One worker's page, and the point of sale behind it."""

    settings: Settings
    file: Path
    db: SalesDb
    point_of_sale: PointOfSale
    place: Place
    access: Access
    host: str
    """``address:port``"""
    seen: Seen

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    def contents(self) -> str:
        """Return all that the database has, schema and rows."""
        with closing(sqlite3.connect(self.file)) as connection:
            return "\n".join(connection.iterdump())

    async def signed_in(self, visitor: Visitor, name: str = "Lan") -> None:
        answer = await visitor.sign_in(name=name, token=PAGE_TOKEN)
        if answer.status != 303:
            raise AssertionError(f"signing in is answered {answer.status}")

    async def raw(self, sent: bytes, *, end: bool = False) -> bytes:
        """Return what is answered to these bytes until the server closes, or sends nothing more for now."""
        reader, writer = await asyncio.open_connection(*self.host.split(":"))
        answer = b""
        try:
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(SOON):
                    writer.write(sent)
                    if end:
                        writer.write_eof()
                    answer = await reader.read(1 << 20)
                    while more := await reader.read(1 << 20):
                        answer += more
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
        self.seen.look("page", answer.decode("latin-1"))
        return answer


@asynccontextmanager
async def served(
    folder: Path, seen: Seen, *, bounds: Bounds | None = None, access: Any = Access, **changed: Any
) -> AsyncIterator[House]:
    database = Sqlite(folder)
    settings = database.settings(**{name: SECRETS[name] for name in SECRETS if name != "sales_db_dsn"} | changed)
    db = SalesDb(settings)
    await db.open()
    try:
        place = Place()
        admits = access(settings)
        app = web.Application()
        site = PageRoutes(settings, (SALE,), place.view(settings, db), access=admits, cache_ttl=0)
        site.add_to(app)
        runner = BoundedRunner(app, bounds or Bounds(linger=0.1, shutdown=0.1))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
            host, port = runner.addresses[0][:2]
            file = settings.sales_db_attach
            assert file is not None
            yield House(settings, file, db, PointOfSale(db), place, admits, f"{host}:{port}", seen)
        finally:
            await runner.cleanup()
            await site.close()
    finally:
        await db.close()


def unhurried(settings: Settings) -> Access:
    """Let an hour pass between two codes, because an attack that is not about guessing need not wait."""
    hours = count()
    return Access(settings, attempts=SignInAttempts(lambda: next(hours) * 3600.0))


@asynccontextmanager
async def visited(house: House, name: str = "Lan") -> AsyncIterator[Visitor]:
    """Visit as somebody who has signed in."""
    async with visitor_of(house.origin) as visitor:
        await house.signed_in(visitor, name)
        yield visitor


async def is_answered(visitor: Visitor, path: str) -> str | None:
    """Say whether a signed-in visitor gets the page, perhaps after a moment; the answer "too busy" counts as locked
    out.
    """
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_IN_TIME):
            while True:
                answer, _ = await visitor.get(path)
                if answer.status == 200:
                    return None
                if answer.status != 503 or "Retry-After" in answer.headers:
                    return f"who is signed in is answered {answer.status}"
    except (TimeoutError, ClientError, OSError) as error:
        return f"after {time.perf_counter() - began:.1f} s who is signed in meets {type(error).__name__}"


def status_of(answer: bytes) -> int | None:
    """Return the status, or None for something that is not HTTP."""
    head = answer.split(b" ", 2)
    return int(head[1]) if len(head) > 1 and head[0].startswith(b"HTTP/1.") and head[1][:3].isdigit() else None
