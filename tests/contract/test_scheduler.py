"""The scheduler on a real database: what is due is fed once, nothing is taken for lost too early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.documents.sale import SALE
from streams.domain.account import Account
from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import InDoubt, Reason
from streams.domain.reasons import Code
from streams.domain.retry_message import read_retry
from streams.domain.undecodable import Undecodable
from streams.pipeline.outage_gate import Admission
from streams.pipeline.scheduler import Scheduler
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import Till
from tests.support.scheduler_world import FAR, World, ids


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SalesDb]:
    db = SalesDb(Sqlite(tmp_path).settings(sweep_after=0.001, due_batch=4, due_interval=0.05))
    await db.open()
    yield db
    await db.close()


@pytest.fixture
def till(db: SalesDb) -> Till:
    return Till(db)


def scheduler(db: SalesDb, world: World) -> Scheduler:
    return Scheduler(
        Schedule(db, SALE),
        db._settings,
        document_type="sale",
        database="chain",
        lock=world,
        gate=Admission(world.gate, clock=lambda: 0.0),
        unfinished=world,
        publish=world.publish,
        accounts=SourceRows(db).accounts,
        still_refused=world.still_refused,
    )


async def test_a_due_document_is_enqueued_once_and_completely(db: SalesDb, till: Till) -> None:
    world = World()
    await till.sell(1)
    await till.sync(1, attempt=3, next_attempt_at=100, attempts_since=50)
    due = scheduler(db, world)
    await due.run_round()
    await due.run_round()
    assert world.fed == [SendRequest("sale", "chain", 1, "HD-1", "79-1", "SHOP-1", Origin.DUE, 50, 3)]


async def test_no_more_is_enqueued_than_workers_claim(db: SalesDb, till: Till) -> None:
    world = World()
    for number in range(1, 31):
        await till.sell(number, shop=f"SHOP-{number % 15}")
    await till.syncs(range(1, 31), attempt=1, next_attempt_at=100)
    due = scheduler(db, world)
    assert [await due.run_round() for _ in range(5)] == [True] * 5, "more is due"
    assert len(world.fed) == 8, "two batches, until something of them is claimed"
    for fed in (16, 24, 30):
        await till.run("UPDATE dbo.SaleSync SET owner = 'a worker' WHERE owner = 'due'")
        assert await due.run_round()
        assert await due.run_round(), "something is fed and not claimed yet"
        assert len(world.fed) == fed
    await till.run("UPDATE dbo.SaleSync SET owner = 'a worker' WHERE owner = 'due'")
    assert not await due.run_round(), "nothing is left"


async def test_at_most_half_a_batch_is_enqueued_for_one_shop(db: SalesDb, till: Till) -> None:
    """What is fed beyond what its shop's places take loses its patience and is put off: work for nothing."""
    world = World()
    await till.sell(*range(1, 11))
    await till.syncs(range(1, 11), attempt=1, next_attempt_at=100)
    due = scheduler(db, world)
    assert [await due.run_round() for _ in range(3)] == [True] * 3, "it is looked again soon"
    assert ids(world.fed) == [1, 2]
    await till.run("UPDATE dbo.SaleSync SET owner = 'a worker', next_attempt_at = NULL WHERE id = 1")
    await due.run_round()
    assert ids(world.fed) == [1, 2, 3]


async def test_a_long_list_of_unseen_rows_is_enrolled_without_waiting_for_the_next_sweep(tmp_path: Path) -> None:
    db = SalesDb(Sqlite(tmp_path).settings(sweep_after=60, due_batch=4))
    await db.open()
    till = Till(db)
    await till.sell(*range(1, 91))
    due = scheduler(db, World())
    for _ in range(3):  # forty at once, long before the next sweep's time
        await due.run_round()
    (row,) = await till.rows("SELECT COUNT(*) AS n FROM dbo.SaleSync")
    assert row["n"] == 90
    await db.close()


async def test_nothing_is_enqueued_while_the_gate_is_closed(db: SalesDb, till: Till) -> None:
    world = World()
    for shop in "AB":
        world.gate.ended(0, shop, InDoubt(Reason(Code.API_ERROR)))
    await till.sell(1)
    await till.sync(1, attempt=1, next_attempt_at=100)
    await scheduler(db, world).run_round()
    assert world.fed == []


async def test_an_event_is_taken_for_lost_only_when_no_older_event_is_unfinished(db: SalesDb, till: Till) -> None:
    world = World(oldest_unfinished=1000)
    await till.sell(1)
    await scheduler(db, world).run_round()
    due = scheduler(db, world)
    await due.run_round()
    assert world.fed == []
    world.oldest_unfinished = None
    await scheduler(db, world).run_round()
    assert ids(world.fed) == [1]
    assert world.fed[0].attempt == 0


async def test_a_shop_is_released_when_its_account_is_right(db: SalesDb, till: Till) -> None:
    world = World(refused={"wrong"})
    for id_, shop in enumerate(("MENDED", "WRONG", "NONE", "TWO"), 1):
        await till.sell(id_, shop=shop)
        await till.sync(id_, attempt=1, next_attempt_at=FAR, reason_code="login_refused")
    await till.open_account("MENDED", "a", "right")
    await till.open_account("WRONG", "b", "wrong")
    await till.open_account("TWO", "c", "right")
    await till.open_account("TWO", "d", "right")
    await scheduler(db, world).run_round()
    assert ids(world.fed) == [1]


async def test_only_the_owner_of_the_lock_enqueues_documents(db: SalesDb, till: Till) -> None:
    world = World(holds_the_lock=False)
    await till.sell(1)
    await till.sync(1, attempt=1, next_attempt_at=100)
    running = asyncio.create_task(scheduler(db, world).run())
    async with asyncio.timeout(10):
        while world.looked < 3:
            await asyncio.sleep(0.01)
        assert world.fed == []
        world.holds_the_lock = True
        while not world.fed:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ids(world.fed) == [1]


@pytest.mark.parametrize("junk", [None, b"", b"{}", b"\xff", b'{"schema_version": 9}'])
def test_a_message_that_is_not_a_retry_is_undecodable(junk: bytes | None) -> None:
    with pytest.raises(Undecodable):
        read_retry(junk)


def test_the_text_of_an_account_shows_no_secret() -> None:
    assert "hunter2" not in repr(Account("S", "u", SecretStr("hunter2")))
