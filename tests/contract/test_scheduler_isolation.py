"""Tests that the scheduler goes on with the rest of its round when a part of it fails with any error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from streams.documents.sale import SALE
from streams.domain.account import Account
from streams.local.real.postgres import Postgres
from streams.pipeline.outage_gate import Admission
from streams.pipeline.scheduler import Scheduler
from streams.runtime.outages import OUTAGES
from streams.stores.sales_db import SalesDb, StoreUnavailable, Transaction
from streams.stores.schedule import Schedule
from tests.contract.stores.databases import Postgresql, Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.support.scheduler_world import FAR, World, ids

R = TypeVar("R")
HALF_AN_EMOJI = "CAST(X'4844EDA0BC' AS TEXT)"
LOCK = StoreUnavailable("42000", 1222)
ODD = [LOCK, UnicodeDecodeError("utf-16-le", b"", 0, 1, "Nguyễn"), ValueError("Nguyễn"), KeyError("Nguyễn")]
SETTINGS: Mapping[str, Any] = {"sweep_after": 0.001, "due_batch": 10, "due_interval": 0.01}


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SalesDb]:
    db = SalesDb(Sqlite(tmp_path).settings(**SETTINGS))
    await db.open()
    yield db
    await db.close()


class Poisoned(Schedule):
    """Raises an error for some queries."""

    def __init__(self, db: SalesDb, raised: Mapping[str, Exception]) -> None:
        super().__init__(db, SALE)
        self.raised = dict(raised)

    def _or_raise(self, question: str) -> None:
        if question in self.raised:
            raise self.raised[question]

    async def enroll(self, after_ms: int, limit: int, up_to: int = 2**62) -> int:
        self._or_raise("enroll")
        return await super().enroll(after_ms, limit, up_to)

    async def shops_waiting_for_accounts(self, reasons: Sequence[str], most: int) -> list[str]:
        self._or_raise("shops_waiting_for_accounts")
        return await super().shops_waiting_for_accounts(reasons, most)

    async def forget_old_refusals(self, keep_ms: int, most: int) -> int:
        self._or_raise("forget_old_refusals")
        return await super().forget_old_refusals(keep_ms, most)

    async def enqueued_and_unclaimed(self) -> int:
        self._or_raise("fed_and_unclaimed")
        return await super().enqueued_and_unclaimed()


def scheduler(
    db: SalesDb,
    world: World,
    schedule: Schedule | None = None,
    *,
    accounts: Callable[[Sequence[str]], Awaitable[list[list[Account]]]] | None = None,
    publish: Callable[[bytes, bytes, Mapping[str, bytes]], Awaitable[None]] | None = None,
) -> Scheduler:
    async def none(shops: Sequence[str]) -> list[list[Account]]:
        return [[] for _ in shops]

    made = Scheduler(
        schedule or Schedule(db, SALE),
        db._settings,
        document_type="sale",
        database="chain",
        lock=world,
        gate=Admission(world.gate, clock=lambda: 0.0),
        unfinished=world,
        publish=publish or world.publish,
        accounts=accounts or none,
        still_refused=world.still_refused,
    )
    _made.append(made)
    return made


_made: list[Scheduler] = []


@pytest.fixture(autouse=True)
def _nothing_is_left_declared() -> Iterator[None]:
    yield
    while _made:
        made = _made.pop()
        for guard in made._guards:
            guard.end()
        made._out_of_reach.end()


def outages() -> list[str]:
    return [wait.what for wait in OUTAGES.current() if wait.part == "due"]


@pytest.mark.parametrize("part", ["enroll", "shops_waiting_for_accounts", "forget_old_refusals"])
@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
async def test_a_failing_part_of_the_scheduler_is_logged_once_and_due_documents_are_enqueued(
    db: SalesDb, part: str, error: Exception
) -> None:
    """Promise 5. Broken by: one uncommitted insert of a point of sale stops the retries of all shops.
    Promise 5. Broken by: one account that raises stops the retries of all shops.
    Promise 5. Broken by: one old refusal that cannot be forgotten stops the retries of all shops.
    Promise 7. Broken by: the log has the text of a library's error.
    """
    point_of_sale, world = PointOfSale(db), World()
    schedule = Poisoned(db, {part: error})
    due = scheduler(db, world, schedule)
    await point_of_sale.sell(1, 2)
    await point_of_sale.sync(1, attempt=1, next_attempt_at=5)
    with capture_logs() as logs:
        await due.run_round()
        due._swept_at = due._checked_accounts_at = due._deleted_at = float("-inf")
        await due.run_round()
        assert ids(world.enqueued)[0] == 1
        assert len(outages()) == 1
        schedule.raised.clear()
        due._swept_at = due._checked_accounts_at = due._deleted_at = float("-inf")
        await due.run_round()
    events = [line["event"] for line in logs if line["event"].startswith("service.")]
    assert events == ["service.part_failed", "service.part_works_again"]
    assert outages() == []
    assert "Nguyễn" not in str(logs)


async def test_a_failure_to_enqueue_does_not_keep_new_rows_from_being_enrolled(db: SalesDb) -> None:
    point_of_sale = PointOfSale(db)
    await point_of_sale.sell(1)
    due = scheduler(db, World(), Poisoned(db, {"fed_and_unclaimed": ODD[1]}))
    with capture_logs():
        assert not await due.run_round()
    assert await point_of_sale.state(1)


async def test_no_event_is_taken_for_lost_while_the_progress_is_unknown(db: SalesDb) -> None:
    """Promise 3. Broken by: where nobody knows how far the events are worked through, all of them are taken for
    lost."""

    class Blind(World):
        async def finished_before_ms(self) -> int | None:
            raise RuntimeError

    point_of_sale, world = PointOfSale(db), Blind()
    await point_of_sale.sell(1, 2)
    await point_of_sale.sync(1, attempt=1, next_attempt_at=5)
    due = scheduler(db, world)
    with capture_logs():
        for _ in range(3):
            due._swept_at = float("-inf")
            await due.run_round()
    assert ids(world.enqueued) == [1]


async def test_the_scheduler_continues_whatever_its_lock_raises(db: SalesDb) -> None:
    """Promise 1. Broken by: what one part raises ends the scheduler."""

    class Stumbling(World):
        async def acquire_or_renew(self) -> bool:
            self.looked += 1
            if self.looked < 3:
                raise ValueError("Nguyễn")
            return True

    point_of_sale, world = PointOfSale(db), Stumbling()
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=1, next_attempt_at=5)
    with capture_logs() as logs:
        running = asyncio.create_task(scheduler(db, world).run())
        async with asyncio.timeout(10):
            while not world.enqueued:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert "Nguyễn" not in str(logs)
    assert outages() == []


async def test_a_shop_whose_account_raises_an_error_delays_no_other(db: SalesDb) -> None:
    """Promise 5. Broken by: a shop whose account raises keeps the other shops waiting."""
    point_of_sale, world = PointOfSale(db), World()
    for id_, shop in enumerate(("A", "ODD", "Z"), 1):
        await point_of_sale.sell(id_, shop=shop)
        await point_of_sale.sync(id_, attempt=1, next_attempt_at=FAR, reason_code="login_refused")

    async def accounts(shops: Sequence[str]) -> list[list[Account]]:
        if "ODD" in shops:
            raise ValueError
        return [[Account(shop, "user", SecretStr("right"))] for shop in shops]

    with capture_logs():
        await scheduler(db, world, accounts=accounts).run_round()
    assert ids(world.enqueued) == [1, 3]


async def test_a_message_that_cannot_be_sent_delays_no_other(db: SalesDb) -> None:
    """Promise 5. Broken by: one message that cannot be sent keeps all due documents from being enqueued."""
    point_of_sale, world = PointOfSale(db), World()
    await point_of_sale.sell(*range(1, 11))
    await point_of_sale.syncs(range(1, 11), attempt=1, next_attempt_at=5)
    for id_ in range(1, 11):
        await point_of_sale.run("UPDATE dbo.SalesInvoices SET shop_pharmacy_code = ? WHERE id = ?", f"SHOP-{id_}", id_)

    async def publish(key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        if key == b"79-1/HD-7":
            raise ValueError("too large")
        await world.publish(key, value, headers)

    with capture_logs():
        await scheduler(db, world, publish=publish).run_round()
    assert {request.id for request in world.enqueued} == set(range(1, 11)) - {7}


async def test_an_undecodable_code_stops_no_retry(db: SalesDb) -> None:
    """Promise 5. Broken by: one undecodable code kills the scheduler every five seconds."""
    point_of_sale, world = PointOfSale(db), World()
    await point_of_sale.sell(1, 2)
    await point_of_sale.syncs([1, 2], attempt=1, next_attempt_at=5)
    await point_of_sale.run(f"UPDATE dbo.SalesInvoices SET local_invoice_id = {HALF_AN_EMOJI} WHERE id = 1")  # noqa: S608
    await scheduler(db, world).run_round()
    assert sorted(ids(world.enqueued)) == [1, 2]


class Locking(SalesDb):
    """Has one sale that a point of sale keeps locked, for readers too, as SQL Server does it."""

    locked = 0

    async def transaction(self, work: Callable[[Transaction], R]) -> R:
        return await super().transaction(lambda tx: work(_Locked(tx, self)))


class _Locked(Transaction):
    def __init__(self, tx: Transaction, db: Locking) -> None:
        super().__init__(tx._cursor, tx.dialect)
        self._db = db

    def _run(self, sql: str, parameters: Sequence[Any]) -> None:
        meets = "d.id IN" not in sql or self._db.locked in parameters
        if self._db.locked and sql.startswith("SELECT") and "SalesInvoices" in sql and meets:
            raise LOCK
        super()._run(sql, parameters)


async def test_a_sale_that_a_point_of_sale_keeps_locked_stops_no_other_retry(tmp_path: Path) -> None:
    """Promise 5. Broken by: the query for due documents waits for the one row, and nothing is enqueued.
    Promise 5. Broken by: one row that a point of sale keeps locked blocks the query for due documents.
    """
    db = Locking(Sqlite(tmp_path).settings(**SETTINGS))
    await db.open()
    point_of_sale, world = PointOfSale(db), World()
    await point_of_sale.sell(*range(1, 9))
    await point_of_sale.syncs(range(1, 9), attempt=1, next_attempt_at=5)
    db.locked = 3
    due = scheduler(db, world)
    with capture_logs() as logs:
        await due.run_round()
    assert sorted(ids(world.enqueued)) == [1, 2, 4, 5, 6, 7, 8]
    assert [line["id"] for line in logs if line["event"] == "due.in_the_way"] == [3]
    db.locked = 0
    assert (await point_of_sale.state(3))["next_attempt_at"] > 5, "looked at again later"
    await db.close()


@pytest.fixture
async def locked_on_postgresql(postgres: Postgres, postgresql_sales: str) -> AsyncIterator[tuple[SalesDb, Postgresql]]:
    server = Postgresql(postgres, postgresql_sales)
    db = SalesDb(server.settings(**SETTINGS))
    await db.open()
    yield db, server
    await db.close()


@pytest.fixture(scope="session")
def postgresql_sales(postgres: Postgres) -> str:
    postgres.create_sales_database("due")
    return "due"


async def test_a_locked_row_of_ours_delays_only_itself(
    locked_on_postgresql: tuple[SalesDb, Postgresql],
) -> None:
    """The lock is a real one: an operator's transaction that nobody ends.

    Promise 5. Broken by: a lock on one of our own rows keeps all due documents from being enqueued.
    """
    db, server = locked_on_postgresql
    points_of_sale = SalesDb(server.settings(**server.points_of_sale()))
    await points_of_sale.open()
    point_of_sale, world = PointOfSale(points_of_sale), World()
    await point_of_sale.sell(*range(1, 8))
    await point_of_sale.syncs(range(1, 6), attempt=1, next_attempt_at=5)
    await point_of_sale.sync(6, attempt=1, next_attempt_at=None)
    due = scheduler(db, world)
    with closing(server.connect()) as operator, capture_logs():
        operator.execute("BEGIN")
        operator.execute("UPDATE dbo.SaleSync SET tries = 1 WHERE id IN (3, 6)")
        await due.run_round()
        assert sorted(ids(world.enqueued)) == [1, 2, 4, 5]
        assert await point_of_sale.state(7), "seen, although a row that was asked for again is locked"
    due._swept_at = float("-inf")
    await due.run_round()
    assert 3 in ids(world.enqueued)
    assert outages() == []
    await points_of_sale.close()
