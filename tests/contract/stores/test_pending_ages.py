"""The numbers of pending documents by age, and the tables without a primary key, on every server."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from streams.documents.sale import SALE
from streams.domain.local_time import local_time
from streams.stores.pending_ages import PendingAges, read_pending_ages
from streams.stores.sales_db import SalesDb
from streams.stores.schema import tables_without_key
from tests.contract.stores.point_of_sale import PointOfSale

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
AGES = [timedelta(0), timedelta(minutes=59), timedelta(hours=2), timedelta(hours=25), timedelta(days=4)]


async def test_every_pending_document_is_counted_once_by_its_age(db: SalesDb, point_of_sale: PointOfSale) -> None:
    assert await read_pending_ages(db, SALE, ZONE) == PendingAges()
    now = local_time(await db.now_ms(), ZONE)
    await point_of_sale.sell(*range(len(AGES)))
    await point_of_sale.sell(90, status="SYNC_SUCCESS")
    for id_, age in enumerate(AGES):
        await point_of_sale.run("UPDATE dbo.SalesInvoices SET created_at = ? WHERE id = ?", now - age, id_)
    assert await read_pending_ages(db, SALE, ZONE) == PendingAges(2, 1, 1, 1)


async def test_of_the_tables_only_the_one_of_the_accounts_has_no_primary_key(db: SalesDb) -> None:
    catalogue = await db.transaction(lambda tx: tx.dialect.catalogue)
    found = await tables_without_key(db, catalogue)
    assert {name for name in found if name != "sqlite_sequence"} == {"accountshop"}
