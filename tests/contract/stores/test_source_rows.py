"""Tests how documents of the point of sale and their states are read, many at once."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal

import pytest

from streams.documents.sale import SALE
from streams.domain.account import fingerprint
from streams.domain.document_status import Operation
from streams.stores.dialects import DIALECTS
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.source_rows import SourceRows
from streams.stores.sync_state import SyncState
from tests.contract.stores.point_of_sale import SOLD, PointOfSale
from tests.tsql_server import TSQL


@pytest.fixture
def rows(db: SalesDb) -> SourceRows:
    return SourceRows(db)


async def test_a_sale_is_read_with_its_header_lines_and_state(rows: SourceRows, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, shop="SHOP-Đ")
    await point_of_sale.add_lines(1, "DRUG-1")
    await point_of_sale.sync(
        1,
        attempt=3,
        lease_until=4_000_000_000_000,
        sent_hash="ab",
        ever_accepted=1,
        published_attempt=2,
        next_attempt_at=5,
        attempts_since=6,
        tries=7,
    )
    (found,) = await rows.read(SALE, [1])
    assert found is not None
    assert found.operation is Operation.SEND
    header = dict(found.header)
    assert header | {"id": 1} == header
    assert (header["local_invoice_id"], header["pharmacy_code"], header["shop_pharmacy_code"]) == (
        "HD-1",
        "79-1",
        "SHOP-Đ",
    )
    assert (header["customer_name"], header["sale_date"], header["seller_name"]) == ("Nguyễn Thị Ánh", SOLD, None)
    assert found.state == SyncState(3, 4_000_000_000_000, "ab", True, 2, 5, 6, 7)
    (line,) = found.lines
    assert (line["drug_code"], line["drug_name"], line["production_date"]) == ("DRUG-1", "Thuốc Đỏ", None)
    assert line["expiry_date"] == date(2028, 1, 31)
    assert Decimal(line["quantity"]) == Decimal("1.5")  # some drivers give text


async def test_a_sale_that_was_read_becomes_a_body(rows: SourceRows, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.add_lines(1, "DRUG-1", "DRUG-2")
    (found,) = await rows.read(SALE, [1])
    assert found is not None
    body = json.loads(SALE.transform(found.header, found.lines, SOLD.date()).content)
    assert (body["ma_hoa_don"], body["ngay_ban"], body["ho_ten_khach_hang"]) == ("HD-1", "20261123", "Nguyễn Thị Ánh")
    assert [line["ma_thuoc"] for line in body["hoa_don_chi_tiet"]] == ["DRUG-1", "DRUG-2"]
    assert {key: body["hoa_don_chi_tiet"][0][key] for key in ("han_dung", "so_luong", "don_gia", "thanh_tien")} == {
        "han_dung": "20280131",
        "so_luong": 1.5,
        "don_gia": 2,
        "thanh_tien": 3,
    }


async def test_a_text_without_a_limit_is_read_completely(rows: SourceRows, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.add_lines(1, "DRUG-1")
    dosage = "Ngày uống 2 lần, " * 2000
    await point_of_sale.run("UPDATE dbo.SalesInvoiceDetails SET dosage = ?", dosage)
    (found,) = await rows.read(SALE, [1])
    assert found is not None
    assert found.lines[0]["dosage"] == dosage


@pytest.mark.parametrize("database", ["postgresql", *TSQL], indirect=True)
async def test_values_have_the_types_that_sql_servers_driver_returns(
    rows: SourceRows, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.add_lines(1, "DRUG-1")
    await point_of_sale.sync(1, lease_until=4_000_000_000_000)
    (found,) = await rows.read(SALE, [1])
    assert found is not None
    assert found.state is not None
    (line,) = found.lines
    values = found.header["id"], found.state.lease_until, found.header["sale_date"], line["expiry_date"]
    assert [type(value) for value in (*values, line["quantity"])] == [int, int, datetime, date, Decimal]


async def test_documents_are_returned_in_the_requested_order(rows: SourceRows, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, 2, 3)
    found = await rows.read(SALE, [3, 9, 1, 2, 3])
    assert [f and f.header["id"] for f in found] == [3, None, 1, 2, 3]


async def test_a_deleted_document_is_returned_as_none(rows: SourceRows, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sync(1, attempt=1)
    assert await rows.read(SALE, [1, 2]) == [None, None]


async def test_each_sale_has_its_own_lines_in_the_order_of_entry(rows: SourceRows, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, 2, 3)
    await point_of_sale.add_lines(2, "B1")
    await point_of_sale.add_lines(1, "A1", "A2")
    await point_of_sale.add_lines(2, "B3", "B2")
    found = await rows.read(SALE, [1, 2, 3])
    assert [[line["drug_code"] for line in f.lines] for f in found if f] == [["A1", "A2"], ["B1", "B3", "B2"], []]


async def test_an_unclaimed_document_has_no_state_even_when_another_document_type_has_one(
    rows: SourceRows, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2)
    await point_of_sale.run("INSERT INTO dbo.SaleSync (document_type, id, attempt) VALUES ('other', 1, 9)")
    await point_of_sale.sync(2)
    found = await rows.read(SALE, [1, 2])
    assert [f and f.state for f in found] == [None, SyncState()]


@pytest.mark.parametrize("status", ["SYNC_SUCCESS", "SYNC_FAILED", "CANCELLED"])
async def test_a_document_that_is_not_pending_is_marked_so(
    rows: SourceRows, point_of_sale: PointOfSale, status: str
) -> None:
    await point_of_sale.sell(1, status=status)
    (found,) = await rows.read(SALE, [1])
    assert found is not None
    assert found.operation is None


async def test_a_full_batch_is_read_in_one_call(rows: SourceRows, point_of_sale: PointOfSale) -> None:
    ids = list(range(1, 129))
    await point_of_sale.sell(*ids)
    for id_ in ids:
        await point_of_sale.add_lines(id_, f"D-{id_}")
    found = await rows.read(SALE, ids)
    assert [(f.header["id"], f.lines[0]["drug_code"]) for f in found if f] == [(i, f"D-{i}") for i in ids]


async def test_the_active_accounts_of_each_shop_are_read(rows: SourceRows, point_of_sale: PointOfSale) -> None:
    await point_of_sale.open_account("ONE", "one", "pwd-1")
    await point_of_sale.open_account("ONE", "old", "pwd-0", status=0)
    await point_of_sale.open_account("TWO", "two-a", "pwd-a")
    await point_of_sale.open_account("TWO", "two-b", "pwd-b")
    await point_of_sale.open_account("CLOSED", "closed", "pwd-c", status=0)
    found = await rows.accounts(["TWO", "NONE", "ONE", "CLOSED", "ONE"])
    assert [sorted(a.username for a in accounts) for accounts in found] == [
        ["two-a", "two-b"],
        [],
        ["one"],
        [],
        ["one"],
    ]
    (account,) = found[2]
    assert (account.shop, account.password.get_secret_value()) == ("ONE", "pwd-1")
    assert "pwd-1" not in repr(found)


@pytest.mark.parametrize(("name", "password"), [(None, "p"), ("n", None), (None, None)])
async def test_an_account_without_a_name_or_password_is_read_as_an_empty_one(
    rows: SourceRows, point_of_sale: PointOfSale, name: str | None, password: str | None
) -> None:
    """The columns allow it, and it must not stop the shops that are read with it."""
    await point_of_sale.open_account("S", name, password)
    await point_of_sale.open_account("T", "t", "p")
    (account,), (other,) = await rows.accounts(["S", "T"])
    assert (account.username, account.password.get_secret_value()) == (name or "", password or "")
    assert fingerprint(account, "http://127.0.0.1") != fingerprint(other, "http://127.0.0.1")


async def test_shop_codes_that_the_server_distinguishes_have_separate_accounts(
    rows: SourceRows, point_of_sale: PointOfSale
) -> None:
    if await are_equal(point_of_sale, "a", "A") or await are_equal(point_of_sale, "a", "a "):
        pytest.skip("to this server these codes are the same")
    for code in ("SHOP-Đ", "shop-Đ", "SHOP-D"):
        await point_of_sale.open_account(code, f"of {code}", "p")
    found = await rows.accounts(["shop-Đ", "SHOP-D", "SHOP-Đ", "shop-d", "SHOP-D "])
    assert [[a.username for a in accounts] for accounts in found] == [
        ["of shop-Đ"],
        ["of SHOP-D"],
        ["of SHOP-Đ"],
        [],
        [],
    ]


@pytest.mark.parametrize(
    ("alike", "as_the_point_of_sale_writes", "account"),
    [("case", ("shop-1", "Shop-1", "SHOP-2"), "SHOP-1"), ("blanks", ("SHOP-1  ", "SHOP-1", "SHOP-2"), "SHOP-1 ")],
)
async def test_shop_codes_that_are_equal_to_the_server_share_their_account(
    rows: SourceRows, point_of_sale: PointOfSale, alike: str, as_the_point_of_sale_writes: tuple[str, ...], account: str
) -> None:
    """SQL Server's usual collations compare so; here the column gets one that is like them."""
    await collate(point_of_sale, alike)
    await point_of_sale.open_account(account, "one", "p")
    await point_of_sale.open_account("SHOP-2", "two", "p")
    found = await rows.accounts(as_the_point_of_sale_writes)
    assert [[a.username for a in accounts] for accounts in found] == [["one"], ["one"], ["two"]]
    # As the account's own row has it: one log-in for all of them.
    assert {a.shop for accounts in found for a in accounts} == {account, "SHOP-2"}
    # Two rows that are one code to the server are two accounts of one shop, however they are written.
    await point_of_sale.open_account(as_the_point_of_sale_writes[0], "another", "p")
    for code in as_the_point_of_sale_writes[:2]:
        ((first, second),) = await rows.accounts([code])
        assert {first.username, second.username} == {"one", "another"}


