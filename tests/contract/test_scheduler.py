"""Tests the scheduler on a real database: due documents are enqueued once, and no event is taken for lost too
early.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streams.documents.sale import SALE
from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import InDoubt, Reason
from streams.domain.reasons import Code
from streams.pipeline.outage_gate import Admission
from streams.pipeline.scheduler import Scheduler
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.support.scheduler_world import FAR, World, ids


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SalesDb]:
    db = SalesDb(Sqlite(tmp_path).settings(sweep_after=0.001, due_batch=4, due_interval=0.05))
    await db.open()
    yield db
    await db.close()


@pytest.fixture
def point_of_sale(db: SalesDb) -> PointOfSale:
    return PointOfSale(db)


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


async def test_a_due_document_is_enqueued_once_and_completely(db: SalesDb, point_of_sale: PointOfSale) -> None:
    world = World()
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=3, next_attempt_at=100, attempts_since=50)
    due = scheduler(db, world)
    await due.run_round()
    await due.run_round()
    assert world.enqueued == [SendRequest("sale", "chain", 1, "HD-1", "79-1", "SHOP-1", Origin.DUE, 50, 3)]


async def test_no_more_is_enqueued_than_workers_claim(db: SalesDb, point_of_sale: PointOfSale) -> None:
    world = World()
    for number in range(1, 31):
        await point_of_sale.sell(number, shop=f"SHOP-{number % 15}")
    await point_of_sale.syncs(range(1, 31), attempt=1, next_attempt_at=100)
    due = scheduler(db, world)
    assert [await due.run_round() for _ in range(5)] == [True] * 5, "more is due"
    assert len(world.enqueued) == 8, "two batches, until something of them is claimed"
    for enqueued in (16, 24, 30):
        await point_of_sale.run("UPDATE dbo.SaleSync SET owner = 'a worker' WHERE owner = 'due'")
        assert await due.run_round()
        assert await due.run_round(), "something is fed and not claimed yet"
        assert len(world.enqueued) == enqueued
    await point_of_sale.run("UPDATE dbo.SaleSync SET owner = 'a worker' WHERE owner = 'due'")
    assert not await due.run_round(), "nothing is left"


async def test_at_most_half_a_batch_is_enqueued_for_one_shop(db: SalesDb, point_of_sale: PointOfSale) -> None:
    """What is enqueued beyond the places of its shop only becomes overdue and is deferred, which is wasted work."""
    world = World()
    await point_of_sale.sell(*range(1, 11))
    await point_of_sale.syncs(range(1, 11), attempt=1, next_attempt_at=100)
    due = scheduler(db, world)
    assert [await due.run_round() for _ in range(3)] == [True] * 3, "it is looked again soon"
    assert ids(world.enqueued) == [1, 2]
    await point_of_sale.run("UPDATE dbo.SaleSync SET owner = 'a worker', next_attempt_at = NULL WHERE id = 1")
    await due.run_round()
    assert ids(world.enqueued) == [1, 2, 3]


async def test_a_long_list_of_unseen_rows_is_enrolled_without_waiting_for_the_next_sweep(tmp_path: Path) -> None:
    db = SalesDb(Sqlite(tmp_path).settings(sweep_after=60, due_batch=4))
    await db.open()
    point_of_sale = PointOfSale(db)
    await point_of_sale.sell(*range(1, 91))
    due = scheduler(db, World())
    for _ in range(3):  # forty at once, long before the next sweep's time
        await due.run_round()
    (row,) = await point_of_sale.rows("SELECT COUNT(*) AS n FROM dbo.SaleSync")
    assert row["n"] == 90
    await db.close()


async def test_nothing_is_enqueued_while_the_gate_is_closed(db: SalesDb, point_of_sale: PointOfSale) -> None:
    world = World()
    for shop in "AB":
        world.gate.ended(0, shop, InDoubt(Reason(Code.API_ERROR)))
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=1, next_attempt_at=100)
    await scheduler(db, world).run_round()
    assert world.enqueued == []


async def test_an_event_is_taken_for_lost_only_when_no_older_event_is_unfinished(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    world = World(oldest_unfinished=1000)
    await point_of_sale.sell(1)
    await scheduler(db, world).run_round()
    due = scheduler(db, world)
    await due.run_round()
    assert world.enqueued == []
    world.oldest_unfinished = None
    await scheduler(db, world).run_round()
    assert ids(world.enqueued) == [1]
    assert world.enqueued[0].attempt == 0


async def test_a_shop_is_released_when_its_account_is_right(db: SalesDb, point_of_sale: PointOfSale) -> None:
    world = World(refused={"wrong"})
    for id_, shop in enumerate(("MENDED", "WRONG", "NONE", "TWO"), 1):
        await point_of_sale.sell(id_, shop=shop)
        await point_of_sale.sync(id_, attempt=1, next_attempt_at=FAR, reason_code="login_refused")
    await point_of_sale.open_account("MENDED", "a", "right")
    await point_of_sale.open_account("WRONG", "b", "wrong")
    await point_of_sale.open_account("TWO", "c", "right")
    await point_of_sale.open_account("TWO", "d", "right")
    await scheduler(db, world).run_round()
    assert ids(world.enqueued) == [1]


async def test_only_the_owner_of_the_lock_enqueues_documents(db: SalesDb, point_of_sale: PointOfSale) -> None:
    world = World(holds_the_lock=False)
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=1, next_attempt_at=100)
    running = asyncio.create_task(scheduler(db, world).run())
    async with asyncio.timeout(10):
        while world.looked < 3:
            await asyncio.sleep(0.01)
        assert world.enqueued == []
        world.holds_the_lock = True
        while not world.enqueued:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ids(world.enqueued) == [1]
