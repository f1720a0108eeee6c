"""Tests how a worker goes through accepted documents, and that it passes over what others keep locked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streams.documents.sale import SALE
from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import Code
from streams.pipeline.correction_sweep import CorrectionSweep
from streams.pipeline.outage_gate import Admission
from streams.runtime.outages import OUTAGES
from streams.stores.corrections import AcceptedDocument, Corrections, Found
from streams.stores.dialects import DIALECTS
from streams.stores.row_digests import document_digest
from streams.stores.sales_db import SalesDb, StoreError
from streams.stores.sent_rows import sent_rows
from tests.contract.stores.databases import Sqlite, settings_for
from tests.contract.stores.point_of_sale import PointOfSale
from tests.contract.tds_server import Request, TdsServer, error, ok, rows, tds_server
from tests.support.accepted_sales import accept, changed_ids, edit
from tests.support.scheduler_world import World

DAY_MS = 86_400_000
READPAST = DIALECTS["Microsoft SQL Server"].skip_locked


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SalesDb]:
    db = SalesDb(Sqlite(tmp_path).settings())
    await db.open()
    yield db
    await db.close()


@pytest.fixture
def point_of_sale(db: SalesDb) -> PointOfSale:
    return PointOfSale(db)


def sweep_of(
    corrections: Corrections, world: World, *, sends: bool = False, settled_after: float = 0.0, round_every: float = 0.0
) -> CorrectionSweep:
    return CorrectionSweep(
        corrections,
        document_type="sale",
        sends=sends,
        lock=world,
        gate=Admission(world.gate, clock=lambda: 0.0),
        settled_after=settled_after,
        round_every=round_every,
    )


def sweep_on(db: SalesDb, world: World, *, sends: bool = False, settled_after: float = 0.0) -> CorrectionSweep:
    corrections = Corrections(db, SALE, accepted_within_ms=30 * DAY_MS)
    return sweep_of(corrections, world, sends=sends, settled_after=settled_after)


async def one_round(sweep: CorrectionSweep) -> None:
    async with asyncio.timeout(60):
        while await sweep.step():
            pass


async def test_each_round_looks_at_all_documents_a_few_at_a_time(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await accept(point_of_sale, *range(1, 41))
    await edit(point_of_sale, 1, 20, 40)
    sweep = sweep_on(db, World())
    assert await sweep.step()
    assert sweep.checked_total == 16, "as many as are read in full at once"
    assert await changed_ids(point_of_sale) == [40]
    await one_round(sweep)
    assert await changed_ids(point_of_sale) == [1, 20, 40]
    assert (sweep.checked_total, sweep.rounds_total) == (40, 1)
    await edit(point_of_sale, 2)
    await one_round(sweep)
    assert await changed_ids(point_of_sale) == [1, 2, 20, 40]
    assert sweep.rounds_total == 2


async def test_only_the_worker_with_the_lock_makes_rounds(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await accept(point_of_sale, 1)
    await edit(point_of_sale, 1)
    idle = sweep_on(db, World(holds_the_lock=False))
    assert not await idle.step()
    assert await changed_ids(point_of_sale) == []
    await one_round(sweep_on(db, World()))
    assert await changed_ids(point_of_sale) == [1]


async def test_an_edit_that_a_change_event_shows_is_checked_at_once_without_the_lock(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await accept(point_of_sale, 1, 2)
    await edit(point_of_sale, 1, 2)
    sweep = sweep_on(db, World(holds_the_lock=False))
    sweep.edited(2)
    sweep.edited(99)
    await sweep.step()
    assert await changed_ids(point_of_sale) == [2]


async def test_two_workers_at_once_do_no_harm(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await accept(point_of_sale, *range(1, 20))
    await edit(point_of_sale, 3)
    await asyncio.gather(one_round(sweep_on(db, World())), one_round(sweep_on(db, World())))
    assert await changed_ids(point_of_sale) == [3]


async def test_those_that_nobody_sends_do_not_keep_others_from_being_sent(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    """Sixteen sales whose code was changed are as many as are looked at in one step here."""
    await accept(point_of_sale, *range(1, 20), changed_at=5)
    await edit(point_of_sale, *range(1, 20))
    await point_of_sale.run("UPDATE dbo.SalesInvoices SET pharmacy_code = '79-2' WHERE id <= 16")
    sweep = sweep_on(db, World(), sends=True)
    sweep._round_started = float("inf")
    for _ in range(2):
        sweep._checked_marked_at = float("-inf")
        await sweep.step()
    rows = await point_of_sale.rows("SELECT id FROM dbo.SalesInvoices WHERE status = 'PENDING_SYNC' ORDER BY id")
    assert [row["id"] for row in rows] == [17, 18, 19]


async def test_a_change_is_only_shown_unless_it_is_to_be_sent(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await accept(point_of_sale, 1)
    await edit(point_of_sale, 1)
    sweep = sweep_on(db, World())
    await one_round(sweep)
    sweep._checked_marked_at = float("-inf")
    await one_round(sweep)
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"
    assert sweep.requested_total == 0


async def test_a_change_is_sent_by_itself_once_it_has_settled_and_the_gate_is_open(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    """Promise 6. Broken by: corrections are requested while the national API is down."""
    await accept(point_of_sale, 1, 2)
    await edit(point_of_sale, 1, 2)
    world = World()
    sweep = sweep_on(db, world, sends=True, settled_after=3600)
    await one_round(sweep)
    sweep._checked_marked_at = float("-inf")
    await one_round(sweep)
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS", "more edits may follow"
    await edit(point_of_sale, 2, quantity="1.50")
    sweep._settled_after = 0
    while world.gate.is_open:
        world.gate.ended(0, f"SHOP-{world.looked}", TryLater(Reason(Code.UNREACHABLE)))
        world.looked += 1
    sweep._checked_marked_at = float("-inf")
    await sweep.step()
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS", "nothing can be sent now"
    sweep = sweep_on(db, World(), sends=True)
    await sweep.step()
    assert [(await point_of_sale.row(id_))["status"] for id_ in (1, 2)] == ["PENDING_SYNC", "SYNC_SUCCESS"]
    assert sweep.requested_total == 1
    assert await changed_ids(point_of_sale) == [1], "its claim will remove the mark; the other one was edited back"


class Slow(Corrections):
    """Takes a while for each check, and counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    @property
    def at_once(self) -> int:
        return 1

    async def marked(self, above: int, limit: int, *, marked_for_ms: int = 0) -> list[AcceptedDocument]:
        return []

    async def below(self, id_: int, rows: int) -> tuple[list[AcceptedDocument], int | None]:
        return [AcceptedDocument(1, 1, "ab", None, None)], 1

    async def check(self, documents: Sequence[AcceptedDocument]) -> Found:
        self.asked += 1
        await asyncio.sleep(0.02)
        if self.fails:
            raise StoreError("42501", None)
        return Found()


