"""Which documents are to wait for others of their shop and day, on every server."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from streams.documents import DOCUMENT_TYPES, GOODS_ISSUE, PURCHASE_RECEIPT, SALE
from streams.pipeline.document_order import DocumentOrder
from streams.stores.earlier_documents import after_pending
from streams.stores.sales_db import SalesDb, StoreError
from tests.contract.stores.point_of_sale import SOLD, PointOfSale

DAY = SOLD.date()


@pytest.fixture
async def receipts(point_of_sale: PointOfSale) -> PointOfSale:
    """Sales 1 to 3 of two shops, and pending receipts 1 and 2 of the first one."""
    await point_of_sale.sell(1, 2)
    await point_of_sale.sell(3, shop="SHOP-2")
    receipts = PointOfSale(point_of_sale.db, PURCHASE_RECEIPT)
    await receipts.sell(1, 2)
    return receipts


async def waiting(db: SalesDb, day: date = DAY) -> set[int]:
    return await after_pending(db, SALE, [PURCHASE_RECEIPT], day, [1, 2, 3, 4])


async def test_sales_of_a_shop_wait_while_a_receipt_of_the_same_day_is_pending(
    db: SalesDb, receipts: PointOfSale
) -> None:
    assert await waiting(db) == {1, 2}
    await receipts.set_status(1, "SYNC_SUCCESS")
    assert await waiting(db) == {1, 2}, "one of two is pending"


@pytest.mark.parametrize("status", ["SYNC_SUCCESS", "SYNC_FAILED", "DRAFT"])
async def test_sales_do_not_wait_for_a_receipt_that_is_not_pending(
    db: SalesDb, receipts: PointOfSale, status: str
) -> None:
    """A refused receipt stays refused until somebody corrects it, which may be never."""
    for id_ in (1, 2):
        await receipts.set_status(id_, status)
    assert await waiting(db) == set()


@pytest.mark.parametrize(
    ("moment", "waits"),
    [
        (datetime.combine(DAY, datetime.min.time()), True),
        (datetime.combine(DAY, datetime.min.time()) + timedelta(hours=23, minutes=59, seconds=59), True),
        (datetime.combine(DAY, datetime.min.time()) + timedelta(days=1), False),
        (datetime.combine(DAY, datetime.min.time()) - timedelta(seconds=1), False),
    ],
    ids=["midnight", "last second", "next day", "day before"],
)
async def test_only_receipts_of_the_same_day_count(
    db: SalesDb, receipts: PointOfSale, moment: datetime, waits: bool
) -> None:
    await receipts.run("UPDATE dbo.PurchaseReceipts SET receipt_date = ?", moment)
    assert await waiting(db) == ({1, 2} if waits else set())


async def test_issues_wait_for_receipts_and_for_sales(db: SalesDb, receipts: PointOfSale) -> None:
    issues = PointOfSale(receipts.db, GOODS_ISSUE)
    await issues.sell(1)
    await issues.sell(2, shop="SHOP-2")
    await issues.sell(3, shop="SHOP-3")
    earlier = [PURCHASE_RECEIPT, SALE]
    assert await after_pending(db, GOODS_ISSUE, earlier, DAY, [1, 2, 3]) == {1, 2}
    for id_ in (1, 2):
        await receipts.set_status(id_, "SYNC_SUCCESS")
    assert await after_pending(db, GOODS_ISSUE, earlier, DAY, [1, 2, 3]) == {1, 2}, "sales are pending"


def order(db: SalesDb, limit: float = 60, carried: Any = DOCUMENT_TYPES) -> DocumentOrder:
    return DocumentOrder(db, SALE, carried, limit, batch_wait=0)


HEADER = {"sale_date": SOLD}


async def test_a_document_waits_until_the_limit_and_no_longer(db: SalesDb, receipts: PointOfSale) -> None:
    """Promise 5. Broken by: a receipt that is never decided holds up the sales of its shop forever."""
    assert await order(db).must_wait(1, HEADER, 59.9)
    assert not await order(db).must_wait(1, HEADER, 60)
    assert not await order(db).must_wait(3, HEADER, 0), "another shop"


async def test_without_a_limit_no_order_is_kept(db: SalesDb, receipts: PointOfSale) -> None:
    assert not await order(db, limit=0).must_wait(1, HEADER, 0)


async def test_nothing_waits_for_a_type_that_is_not_carried(db: SalesDb, receipts: PointOfSale) -> None:
    """Nobody would ever send it."""
    assert not await order(db, carried=[SALE, GOODS_ISSUE]).must_wait(1, HEADER, 0)


async def test_a_receipt_waits_for_nothing(db: SalesDb, receipts: PointOfSale) -> None:
    of_receipts = DocumentOrder(db, PURCHASE_RECEIPT, DOCUMENT_TYPES, 60, batch_wait=0)
    assert not await of_receipts.must_wait(1, {"receipt_date": SOLD}, 0)


async def test_the_day_of_a_document_is_read_as_every_driver_returns_it(db: SalesDb, receipts: PointOfSale) -> None:
    for day in (SOLD, SOLD.date(), SOLD.isoformat(sep=" ")):
        assert await order(db).must_wait(1, {"sale_date": day}, 0), day


class Broken(SalesDb):
    async def transaction(self, work: Any) -> Any:
        raise StoreError("42S22", 207)


async def test_a_check_that_the_database_refuses_holds_nothing_up(db: SalesDb, receipts: PointOfSale) -> None:
    broken = Broken.__new__(Broken)
    assert not await order(broken).must_wait(1, HEADER, 0)