async def test_the_servers_collation_decides_whether_a_sale_is_pending(
    rows: SourceRows, point_of_sale: PointOfSale
) -> None:
    """A row that the server finds as pending must not be skipped as if it were not."""
    await point_of_sale.sell(1, status="pending_sync")
    (before,) = await rows.read(SALE, [1])
    assert before is not None
    assert (before.operation is Operation.SEND) == await are_equal(point_of_sale, "a", "A")
    await collate(point_of_sale, "case", "SalesInvoices", "status")
    (after,) = await rows.read(SALE, [1])
    assert after is not None
    assert after.operation is Operation.SEND


async def are_equal(point_of_sale: PointOfSale, one: str, other: str) -> bool:
    """Ask the server whether its own collation compares these texts as equal."""
    await point_of_sale.open_account(one, None, None)
    found = await point_of_sale.rows("SELECT account FROM dbo.AccountShop WHERE shop_pharmacy_code = ?", other)
    await point_of_sale.run("DELETE FROM dbo.AccountShop")
    return bool(found)


async def collate(
    point_of_sale: PointOfSale, alike: str, table: str = "AccountShop", column: str = "shop_pharmacy_code"
) -> None:
    """Make the column treat texts as equal that differ in case, or in blanks at the end."""
    if await are_equal(point_of_sale, "a", {"case": "A", "blanks": "a "}[alike]):
        return

    def work(tx: Transaction) -> None:
        if tx.dialect is DIALECTS["SQLite"]:
            name = {"case": "NOCASE", "blanks": "RTRIM"}[alike]
            ((made,),) = tx.rows("SELECT sql FROM dbo.sqlite_master WHERE type = 'table' AND name = ?", [table])
            made = re.sub(rf"\b({column} +\w+\(\d+\))", rf"\1 COLLATE {name}", made, count=1)
            tx.execute(f"CREATE TABLE dbo.kept AS SELECT * FROM dbo.{table}")  # noqa: S608
            tx.execute(f"DROP TABLE dbo.{table}")
            tx.execute(made.replace(f"CREATE TABLE {table}", f"CREATE TABLE dbo.{table}"))
            tx.execute(f"INSERT INTO dbo.{table} SELECT * FROM dbo.kept")  # noqa: S608
        elif tx.dialect is DIALECTS["Microsoft SQL Server"]:
            pytest.skip("this database is one whose collation tells them apart")
        elif alike == "case":
            options = "provider = icu, locale = 'und-u-ks-level2', deterministic = false"
            tx.execute(f"CREATE COLLATION dbo.one_case ({options})")
            tx.execute(f"ALTER TABLE dbo.{table} ALTER COLUMN {column} TYPE VARCHAR(50) COLLATE dbo.one_case")
        else:
            pytest.skip("this server has no collation that passes over blanks at the end")

    await point_of_sale.db.transaction(work)
