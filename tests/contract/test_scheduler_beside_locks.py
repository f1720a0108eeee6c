"""Tests that what a point of sale keeps locked holds up no other shop's retries, and is shown while it lasts.

On PostgreSQL the locks are real ones; SQL Server's error 1222 comes through Microsoft's driver from a scripted server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from streams.documents.sale import SALE
from streams.local.real.postgres import Postgres
from streams.pipeline.outage_gate import Admission
from streams.pipeline.scheduler import Scheduler
from streams.runtime.outages import OUTAGES
from streams.stores.dialects import DIALECTS
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from tests.contract.stores.databases import Postgresql, settings_for
from tests.contract.stores.point_of_sale import PointOfSale
from tests.contract.tds_server import Request, TdsServer, error, ok, rows, tds_server
from tests.support.scheduler_world import FAR, World, ids

SETTINGS = {"sweep_after": 0.001, "due_batch": 10, "due_interval": 0.01}
LOCKED = error(1222, "Lock request time out period exceeded.")
READPAST = DIALECTS["Microsoft SQL Server"].skip_locked


def scheduler_of(db: SalesDb, world: World) -> Scheduler:
    return Scheduler(
        Schedule(db, SALE),
        db._settings,
        document_type="sale",
        database="chain",
        lock=world,
        gate=Admission(world.gate, clock=lambda: 0.0),
        unfinished=world,
        publish=world.publish,
        accounts=SourceRows(db).accounts_without_locked,
        still_refused=world.still_refused,
    )


async def two_rounds(scheduler: Scheduler) -> list[str]:
    """Run two rounds with all of their steps; return what operators are shown after them."""
    with capture_logs():
        for _ in range(2):
            scheduler._swept_at = scheduler._checked_accounts_at = float("-inf")
            await scheduler.run_round()
    return [outage.what for outage in OUTAGES._reported.values() if outage.part == "due"]


@pytest.fixture(autouse=True)
def _no_outage_is_left() -> Iterator[None]:
    yield
    OUTAGES._reported.clear()


# ---- real locks ----


@pytest.fixture(scope="session")
def locks_database(postgres: Postgres) -> str:
    postgres.create_sales_database("locks")
    return "locks"


@pytest.fixture
async def postgresql(postgres: Postgres, locks_database: str) -> AsyncIterator[tuple[SalesDb, Postgresql]]:
    server = Postgresql(postgres, locks_database)
    db = SalesDb(server.settings(**SETTINGS))
    await db.open()
    yield db, server
    await db.close()


@pytest.mark.parametrize(
    ("lock", "blocked", "shown"),
    [
        ("UPDATE dbo.SaleSync SET tries = 1 WHERE id = 6", 6, "finding pending rows"),  # one that was requested again
        ("UPDATE dbo.SaleSync SET tries = 1 WHERE id = 3", 3, None),  # one that is due
        ("LOCK TABLE dbo.AccountShop IN ACCESS EXCLUSIVE MODE", 5, "releasing shops"),
        ("INSERT INTO dbo.SaleSync (document_type, id) VALUES ('sale', 7)", 7, "finding pending rows"),  # a new key
    ],
    ids=["sweep", "row", "account", "index range"],
)
async def test_a_real_lock_holds_up_no_retry_of_another_shop(
    postgresql: tuple[SalesDb, Postgresql], lock: str, blocked: int, shown: str | None
) -> None:
    db, server = postgresql
    points_of_sale = SalesDb(server.settings(**server.points_of_sale()))
    await points_of_sale.open()
    point_of_sale, world = PointOfSale(points_of_sale), World()
    for id_ in range(1, 8):
        await point_of_sale.sell(id_, shop=f"SHOP-{id_}")
    await point_of_sale.syncs(range(1, 5), attempt=1, next_attempt_at=5)
    await point_of_sale.sync(5, attempt=1, next_attempt_at=FAR, reason_code="login_refused")
    await point_of_sale.open_account("SHOP-5", "user", "right")
    await point_of_sale.sync(6, attempt=1, next_attempt_at=None)
    with closing(server.connect()) as till:
        till.execute("BEGIN")
        till.execute(lock)
        outages = await two_rounds(scheduler_of(db, world))
        assert {1, 2, 3, 4} - {blocked} <= set(ids(world.enqueued))
        assert blocked not in ids(world.enqueued)
        assert [what for what in outages if shown and what.startswith(shown)] == outages
        assert bool(outages) == bool(shown)
    await points_of_sale.close()


async def test_many_shops_whose_accounts_are_locked_do_not_delay_the_others(
    postgresql: tuple[SalesDb, Postgresql],
) -> None:
    """Promise 5. Broken by: a check of locked accounts waits for each shop in turn before anything is sent."""
    db, server = postgresql
    points_of_sale = SalesDb(server.settings(**server.points_of_sale()))
    await points_of_sale.open()
    point_of_sale, world = PointOfSale(points_of_sale), World()
    for id_ in range(1, 22):
        await point_of_sale.sell(id_, shop=f"SHOP-{id_}")
    await point_of_sale.sync(1, attempt=1, next_attempt_at=5)
    await point_of_sale.syncs(range(2, 22), attempt=1, next_attempt_at=FAR, reason_code="login_refused")
    with closing(server.connect()) as till:
        till.execute("BEGIN")
        till.execute("LOCK TABLE dbo.AccountShop IN ACCESS EXCLUSIVE MODE")
        with capture_logs():
            async with asyncio.timeout(30):  # one by one they would take 78 seconds
                await scheduler_of(db, world).run_round()
    assert ids(world.enqueued) == [1]
    await points_of_sale.close()


# ---- error 1222 of SQL Server ----


def answered(request: Request) -> bytes:
    """Answer as a database with three due sales, one that nobody has seen, and one shop that waits for its account."""
    sql, values = request.sql, [parameter.value for parameter in request.parameters]
    if "DATEDIFF" in sql:
        return rows((int(time.time() * 1000),))
    if sql.startswith("SELECT COUNT"):
        return rows((0,))
    if "q.attempts_since" in sql:
        return rows(*((id_, 1, 5, f"HD-{id_}", "79-1", f"SHOP-{id_}") for id_ in (1, 2, 3)))
    if "s.attempts_since FROM dbo.SaleSync s WHERE" in sql:
        return rows((1, 1, 5), (2, 1, 5), (3, 1, 5))
    if "ROW_NUMBER" in sql:
        return rows((7,))
    if "AccountShop" in sql:
        return rows((0, "SHOP-9", "user", "right"))
    if "GROUP BY d.shop_pharmacy_code ORDER BY" in sql:
        return rows(("SHOP-9",))
    if "d.id IN" in sql and sql.startswith("SELECT"):
        found = [id_ for id_ in (1, 2, 3) if id_ in values and not (id_ == 2 and READPAST in sql)]
        return rows(*((id_, f"HD-{id_}", "79-1", f"SHOP-{id_}") for id_ in found), columns=4)
    return ok(request)


def waits_for_the_sweep(sql: str) -> bool:
    return "q.id FROM (SELECT d.id" in sql and READPAST not in sql


def waits_for_a_row(sql: str) -> bool:
    return "q.attempts_since" in sql or ("d.id IN" in sql and "SELECT d.id" in sql and READPAST not in sql)


def waits_for_accounts(sql: str) -> bool:
    return "AccountShop" in sql


def waits_for_an_index_range(sql: str) -> bool:
    return "d.status IN ('PENDING_SYNC', 'PENDING_CANCEL')" in sql and "d.id IN" not in sql and READPAST not in sql


@pytest.mark.parametrize(
    ("waits", "enqueued", "shown"),
    [
        (waits_for_the_sweep, {1, 2, 3}, {"finding pending rows"}),
        (waits_for_a_row, {1, 3}, {"1 documents that are due"}),
        (waits_for_accounts, {1, 2, 3}, {"releasing shops"}),
        (waits_for_an_index_range, {1, 3}, {"finding pending rows", "1 documents that are due", "releasing shops"}),
    ],
    ids=["sweep", "row", "account", "index range"],
)
async def test_error_1222_holds_up_no_retry_of_another_shop(
    waits: Callable[[str], bool], enqueued: set[int], shown: set[str]
) -> None:
    """Promise 5. Broken by: one uncommitted sale hides all pending rows that nothing waits for.
    Promise 5. Broken by: sales that are out of reach for long are shown nowhere.
    """

    def answer(request: Request) -> bytes | None:
        return LOCKED if waits(request.sql) else answered(request)

    async with tds_server(answer=answer) as server:
        db = SalesDb(settings_for(sales_db_dsn=dsn_of(server), sales_db_connections=2, **SETTINGS))
        await db.open()
        world = World()
        outages = await two_rounds(scheduler_of(db, world))
        await db.close()
    assert set(ids(world.enqueued)) == enqueued
    assert {text for text in shown if any(what.startswith(text) for what in outages)} == shown
    assert len(outages) == len(shown)
    enrolled = [r for r in server.seen if r.sql.startswith("INSERT INTO dbo.SaleSync") and "d.id IN" in r.sql]
    assert enrolled, "a row that nobody keeps locked is enrolled all the same"
    assert LOCK_TIMEOUT in [request.sql for request in server.seen]


LOCK_TIMEOUT = "SET LOCK_TIMEOUT 2000"


def dsn_of(server: TdsServer) -> str:
    return f"Server=127.0.0.1,{server.port};Database=chain;UID=sa;PWD=pwd-secret;Encrypt=no"
