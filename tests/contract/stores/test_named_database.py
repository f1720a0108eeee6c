"""Tests that a worker that polls compares the database that it is connected to with the one that its settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from streams.pipeline.source_database import AnotherDatabase, require_named_database
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Postgresql, Sqlite

OTHER = "pharmacy.chain.dbo.SalesInvoices"


@pytest.fixture
async def open_postgresql(postgresql: Postgresql) -> AsyncIterator[SalesDb]:
    db = SalesDb(postgresql.settings())
    await db.open()
    yield db
    await db.close()


@pytest.mark.parametrize("topic", ["pharmacy.stores.dbo.SalesInvoices", "north.Stores.dbo.SalesInvoices"])
async def test_the_database_that_the_settings_name_is_accepted_in_any_case(
    postgresql: Postgresql, open_postgresql: SalesDb, topic: str
) -> None:
    settings = postgresql.settings(capture="polling", sales_change_topic=topic)
    await require_named_database(open_postgresql, settings)


async def test_another_database_is_refused_where_no_event_would_name_it(
    postgresql: Postgresql, open_postgresql: SalesDb
) -> None:
    """Promise 2. Broken by: with settings that were copied for a second database, the two take each other's sales for
    their own.
    """
    with pytest.raises(AnotherDatabase, match=r"is 'stores', and SALES_CHANGE_TOPIC names 'chain'"):
        await require_named_database(open_postgresql, postgresql.settings(capture="polling", sales_change_topic=OTHER))
    await require_named_database(open_postgresql, postgresql.settings(sales_change_topic=OTHER))


async def test_a_server_without_names_of_databases_is_accepted(sqlite: Sqlite) -> None:
    db = SalesDb(sqlite.settings())
    await db.open()
    try:
        await require_named_database(db, sqlite.settings(capture="polling", sales_change_topic=OTHER))
    finally:
        await db.close()
