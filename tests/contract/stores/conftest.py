"""Runs every suite of the stores on each of `DATABASES`; one more server needs one more fixture here and its name
there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from streams.documents.sale import SALE
from streams.local.real.postgres import Postgres
from streams.stores.row_digests import try_digests
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Database, Postgresql, Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.contract.stores.tsql_database import Tsql
from tests.tsql_server import TSQL, TsqlServer

DATABASES = ("sqlite", "postgresql", *TSQL)
collect_ignore = [] if TSQL else ["test_locked_rows_on_tsql.py"]


@pytest.fixture
def sqlite(tmp_path: Path) -> Sqlite:
    return Sqlite(tmp_path)


@pytest.fixture(scope="session")
def sales_on_postgres(postgres: Postgres) -> str:
    postgres.create_sales_database("stores")
    return "stores"


@pytest.fixture
def postgresql(postgres: Postgres, sales_on_postgres: str) -> Postgresql:
    return Postgresql(postgres, sales_on_postgres)


@pytest.fixture(scope="session")
def sales_on_tsql(tsql_server: TsqlServer) -> str:
    return tsql_server.create()


@pytest.fixture
def tsql(tsql_server: TsqlServer, sales_on_tsql: str) -> Tsql:
    return Tsql(tsql_server, sales_on_tsql)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> Database:
    chosen: Database = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
async def open_db(database: Database) -> AsyncIterator[Callable[..., Any]]:
    """Open the database for one more worker with ``await open_db(**settings)``."""
    async with AsyncExitStack() as opened:

        async def make(**changed: Any) -> SalesDb:
            db = SalesDb(database.settings(**changed))
            await db.open()
            await try_digests(db, [SALE])
            opened.push_async_callback(db.close)
            return db

        yield make


@pytest.fixture
async def db(open_db: Callable[..., Any]) -> SalesDb:
    opened: SalesDb = await open_db()
    return opened


@pytest.fixture
async def point_of_sale(database: Database, open_db: Callable[..., Any]) -> PointOfSale:
    """Open the database with the rights of the point of sale, which a worker does not have."""
    return PointOfSale(await open_db(**database.points_of_sale()))