async def test_the_database_is_left_alone_most_of_the_time() -> None:
    """Promise 5. Broken by: looking for corrections takes as much of the database as it can get."""
    slow = Slow()
    running = asyncio.create_task(sweep_of(slow, World()).run())
    started = time.monotonic()
    while slow.asked < 3:
        await asyncio.sleep(0.01)
    assert time.monotonic() - started >= 2 * 0.02 * 49
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_error_is_shown_and_holds_up_no_sales() -> None:
    slow = Slow()
    slow.fails = True
    running = asyncio.create_task(sweep_of(slow, World()).run())
    with capture_logs():
        while not OUTAGES.is_waiting_for(["corrections"]):
            await asyncio.sleep(0.01)
    [outage] = [outage for outage in OUTAGES.current() if outage.part == "corrections"]
    assert not outage.holds_up_sales
    assert "42501" in outage.what
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not OUTAGES.is_waiting_for(["corrections"])


def dsn_of(server: TdsServer) -> str:
    return f"Server=127.0.0.1,{server.port};Database=chain;UID=sa;PWD=pwd-secret;Encrypt=no"


async def test_error_1222_makes_a_document_neither_changed_nor_unchanged() -> None:
    """Promise 5. Broken by: one locked sale keeps all others from being compared."""
    header, line = b"h" * 32, b"l" * 32
    kept = sent_rows("ab" * 32, document_digest(header, [line]), "79-1", "HD-1")

    def answer(request: Request) -> bytes | None:
        sql, values = request.sql, [parameter.value for parameter in request.parameters]
        if "DATEDIFF" in sql:
            return rows((int(time.time() * 1000),))
        if sql.startswith("SELECT MIN("):
            return rows((1,))
        if "s.sent_rows" in sql:
            if READPAST not in sql:
                return error(1222, "Lock request time out period exceeded.")
            return rows(*((id_, 1, "ab" * 32, kept, 5) for id_ in (3, 2, 1)))
        if "SalesInvoiceDetails" in sql:
            if READPAST in sql:
                return rows((1, line), (3, line))
            if 2 in values:
                return error(1222, "Lock request time out period exceeded.")
            return rows(*((id_, line) for id_ in (1, 3) if id_ in values))
        if "AS digest" in sql:
            return rows(*((id_, header) for id_ in (1, 2, 3) if id_ in values))
        return ok(request)

    async with tds_server(answer=answer) as server:
        db = SalesDb(settings_for(sales_db_dsn=dsn_of(server), sales_db_connections=2))
        await db.open()
        db.digests = True
        corrections = Corrections(db, SALE, accepted_within_ms=DAY_MS)
        with capture_logs():
            documents, _ = await corrections.below(10, 1000)
            assert [document.id for document in documents] == [3, 2, 1]
            found = await corrections.check(documents)
        await db.close()
    assert (found.changed, found.out_of_reach) == ([], 1)
    [unmarked] = [r for r in server.seen if r.sql.startswith("UPDATE dbo.SaleSync")]
    assert "changed_at = NULL" in unmarked.sql
    assert 2 not in [parameter.value for parameter in unmarked.parameters]
