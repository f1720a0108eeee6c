"""Tests how waiting documents are counted by reason: how many, how many due, of how many shops, and since when."""

from __future__ import annotations

from streams.documents.sale import SALE
from streams.stores.backlog import BacklogPart, read_backlog
from streams.stores.sales_db import SalesDb
from tests.contract.stores.point_of_sale import PointOfSale

FAR = 4_000_000_000_000
SINCE = 1_795_500_000_000


async def _waiting(db: SalesDb) -> dict[str | None, BacklogPart]:
    _, parts = await read_backlog(db, SALE)
    assert len({part.reason for part in parts}) == len(parts)
    return {part.reason: part for part in parts}


async def test_an_empty_database_has_no_backlog(db: SalesDb) -> None:
    now, parts = await read_backlog(db, SALE)
    assert parts == []
    assert abs(now - await db.now_ms()) < 5000


async def test_the_backlog_is_counted_by_reason(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, 2, shop="SHOP-Đ")
    await point_of_sale.sell(3, 4)
    await point_of_sale.sync(1, attempt=1, next_attempt_at=FAR, attempts_since=SINCE + 70, reason_code="login_refused")
    await point_of_sale.sync(2, attempt=1, next_attempt_at=5, attempts_since=SINCE + 60, reason_code="login_refused")
    await point_of_sale.sync(3, attempt=1, next_attempt_at=FAR, attempts_since=SINCE + 50, reason_code="login_refused")
    await point_of_sale.sync(4, attempt=1, next_attempt_at=FAR, attempts_since=SINCE + 90)
    assert await _waiting(db) == {
        "login_refused": BacklogPart("login_refused", documents=3, due=1, shops=2, oldest_ms=SINCE + 50),
        None: BacklogPart(None, documents=1, due=0, shops=1, oldest_ms=SINCE + 90),
    }


async def test_decided_documents_and_other_document_types_are_not_in_the_backlog(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2, 3)
    await point_of_sale.sell(4, status="SYNC_SUCCESS")
    await point_of_sale.sync(1, attempt=1, next_attempt_at=None, attempts_since=3)
    await point_of_sale.sync(4, attempt=1, next_attempt_at=5, attempts_since=3)
    await point_of_sale._insert("SaleSync", ("document_type", "id", "next_attempt_at"), [("loan_slip", 2, 5)])
    assert await _waiting(db) == {}


async def test_a_document_requested_again_without_an_attempt_waits_since_its_due_time(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=2, next_attempt_at=SINCE + 40, attempts_since=None)
    assert (await _waiting(db))[None].oldest_ms == SINCE + 40
