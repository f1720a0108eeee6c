"""Tests that the mark of a copy is recognised on every server, and decides what a worker may do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from pydantic import HttpUrl

from streams.pipeline.rehearsal import NotPermitted, require_fitting_mark
from streams.settings import Settings
from streams.stores.copy_mark import CopyMark, read_copy_mark, real_accounts
from streams.stores.sales_db import SalesDb, StoreUnavailable, Transaction
from tests.contract.stores.databases import Database, Postgresql
from tests.support.marked_copy import SIMULATOR, mark_as_copy

REAL = HttpUrl("https://api.example/v1")


@pytest.fixture
async def owner(database: Database, open_db: Callable[..., Any]) -> SalesDb:
    opened: SalesDb = await open_db(**database.points_of_sale())
    return opened


def rehearsal(database: Database, **changed: Any) -> Settings:
    return database.settings(**{"national_api_url": HttpUrl(SIMULATOR), "topic_prefix": "rehearsal"} | changed)


async def test_a_database_without_the_mark_is_not_a_copy(database: Database, db: SalesDb) -> None:
    assert await read_copy_mark(db) is None
    await require_fitting_mark(db, database.settings(national_api_url=REAL))


async def test_the_mark_names_the_addresses_to_which_a_copy_may_be_sent(owner: SalesDb, db: SalesDb) -> None:
    await mark_as_copy(owner, f" {SIMULATOR}/", "http://LOCALHOST:8001")
    mark = await read_copy_mark(db)
    assert mark is not None
    assert set(mark.api_urls) == {SIMULATOR, "http://localhost:8001"}


async def test_a_mark_without_an_address_allows_none(database: Database, owner: SalesDb, db: SalesDb) -> None:
    await mark_as_copy(owner)
    assert await read_copy_mark(db) == CopyMark(())
    with pytest.raises(NotPermitted, match="may only be sent to no address"):
        await require_fitting_mark(db, rehearsal(database))


async def test_a_copy_is_sent_to_the_simulator_and_nowhere_else(
    database: Database, owner: SalesDb, db: SalesDb
) -> None:
    await mark_as_copy(owner, SIMULATOR)
    await require_fitting_mark(db, rehearsal(database))
    with pytest.raises(NotPermitted, match=r"only be sent to http://127.0.0.1:8000, and .* is https://api.example/v1"):
        await require_fitting_mark(db, rehearsal(database, national_api_url=REAL))


async def test_a_rehearsal_on_a_database_without_the_mark_is_refused(database: Database, db: SalesDb) -> None:
    with pytest.raises(NotPermitted, match="not marked as a copy: it may be the production database"):
        await require_fitting_mark(db, rehearsal(database))


async def test_a_mark_that_the_login_may_not_read_allows_nothing(postgresql: Postgresql) -> None:
    """Promise 3. Broken by: a mark that cannot be read counts as none, so the copy's sales are sent to the
    authority.
    """
    owner, worker = SalesDb(postgresql.settings(**postgresql.points_of_sale())), SalesDb(postgresql.settings())
    await owner.open()
    await worker.open()
    try:
        await mark_as_copy(owner, str(REAL), readable=False)
        assert await read_copy_mark(worker) == CopyMark(())
        with pytest.raises(NotPermitted, match="marked as a copy"):
            await require_fitting_mark(worker, postgresql.settings(national_api_url=REAL))
    finally:
        await worker.close()
        await owner.close()


async def test_a_mark_without_its_column_still_is_one(postgresql: Postgresql) -> None:
    with closing(postgresql.connect()) as owner:
        owner.execute("CREATE TABLE dbo.SaleSyncCopy (note TEXT); GRANT SELECT ON dbo.SaleSyncCopy TO PUBLIC")
    db = SalesDb(postgresql.settings())
    await db.open()
    try:
        assert await read_copy_mark(db) == CopyMark(())
    finally:
        await db.close()


async def test_a_database_that_goes_away_is_not_taken_for_one_without_a_mark(postgresql: Postgresql) -> None:
    db = SalesDb(postgresql.settings())
    await db.open()
    with postgresql.away(), pytest.raises(StoreUnavailable):
        await read_copy_mark(db)
    await db.close()


async def test_accounts_that_are_not_overwritten_are_counted(owner: SalesDb, db: SalesDb) -> None:
    rows = [("S-1", "rehearsal", "rehearsal"), ("S-2", "real", "rehearsal"), ("S-3", "rehearsal", "secret")]

    def add(tx: Transaction) -> None:
        for shop, account, password in rows:
            tx.execute(
                "INSERT INTO dbo.AccountShop (shop_pharmacy_code, account, password, status) VALUES (?, ?, ?, 1)",
                [shop, account, password],
            )
        tx.execute("INSERT INTO dbo.AccountShop (shop_pharmacy_code, status) VALUES ('S-4', 0)")

    await owner.transaction(add)
    assert await real_accounts(db) == 2
