"""Tests that a capture that stands still is noticed: a log that cannot be emptied, a connector that is silent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from streams.documents.sale import SALE
from streams.kafka.lag import Offsets
from streams.monitoring.capture_watch import CaptureWatch
from streams.monitoring.health import ready
from streams.operators.checks import Level
from streams.operators.checks.capture_silence import Newest, judge_silence
from streams.operators.checks.kafka import NewestChange
from streams.runtime.outages import Outages
from streams.stores.capture_state import NewestRow, newest_row, read_log_use
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Sqlite, settings_for
from tests.contract.stores.point_of_sale import SOLD, PointOfSale
from tests.contract.tds_server import Request, TdsServer, ok, rows, tds_server

MB = 1024 * 1024
TOPIC = "pharmacy.chain.dbo.SalesInvoices"


class World:
    """A clock and the topic's offsets, controlled by a test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.end: int | None = 7
        self.outages = Outages(lambda: self.now)

    def measured(self) -> Mapping[str, Mapping[TopicPartition, Offsets]]:
        if self.end is None:
            return {}
        halves = {TopicPartition(TOPIC, 0): Offsets(0, self.end), TopicPartition(TOPIC, 1): Offsets(0, 5)}
        return {"streams": {**halves, TopicPartition("sale-retry", 0): Offsets(0, int(self.now))}}

    def watch(self, db: SalesDb, *, polls: bool = False) -> CaptureWatch:
        return CaptureWatch(
            lambda: db, lambda: {TOPIC: SALE}, self.measured, self.outages, polls=polls, clock=lambda: self.now
        )

    def shown(self) -> list[tuple[str, str]]:
        health = ready(self.outages, [])
        assert health.status == ("degraded" if health.reasons else "ok"), "sales are sent all the same"
        return [(reason.part, reason.what) for reason in health.reasons]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SalesDb]:
    db = SalesDb(Sqlite(tmp_path).settings())
    await db.open()
    yield db
    await db.close()


async def look(world: World, watch: CaptureWatch, seconds: float = 60) -> None:
    world.now += seconds
    await watch.look()


async def test_rows_without_change_events_are_reported_until_one_comes(db: SalesDb) -> None:
    """Promise 1. Broken by: a connector that is RUNNING and silent after a restore is noticed by nobody."""
    world, point_of_sale = World(), PointOfSale(db)
    watch = world.watch(db)
    await point_of_sale.sell(1)
    await look(world, watch)
    await look(world, watch, 3600)
    assert watch.silent_for() == {"sale": 0}, "nothing was sold"
    await point_of_sale.sell(2)
    await look(world, watch)
    await look(world, watch, 240)
    assert world.shown() == []
    await point_of_sale.sell(3)
    await look(world, watch)
    [(part, what)] = world.shown()
    assert part == "capture"
    assert "5 minutes" in what
    assert watch.silent_for() == {"sale": 300}
    assert world.end is not None
    world.end += 1
    await look(world, watch)
    assert (watch.silent_for(), world.shown()) == ({"sale": 0}, [])


async def test_a_database_that_was_set_back_and_sells_on_is_noticed(db: SalesDb) -> None:
    world, point_of_sale = World(), PointOfSale(db)
    watch = world.watch(db)
    await point_of_sale.sell(100)
    await look(world, watch)
    await point_of_sale.run("DELETE FROM dbo.SalesInvoices WHERE id = 100")
    await look(world, watch)
    await point_of_sale.sell(90)
    await look(world, watch)
    await look(world, watch, 300)
    assert [part for part, _ in world.shown()] == ["capture"]


@pytest.mark.parametrize("polls", [True, False])
async def test_no_silence_is_reported_while_the_offsets_are_unknown_or_the_workers_poll(
    db: SalesDb, *, polls: bool
) -> None:
    world, point_of_sale = World(), PointOfSale(db)
    world.end = 7 if polls else None
    watch = world.watch(db, polls=polls)
    for id_ in range(1, 12):
        await point_of_sale.sell(id_)
        await look(world, watch)
    assert world.shown() == []


class Log:
    """What a SQL Server says of its log."""

    def __init__(self) -> None:
        self.waits_for, self.used, self.limit = "NOTHING", 100, 0

    def answer(self, request: Request) -> bytes | None:
        if "DATEDIFF" in request.sql:
            return rows((int(time.time() * 1000),))
        if "log_reuse_wait_desc" in request.sql:
            return rows((self.waits_for, 500, self.used, self.limit))
        return rows((3,)) if "MAX(d.id)" in request.sql else ok(request)


@pytest.fixture
async def log() -> AsyncIterator[tuple[Log, SalesDb]]:
    log = Log()
    async with tds_server(answer=log.answer) as server:
        db = SalesDb(settings_for(sales_db_dsn=_dsn(server), sales_db_connections=1))
        await db.open()
        yield log, db
        await db.close()


def _dsn(server: TdsServer) -> str:
    return f"Server=127.0.0.1,{server.port};Database=chain;UID=sa;PWD=pwd-secret;Encrypt=no"


async def test_a_log_that_waits_to_be_captured_is_reported_after_ten_minutes(log: tuple[Log, SalesDb]) -> None:
    """Promise 1. Broken by: a capture that stands still fills the transaction log unseen until nobody can sell."""
    said, db = log
    world = World()
    watch = world.watch(db)
    said.waits_for = "REPLICATION"
    await look(world, watch)
    await look(world, watch, 540)
    assert world.shown() == [], "so it is for a moment at many checkpoints"
    await look(world, watch)
    [(part, what)] = world.shown()
    assert (part, what) == (
        "transaction_log",
        "changes are not captured, so the transaction log grows: 100 MB are used",
    )
    said.waits_for = "LOG_BACKUP"
    await look(world, watch)
    assert world.shown() == []


async def test_a_log_that_is_nearly_full_is_reported_at_once(log: tuple[Log, SalesDb]) -> None:
    said, db = log
    world = World()
    watch = world.watch(db, polls=True)
    said.waits_for, said.used, said.limit = "REPLICATION", 710, 1000
    await look(world, watch)
    assert [part for part, _ in world.shown()] == ["transaction_log"], "what was left of capture counts, too"
    assert watch.log is not None
    assert (watch.log.size, watch.log.used, watch.log.limit) == (500 * MB, 710 * MB, 1000 * MB)


async def test_other_servers_have_no_such_log(db: SalesDb) -> None:
    assert await read_log_use(db) is None


async def test_the_newest_row_is_the_one_with_the_highest_id(db: SalesDb) -> None:
    assert await newest_row(db, SALE) is None
    await PointOfSale(db).sell(3, 9, 4)
    assert await newest_row(db, SALE) == NewestRow(9, SOLD)


@pytest.mark.parametrize(
    ("behind_s", "row_age_s", "level"),
    [(-5, 3600, Level.OK), (299, 3600, Level.OK), (301, 299, Level.OK), (301, 301, Level.ERROR)],
)
def test_doctor_compares_the_newest_row_and_the_newest_change(behind_s: int, row_age_s: int, level: Level) -> None:
    now_ms = 1_800_000_000_000
    row_ms = now_ms - row_age_s * 1000
    newest = Newest(TOPIC, 9, row_ms, NewestChange(row_ms - behind_s * 1000, 0.5))
    [finding] = judge_silence([newest], now_ms)
    assert finding.level is level
