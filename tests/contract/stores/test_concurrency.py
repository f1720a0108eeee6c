"""Tests several workers at one database at the same time; SQLite allows one writer, PostgreSQL all."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import pytest

from streams.documents.sale import SALE
from streams.domain.status_message import StatusMessage
from streams.stores.sales_db import SalesDb, StoreUnavailable, Transaction
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from streams.stores.sql_fragments import chunks
from streams.stores.sync_state import Claim, ClaimRequest, SyncState, SyncStates
from streams.stores.wait_for_database import until_available
from tests.contract.stores.databases import Database, Postgresql
from tests.contract.stores.point_of_sale import PointOfSale, accepted, pending, refused
from tests.support.decided_sales import decision_writer_on

OpenDb: TypeAlias = Callable[..., Awaitable[SalesDb]]

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


class Worker:
    """Claims what it reads as pending and free, and writes the decision at once: pending, and at last a final one."""

    def __init__(self, db: SalesDb, taken: Counter[tuple[int, int]]) -> None:
        self._rows = SourceRows(db)
        self._states = SyncStates(db, lease_ms=60_000)
        self._decisions = decision_writer_on(db)
        self._taken = taken

    async def go_through(self, ids: Sequence[int]) -> None:
        found = await until_available(lambda: self._rows.read(SALE, ids), "read")
        free = [(f.header["id"], f.state or SyncState()) for f in found if f and f.operation is not None]
        wants = [ClaimRequest(id_, state.attempt, None, 1, 0) for id_, state in free if not state.lease_until]
        claims = await until_available(lambda: self._states.claim(SALE.name, SALE.table, wants), "claim")
        obtained = [claim for claim in claims if claim]
        self._taken.update((claim.id, claim.attempt) for claim in obtained)
        decisions = [decision(claim.id, claim.attempt) for claim in obtained]
        if decisions:
            await until_available(lambda: self._decisions.apply(SALE.name, decisions), "write back")


def decision(id_: int, attempt: int) -> StatusMessage:
    return pending(id_, attempt, 1) if attempt < 3 else (accepted if id_ % 2 else refused)(id_, attempt)


async def race(open_db: OpenDb, point_of_sale: PointOfSale) -> None:
    ids = list(range(1, 121))
    await point_of_sale.sell(*ids)
    taken: Counter[tuple[int, int]] = Counter()
    shuffle = random.Random(11).shuffle
    going = True

    async def work(worker: Worker) -> None:
        while taken.total() < 3 * len(ids):
            shuffle(mine := ids.copy())
            await asyncio.gather(*(worker.go_through(part) for part in chunks(mine, 40)))

    async def schedule(db: SalesDb) -> None:
        due = Schedule(db, SALE)
        while going:
            await until_available(lambda: due.enroll(0, 50), "enroll")
            items = await until_available(lambda: due.due(50, 2**62), "see what is due")
            await until_available(partial(due.defer, {item.id: item.attempt for item in items}, 5), "put off")

    scheduler = asyncio.create_task(schedule(await open_db()))
    async with asyncio.timeout(60):
        await asyncio.gather(*[work(Worker(await open_db(), taken)) for _ in range(2)])
    going = False
    await scheduler

    assert taken == Counter({(id_, attempt): 1 for id_ in ids for attempt in (1, 2, 3)})
    rows = {row["id"]: row["status"] for row in await point_of_sale.rows("SELECT id, status FROM dbo.SalesInvoices")}
    assert rows == {id_: "SYNC_SUCCESS" if id_ % 2 else "SYNC_FAILED" for id_ in ids}
    states = await point_of_sale.rows(
        "SELECT attempt, published_attempt, lease_until, ever_accepted, id FROM dbo.SaleSync"
    )
    assert {(s["attempt"], s["published_attempt"], s["lease_until"]) for s in states} == {(3, 3, 0)}
    assert all(state["ever_accepted"] == state["id"] % 2 for state in states)


async def test_one_of_many_concurrent_claims_gets_each_attempt(open_db: OpenDb, point_of_sale: PointOfSale) -> None:
    await race(open_db, point_of_sale)


@on_postgresql
async def test_one_of_many_claims_gets_each_attempt_under_snapshot_isolation(
    database: Postgresql, open_db: OpenDb, point_of_sale: PointOfSale
) -> None:
    """A row that was changed meanwhile is then an error, as with SQL Server's snapshot isolation."""
    with database.run_isolated("repeatable read"):
        await race(open_db, point_of_sale)


