"""The scheduler that polls, on a real database: what is new is announced once, and nothing else is taken for new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from streams.documents.sale import SALE
from streams.domain.change_event import Origin, SendRequest, read_change_event
from streams.domain.outcome import InDoubt, Reason
from streams.domain.reasons import Code
from streams.pipeline.outage_gate import Admission
from streams.pipeline.polling import Polling
from streams.pipeline.scheduler import Scheduler
from streams.runtime.outages import OUTAGES
from streams.stores.new_documents import NewDocuments
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.support.scheduler_world import World, ids

TOPIC = "pharmacy.chain.dbo.SalesInvoices"


@dataclass
class PolledWorld(World):
    """What the scheduler publishes: on the change topic, and on sale-retry."""

    announced: list[SendRequest] = field(default_factory=list)
    broker_refuses: set[int] = field(default_factory=set)

    async def publish_change(self, topic: str, key: bytes, value: bytes, _: Mapping[str, bytes]) -> None:
        assert topic == TOPIC
        request = read_change_event(value, {"salesinvoices": ("sale", "local_invoice_id")})
        assert isinstance(request, SendRequest)
        assert key == b'{"id": %d}' % request.id
        if request.id in self.broker_refuses:
            raise OSError("the broker is away")
        self.announced.append(request)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SalesDb]:
    db = SalesDb(Sqlite(tmp_path).settings(capture="polling", poll_interval=0.2, due_batch=4, due_interval=0.05))
    await db.open()
    yield db
    await db.close()


@pytest.fixture
def point_of_sale(db: SalesDb) -> PointOfSale:
    return PointOfSale(db)


@pytest.fixture
def world() -> PolledWorld:
    return PolledWorld()


@pytest.fixture
def scheduler(db: SalesDb, world: PolledWorld) -> Scheduler:
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
        polling=Polling(NewDocuments(db, SALE), db._settings, SALE, topic=TOPIC, publish=world.publish_change),
    )


async def poll(scheduler: Scheduler, rounds: int = 1) -> None:
    """Run rounds as if the interval had passed before each."""
    assert scheduler.polling is not None
    for _ in range(rounds):
        scheduler.polling._next = scheduler._enqueue_at = float("-inf")
        await scheduler.run_round()


async def test_a_sale_from_after_the_cut_over_is_announced_once_as_a_new_one(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale, db: SalesDb
) -> None:
    """Promise 1. Broken by: new sales are not asked for where nothing captures changes, so nobody ever sends them."""
    await poll(scheduler)
    await point_of_sale.sell(1, shop="SHOP-Đ")
    await poll(scheduler, rounds=3)
    [request] = world.announced
    assert (request.id, request.document_code, request.pharmacy_code) == (1, "HD-1", "79-1")
    assert (request.shop, request.database, request.origin) == ("SHOP-Đ", "chain", Origin.INSERTED)
    assert abs(request.captured_at_ms - await db.now_ms()) < 5000
    assert world.enqueued == []


async def test_what_was_there_at_the_cut_over_is_looked_up_first_and_not_waited_for(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    """Promise 3. Broken by: what was pending at the cut-over is taken for new and created without a look-up. Promise
    3. Broken by: what the scheduler enqueues late is taken for new although it was there at the cut-over.
    """
    await point_of_sale.sell(1, 2)
    await poll(scheduler, rounds=2)
    assert (sorted(ids(world.enqueued)), world.announced) == ([1, 2], [])
    assert {request.attempt for request in world.enqueued} == {0}


async def test_a_decided_sale_that_is_pending_again_is_not_taken_for_new(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    """Promise 1. Broken by: a poll leaves out a decided sale that is pending again."""
    await poll(scheduler)
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=2, published_attempt=2)
    await poll(scheduler)
    assert (ids(world.enqueued), world.announced) == ([1], [])


async def test_a_sale_without_a_code_cannot_be_announced_and_takes_the_other_way(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    await poll(scheduler)
    await point_of_sale.sell(1, shop="")
    await point_of_sale.sell(2)
    scheduler._swept_at = 0
    await poll(scheduler)
    assert ids(world.announced) == [2]
    await point_of_sale.run("UPDATE dbo.SaleSync SET next_attempt_at = 5 WHERE document_type = 'sale' AND id = 1")
    await poll(scheduler)
    assert ids(world.enqueued) == [1]


async def test_an_announcement_that_nobody_claims_is_made_again_and_still_of_a_new_sale(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    await poll(scheduler)
    await point_of_sale.sell(1)
    await poll(scheduler)
    await point_of_sale.run("UPDATE dbo.SaleSync SET next_attempt_at = 5 WHERE document_type = 'sale'")
    await poll(scheduler, rounds=2)
    assert ids(world.announced) == [1, 1]
    assert world.enqueued == []


async def test_what_the_broker_does_not_confirm_delays_no_other_and_is_announced_later(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    """Promise 5. Broken by: what the broker does not confirm keeps the other sales of the poll from being announced."""
    await poll(scheduler)
    await point_of_sale.sell(1, 2, 3)
    world.broker_refuses = {2}
    await poll(scheduler)
    assert ids(world.announced) == [1, 3]
    assert [(each.part, each.holds_up_sales) for each in OUTAGES.current()] == [("polling", True)]
    world.broker_refuses = set()
    await point_of_sale.run("UPDATE dbo.SaleSync SET next_attempt_at = 5 WHERE document_type = 'sale' AND id = 2")
    await poll(scheduler, rounds=2)
    assert ids(world.announced) == [1, 3, 2]
    assert list(OUTAGES.current()) == []


async def test_only_so_much_is_announced_as_is_worked_on_and_shops_take_turns(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    """Promise 5. Broken by: all that is new is announced at once, so one shop's many sales are ahead of all others."""
    await poll(scheduler)
    await point_of_sale.sell(*range(1, 31), shop="BIG")
    await point_of_sale.sell(31, shop="SMALL")
    await poll(scheduler)
    assert ids(world.announced) == [1, 31, 2, 3]
    await poll(scheduler, rounds=5)
    assert len(world.announced) == 8, "two batches, until something of them is claimed"
    await point_of_sale.run("UPDATE dbo.SaleSync SET owner = 'a worker' WHERE owner = 'new'")
    await poll(scheduler)
    assert len(world.announced) == 12


