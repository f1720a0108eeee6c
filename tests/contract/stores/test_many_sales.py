"""Tests that the scheduler's queries stay short with fifty thousand waiting and as many decided sales.

The bounds are far above what was measured here, and far below what would be felt. They are seconds of processor time,
of the test and of the database, and are printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streams.documents.sale import SALE
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from tests.contract.stores.databases import Database, Postgresql
from tests.contract.stores.point_of_sale import SOLD, PointOfSale
from tests.support.processor_time import processor_seconds

ENDED, PENDING, SHOPS = 50_000, 50_000, 100
NEVER = 2**62
# From 1 to 100,000, in the SQL of every server.
_DIGIT = "(" + " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10)) + ")"
_NUMBERS = (
    "SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS id "  # noqa: S608
    f"FROM {_DIGIT} a CROSS JOIN {_DIGIT} b CROSS JOIN {_DIGIT} c CROSS JOIN {_DIGIT} e CROSS JOIN {_DIGIT} f"
)


@pytest.fixture
async def schedule(db: SalesDb, point_of_sale: PointOfSale, database: Database) -> Schedule:
    """Fill the database so that half of all pending sales belong to one shop and came first; it must not get all
    places.
    """
    await point_of_sale.run(
        "INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, "  # noqa: S608
        "created_at, updated_at) SELECT id, REPLACE('HD-#', '#', CAST(id AS VARCHAR(9))), '79-1', "
        "CASE WHEN id > ? AND id <= ? THEN 'S-0' ELSE REPLACE('S-#', '#', CAST(id % ? AS VARCHAR(9))) END, "
        f"?, CASE WHEN id <= ? THEN 'SYNC_SUCCESS' ELSE 'PENDING_SYNC' END, ?, ? FROM ({_NUMBERS}) n WHERE id <= ?",
        *(ENDED, ENDED + PENDING // 2, SHOPS, SOLD, ENDED, SOLD, SOLD, ENDED + PENDING),
    )
    await point_of_sale.run(
        "INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, ever_accepted, sent_hash) "
        "SELECT 'sale', id, 1, 1, 1, 'ab' FROM dbo.SalesInvoices WHERE status = 'SYNC_SUCCESS'"
    )
    if isinstance(database, Postgresql):
        for table in ("SalesInvoices", "SaleSync"):
            await point_of_sale.run(f"ANALYZE dbo.{table}")
    return Schedule(db, SALE)


class Took:
    """Seconds of processor time, the longest of each kind."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        before = processor_seconds()
        yield
        self.times[what] = max(processor_seconds() - before, self.times.get(what, 0))


async def test_a_large_backlog_is_enqueued_fairly_and_fast(schedule: Schedule, point_of_sale: PointOfSale) -> None:
    took = Took()
    enrolled = -1
    while enrolled:
        with took.of("enroll 5,000"):
            enrolled = await schedule.enroll(0, 5_000)
    with took.of("a sweep that finds nothing"):
        await schedule.enroll(0, 5_000)
    enqueued: Counter[str] = Counter()
    for _ in range(4):
        with took.of("due"):
            due = await schedule.due(500, NEVER)
        enqueued.update(item.shop for item in due)
        with took.of("put off"):
            await schedule.defer({item.id: item.attempt for item in due}, 120_000)
        with took.of("fed and unclaimed"):
            unclaimed = await schedule.enqueued_and_unclaimed()
    assert unclaimed == 2_000
    assert set(enqueued.values()) == {20}, "each shop has its turns, however much one of them has waiting"
    assert len(enqueued) == SHOPS
    with took.of("shops that wait for an account"):
        await schedule.shops_waiting_for_accounts(["no_account"], 100)
    await _thousands_of_due_times_come_in_their_order(schedule, point_of_sale)
    print({what: round(seconds, 3) for what, seconds in took.times.items()})  # noqa: T201
    assert took.times["enroll 5,000"] < 0.6
    assert took.times["due"] < 1
    assert took.times["a sweep that finds nothing"] < 0.5
    assert took.times["fed and unclaimed"] < 0.2
    assert took.times["put off"] < 0.2


async def _thousands_of_due_times_come_in_their_order(schedule: Schedule, point_of_sale: PointOfSale) -> None:
    await point_of_sale.run(
        "UPDATE dbo.SaleSync SET attempt = 1, next_attempt_at = id WHERE next_attempt_at IS NOT NULL AND id <= ?",
        ENDED + 5_000,
    )
    due = await schedule.due(5_000, 0)
    assert [item.id for item in due] == sorted(item.id for item in due)
    assert len(due) == 5_000
    assert {item.shop for item in due} == {"S-0"}