@on_postgresql
@pytest.mark.parametrize("seen", [True, False])
async def test_a_claim_that_waited_for_another_to_commit_does_not_also_succeed(
    database: Postgresql, open_db: OpenDb, point_of_sale: PointOfSale, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    """This holds also where both of them create the row."""
    await point_of_sale.sell(1)
    if seen:
        await point_of_sale.sync(1)
    one, other = await open_db(), await open_db()
    all_done, may_commit = threading.Event(), threading.Event()
    transaction = one.transaction

    async def slow(work: Callable[[Transaction], Any]) -> Any:
        def held(tx: Transaction) -> Any:
            result = work(tx)
            all_done.set()
            assert may_commit.wait(20)
            return result

        return await transaction(held)

    def claim(db: SalesDb) -> asyncio.Task[list[Claim | None]]:
        states = SyncStates(db, lease_ms=60_000)
        return asyncio.create_task(states.claim(SALE.name, SALE.table, [ClaimRequest(1, 0, None, 1, 0)]))

    monkeypatch.setattr(one, "transaction", slow)
    first = claim(one)
    assert await asyncio.to_thread(all_done.wait, 20)
    second = claim(other)
    async with asyncio.timeout(10):
        while not database.is_waited_for():
            await asyncio.sleep(0.01)
    may_commit.set()
    assert [claim and claim.attempt for claim in (*await first, *await second)] == [1, None]


@on_postgresql
async def test_a_deadlock_ends_one_of_two_transactions_which_may_try_again(
    database: Database, open_db: OpenDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.syncs([1, 2])
    both_have_one = threading.Barrier(2)

    def raise_tries(first: int, second: int) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            tx.execute("UPDATE dbo.SaleSync SET tries = tries + 1 WHERE id = ?", [first])
            both_have_one.wait(20)
            tx.execute("UPDATE dbo.SaleSync SET tries = tries + 1 WHERE id = ?", [second])

        return work

    attempts: list[Any] = [(await open_db()).transaction(raise_tries(*ids)) for ids in ((1, 2), (2, 1))]
    (failure,) = filter(None, await asyncio.gather(*attempts, return_exceptions=True))
    assert isinstance(failure, StoreUnavailable)
    assert failure.state == "40P01"
    assert not failure.is_lock  # no row's trouble: write-back takes the whole batch again
    assert [(await point_of_sale.state(id_))["tries"] for id_ in (1, 2)] == [1, 1]


@pytest.mark.parametrize("hours_off", [-1, 1])
async def test_a_worker_with_a_wrong_clock_agrees_with_the_others(
    database: Database, open_db: OpenDb, point_of_sale: PointOfSale, hours_off: int
) -> None:
    """Leases, due times and delays of all workers are measured by the clock of the server."""
    await point_of_sale.sell(1, 2)
    db = SalesDb(database.settings(), clock=lambda: time.time() + hours_off * 3600)
    await db.open()
    right = await open_db()
    states, wrong_states = (SyncStates(one, lease_ms=60_000) for one in (right, db))
    schedule, wrong_schedule = Schedule(right, SALE), Schedule(db, SALE)
    try:
        assert abs(await db.now_ms() - await right.now_ms()) < 10_000
        (claim,) = await wrong_states.claim(SALE.name, SALE.table, [ClaimRequest(1, 0, "ab", 1, 1)])
        assert claim is not None
        assert abs(claim.lease_until - await right.now_ms() - 60_000) < 10_000
        assert await states.claim(SALE.name, SALE.table, [ClaimRequest(1, 1, "ab", 1, 1)]) == [None]
        await schedule.enroll(-10_000, 10)
        assert [due.id for due in await wrong_schedule.due(10, 2**62)] == [2]
        await wrong_schedule.defer({2: 0}, 60_000)
        assert await schedule.due(10, 2**62) == []
    finally:
        await db.close()