async def test_a_backlog_of_retries_delays_no_new_sale(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    await poll(scheduler)
    await point_of_sale.sell(*range(1, 101))
    await point_of_sale.syncs(range(1, 101), attempt=1, next_attempt_at=5, attempts_since=1)
    await poll(scheduler, rounds=5)
    await point_of_sale.sell(101)
    await poll(scheduler)
    assert ids(world.announced) == [101]


async def test_a_backlog_from_before_the_cut_over_delays_no_new_sale(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(*range(1, 101))
    await scheduler.polling._documents.mark()  # type: ignore[union-attr]
    await point_of_sale.sell(101)
    await poll(scheduler)
    assert ids(world.announced) == [101]


async def test_the_sweep_leaves_what_is_new_to_the_polls(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    """A sale that is committed between a poll and the sweep would otherwise wait behind its shop's backlog."""
    await poll(scheduler)
    await point_of_sale.sell(1)
    await scheduler._sweep()
    assert await point_of_sale.state(1) == {}
    await poll(scheduler)
    assert ids(world.announced) == [1]


async def test_while_the_gate_is_closed_nothing_is_announced_and_afterwards_it_is_still_known_as_new(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    """Promise 6. Broken by: new sales are announced while the gate is closed."""
    await poll(scheduler)
    for shop in "AB":
        world.gate.ended(0, shop, InDoubt(Reason(Code.API_ERROR)))
    await point_of_sale.sell(1)
    scheduler._swept_at = float("-inf")
    await poll(scheduler)
    assert world.announced == []
    assert await point_of_sale.state(1), "it is enrolled: should somebody change its status by hand, that is seen"
    world.gate.closed_since = None
    await poll(scheduler)
    assert (ids(world.announced), world.enqueued) == ([1], [])


async def test_a_large_backlog_makes_polls_less_frequent(scheduler: Scheduler) -> None:
    polling = scheduler.polling
    assert polling is not None
    polling._took.extend([0.005] * 5)
    assert polling.pause == pytest.approx(0.2)
    polling._took.extend([0.1] * 4)
    assert polling.pause == pytest.approx(0.2), "one that was quick shows that the others only had to wait"
    polling._took.append(0.1)
    assert polling.pause == pytest.approx(2)
    polling._took.extend([3.0] * 5)
    assert polling.pause == pytest.approx(15)


async def test_only_the_scheduler_that_holds_the_lock_polls(
    scheduler: Scheduler, world: PolledWorld, point_of_sale: PointOfSale
) -> None:
    world.holds_the_lock = False
    await point_of_sale.run("INSERT INTO dbo.SaleSync (document_type, id) VALUES ('sale:new', 0)")
    await point_of_sale.sell(1)
    running = asyncio.create_task(scheduler.run())
    async with asyncio.timeout(10):
        while world.looked < 3:
            await asyncio.sleep(0.01)
        assert world.announced == []
        world.holds_the_lock = True
        while not world.announced:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ids(world.announced) == [1]
