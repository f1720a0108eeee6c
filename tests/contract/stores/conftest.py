"""Every suite runs on each of `DATABASES`; one more server is one more line there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Database, Sqlite
from tests.contract.stores.till import Till

DATABASES: dict[str, Callable[[Path], Database]] = {"sqlite": Sqlite}


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return DATABASES[request.param](tmp_path)


@pytest.fixture
async def open_db(database: Database) -> AsyncIterator[Callable[..., Any]]:
    """``await open_db(**settings)``: one more worker's access to the database."""
    async with AsyncExitStack() as opened:

        async def make(**changed: Any) -> SalesDb:
            db = SalesDb(database.settings(**changed))
            await db.open()
            opened.push_async_callback(db.close)
            return db

        yield make


@pytest.fixture
async def db(open_db: Callable[..., Any]) -> SalesDb:
    opened: SalesDb = await open_db()
    return opened


@pytest.fixture
def till(db: SalesDb) -> Till:
    return Till(db)
