from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.local.stack import LocalStack
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.page.visitor import Place
from tests.pipeline.pipeline import Pipeline


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def database(tmp_path: Path) -> Sqlite:
    return Sqlite(tmp_path)


@pytest.fixture
async def db(database: Sqlite) -> AsyncIterator[SalesDb]:
    db = SalesDb(database.settings())
    await db.open()
    yield db
    await db.close()


@pytest.fixture
def point_of_sale(db: SalesDb) -> PointOfSale:
    return PointOfSale(db)


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack


@pytest.fixture
async def pipeline(stack: LocalStack) -> AsyncIterator[Pipeline]:
    async with Pipeline(stack) as pipeline:
        yield pipeline
