"""Tests that rows have the same digest, computed by the server, only where they are the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from streams.documents.sale import SALE
from streams.stores.dialects import DIALECTS
from streams.stores.row_digests import read_digests, try_digests
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows
from tests.contract.stores.databases import Database
from tests.contract.stores.point_of_sale import PointOfSale
from tests.tsql_server import TSQL

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
with_digests = pytest.mark.parametrize("database", ["postgresql", *TSQL], indirect=True)
DAYS = {"sale_date", "production_date", "expiry_date"}
AMOUNTS = {"quantity", "unit_price", "line_total", "conversion_ratio"}


async def digests(db: SalesDb, *ids: int) -> dict[int, str]:
    return await db.transaction(lambda tx: read_digests(tx, SALE, ids))


async def digest(db: SalesDb) -> str:
    return (await digests(db, 1))[1]


@pytest.fixture
async def sold(point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.add_lines(1, "DRUG-1", "DRUG-2")


@with_digests
async def test_a_digest_is_the_same_read_with_the_rows_and_alone(
    db: SalesDb, point_of_sale: PointOfSale, sold: None
) -> None:
    await point_of_sale.sell(2, 3)
    await point_of_sale.add_lines(3, "DRUG-1", "DRUG-2")
    found = await SourceRows(db).read(SALE, [1, 2, 3, 4])
    by_itself = await digests(db, 3, 2, 1, 4)
    assert {f.header["id"]: f.digest for f in found if f} == by_itself
    assert len(set(by_itself.values())) == 3, "each sale has its own code, so none is like another"
    assert await digests(db) == {}


def changed(column: str) -> str:
    return "'2027-02-03'" if column in DAYS else "1.51" if column in AMOUNTS else "'khác'"


@with_digests
@pytest.mark.parametrize("column", SALE.sent_columns)
async def test_any_sent_column_of_the_header_changes_the_digest(
    db: SalesDb, point_of_sale: PointOfSale, sold: None, column: str
) -> None:
    before = await digest(db)
    await point_of_sale.run(f"UPDATE dbo.SalesInvoices SET {column} = {changed(column)} WHERE id = 1")  # noqa: S608
    assert await digest(db) != before


@with_digests
@pytest.mark.parametrize("column", SALE.line_columns)
async def test_any_sent_column_of_a_line_changes_the_digest(
    db: SalesDb, point_of_sale: PointOfSale, sold: None, column: str
) -> None:
    before = await digest(db)
    await point_of_sale.run(
        f"UPDATE dbo.SalesInvoiceDetails SET {column} = {changed(column)} WHERE drug_code = 'DRUG-2'"  # noqa: S608
    )
    assert await digest(db) != before


@with_digests
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE dbo.SalesInvoiceDetails SET concentration = '500', dosage = 'mg1 viên' WHERE drug_code = 'DRUG-1'",
        "UPDATE dbo.SalesInvoiceDetails SET quantity = 1.05 WHERE drug_code = 'DRUG-1'",
        "DELETE FROM dbo.SalesInvoiceDetails WHERE drug_code = 'DRUG-1'",
        "UPDATE dbo.SalesInvoiceDetails SET drug_code = CASE drug_code WHEN 'DRUG-1' THEN 'DRUG-2' ELSE 'DRUG-1' END",
    ],
    ids=["between two columns", "a digit", "a line less", "other order"],
)
async def test_a_moved_or_missing_value_changes_the_digest(
    db: SalesDb, point_of_sale: PointOfSale, sold: None, change: str
) -> None:
    before = await digest(db)
    await point_of_sale.run(change)
    assert await digest(db) != before


@with_digests
async def test_the_end_of_a_long_text_changes_the_digest(db: SalesDb, point_of_sale: PointOfSale, sold: None) -> None:
    seen = set()
    for end in "ab":
        await point_of_sale.run("UPDATE dbo.SalesInvoiceDetails SET dosage = ?", "Ngày uống 2 lần, " * 2000 + end)
        seen.add(await digest(db))
    assert len(seen) == 2


@with_digests
async def test_a_column_that_is_not_sent_does_not_change_the_digest(
    db: SalesDb, point_of_sale: PointOfSale, sold: None
) -> None:
    before = await digest(db)
    await point_of_sale.run(
        "UPDATE dbo.SalesInvoices SET status = 'SYNC_SUCCESS', national_invoice_id = 'QG-1', "
        "sync_response_message = 'x', updated_at = '2027-01-01', shop_pharmacy_code = 'OTHER'"
    )
    assert await digest(db) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_server_without_digests_gives_none(db: SalesDb, point_of_sale: PointOfSale, sold: None) -> None:
    assert await digests(db, 1) == {}
    (found,) = await SourceRows(db).read(SALE, [1])
    assert found is not None
    assert found.digest is None


@asynccontextmanager
async def fresh(database: Database) -> AsyncIterator[SalesDb]:
    db = SalesDb(database.settings())
    await db.open()
    try:
        yield db
    finally:
        await db.close()


@with_digests
async def test_digests_are_used_after_the_server_has_proved_that_it_supports_them(
    database: Database, point_of_sale: PointOfSale, sold: None
) -> None:
    async with fresh(database) as db:
        assert await digests(db, 1) == {}
        with capture_logs() as logs:
            await try_digests(db, [SALE])
        assert list(await digests(db, 1)) == [1]
        assert logs == []


@on_postgresql
async def test_rows_of_a_server_that_refuses_digests_are_read_completely(
    database: Database, point_of_sale: PointOfSale, sold: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older SQL Server refuses, and one whose columns have collations that it cannot combine."""
    unknown = replace(DIALECTS["PostgreSQL"], digest="HASHBYTES('SHA2_256', {columns})")
    monkeypatch.setitem(DIALECTS, "PostgreSQL", unknown)
    async with fresh(database) as db:
        with capture_logs() as logs:
            await try_digests(db, [SALE])
        assert [(line["event"], line["error"]) for line in logs] == [
            ("digests.refused", "SQLSTATE 42883, server error 1")
        ]
        (found,) = await SourceRows(db).read(SALE, [1])
        assert found is not None
        assert (len(found.lines), found.digest) == (2, None)
