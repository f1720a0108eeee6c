"""Tests that sample sales are reproducible, fit the tables, and are wrong only where they are meant to be."""

import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from streams.documents import GOODS_ISSUE, PURCHASE_RECEIPT
from streams.documents.document import BrokenRules, DocumentType
from streams.documents.sale import SALE
from streams.local.database import SqliteDatabase, open_database
from streams.local.samples import REFUSED_DRUG_CODE, Fault, Seller
from streams.local.samples.sales import SALE_FAULTS
from streams.local.samples.stock import STOCK_FAULTS

NOW = datetime(2026, 11, 23, 17, 30, 15, 250_000, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))
TABLES = (
    *("SalesInvoices", "SalesInvoiceDetails", "PurchaseReceipts", "PurchaseReceiptDetails"),
    *("GoodsIssueSlips", "GoodsIssueSlipDetails", "AccountShop"),
)


class HandClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chain.db"


@pytest.fixture
def database(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(file)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def contents(file: Path) -> list[list[tuple[object, ...]]]:
    with closing(open_database(file)) as connection:
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]  # noqa: S608


def filled(file: Path, seed: int, counts: tuple[int, ...]) -> list[list[tuple[object, ...]]]:
    for count in counts:
        database = SqliteDatabase(file)
        with Seller(database, seed=seed, fault_share=0.3, fault_kinds=WITHOUT_LATE, now=lambda: NOW) as seller:
            seller.trade(count)
    return contents(file)


WITHOUT_LATE = tuple(fault for fault in Fault if fault is not Fault.LATE_LINES)


def test_the_same_seed_sells_the_same_sales_also_after_a_restart(tmp_path: Path) -> None:
    once = filled(tmp_path / "once.db", 7, (120,))
    assert filled(tmp_path / "again.db", 7, (120,)) == once
    assert filled(tmp_path / "in_parts.db", 7, (50, 70)) == once
    assert filled(tmp_path / "other.db", 8, (120,)) != once


def test_a_database_of_another_seed_is_refused(file: Path) -> None:
    Seller(SqliteDatabase(file), seed=1).close()
    with pytest.raises(ValueError, match="another seed"):
        Seller(SqliteDatabase(file), seed=2)


def test_every_sale_has_exactly_the_fault_that_it_names(file: Path, database: sqlite3.Connection) -> None:
    """The pipeline's own rules find exactly the faults that were made, and no others."""
    rules_broken = {
        Fault.MISSING_LOT: ("so_lo", "required"),
        Fault.EMPTY_DOSAGE: ("lieu_dung", "required"),
        Fault.LONG_CUSTOMER_NAME: ("ho_ten_khach_hang", "max_length:50"),
        Fault.NEGATIVE_AMOUNT: ("so_luong", "not_negative"),
        Fault.NO_LINES: ("hoa_don_chi_tiet", "at_least_one"),
    }
    with Seller(SqliteDatabase(file), fault_share=0.5, now=lambda: NOW) as seller:
        seller.sell(600)
        seller.finish()
        assert {sale.fault for sale in seller.sales} == {None, *SALE_FAULTS}
        shops_with_problems = {shop.code: shop.trouble for shop in seller.shops if shop.trouble}
        for sale in seller.sales:
            header = database.execute("SELECT * FROM SalesInvoices WHERE id = ?", [sale.id]).fetchone()
            lines = database.execute(
                "SELECT * FROM SalesInvoiceDetails WHERE sales_invoice_id = ?", [sale.id]
            ).fetchall()
            found = broken_rule(header, lines)
            expected = rules_broken.get(sale.fault) if sale.fault else None
            assert found == expected, sale
            assert any(line["drug_code"] == REFUSED_DRUG_CODE for line in lines) == (sale.fault is Fault.REFUSED_DRUG)
            assert (sale.shop in shops_with_problems) == (sale.expected == "WAITS")
            if sale.shop in shops_with_problems:
                assert shops_with_problems[sale.shop] == str(sale.fault).removesuffix("_shop")


def broken_rule(header: sqlite3.Row, lines: list[sqlite3.Row]) -> tuple[str, str] | None:
    def typed(line: sqlite3.Row) -> dict[str, object]:
        amounts = ("quantity", "unit_price", "line_total", "conversion_ratio")
        return dict(line) | {name: Decimal(str(line[name])) for name in amounts}

    sale_date = datetime.fromisoformat(header["sale_date"])
    try:
        SALE.transform(dict(header) | {"sale_date": sale_date}, [typed(line) for line in lines], NOW.date())
    except BrokenRules as error:
        rule = error.rules[0]
        return rule.field.rpartition(".")[2], rule.rule
    return None


STOCK_RULES = {
    Fault.MISSING_LOT: {"so_lo": "required"},
    Fault.NEGATIVE_AMOUNT: {"so_luong": "not_negative"},
    Fault.NO_LINES: {"chi_tiet": "at_least_one"},
    Fault.WRONG_TYPE: {"loai_phieu_nhap": "one_of:1, 2, 3", "loai_phieu_xuat": "one_of:2, 3"},
}


@pytest.mark.parametrize("document_type", [PURCHASE_RECEIPT, GOODS_ISSUE], ids=lambda each: each.name)
def test_every_receipt_and_issue_has_exactly_the_fault_that_was_made(
    file: Path, database: sqlite3.Connection, document_type: DocumentType
) -> None:
    with Seller(SqliteDatabase(file), fault_share=0.5, now=lambda: NOW) as seller:
        made = seller.commit(document_type, 400)
        seller.finish()
    assert {each.fault for each in made} == {None, *STOCK_FAULTS}
    kinds = set()
    for each in made:
        header, lines = (
            database.execute(f"SELECT * FROM {table} WHERE {column} = ?", [each.id]).fetchall()  # noqa: S608
            for table, column in (
                (document_type.table, "id"),
                (document_type.lines_table, document_type.lines_parent_column),
            )
        )
        amounts = {"quantity", "unit_price"}
        typed = [{name: str(line[name]) if name in amounts else line[name] for name in line.keys()} for line in lines]  # noqa: SIM118
        try:
            document_type.transform(dict(header[0]), typed, NOW.date())
            found = {}
        except BrokenRules as error:
            found = {rule.field.rpartition(".")[2]: rule.rule for rule in error.rules}
        assert found.items() <= STOCK_RULES.get(each.fault, {}).items(), each  # type: ignore[arg-type]
        assert bool(found) == (each.fault in STOCK_RULES), each
        kinds.add(header[0]["receipt_type" if document_type is PURCHASE_RECEIPT else "issue_type"])
    assert kinds == ({1, 2, 3, 4} if document_type is PURCHASE_RECEIPT else {2, 3, 4})


def test_eight_receipts_and_three_issues_come_with_a_hundred_sales(file: Path, database: sqlite3.Connection) -> None:
    with Seller(SqliteDatabase(file), fault_share=0) as seller:
        for _ in range(6):
            seller.trade(50)
        names = Counter(document.document_type.name for document in seller.stock)
    assert names == {"purchase_receipt": 24, "goods_issue": 9}
    assert database.execute("SELECT COUNT(*) FROM PurchaseReceipts").fetchone()[0] == 24


def test_the_share_of_faulty_sales_is_the_configured_one(file: Path) -> None:
    with Seller(SqliteDatabase(file), now=lambda: NOW) as seller:
        faulty = [sale for sale in seller.sell(3000) if sale.fault]
        assert 0.045 < len(faulty) / 3000 < 0.075
        assert len(Counter(sale.fault for sale in faulty)) == len(SALE_FAULTS)


def test_a_fault_share_of_zero_makes_no_faulty_sale(file: Path, database: sqlite3.Connection) -> None:
    with Seller(SqliteDatabase(file), shops=2, fault_share=0) as seller:
        assert {sale.expected for sale in seller.sell(200)} == {"SYNC_SUCCESS"}
    assert lines_per_sale(database).keys() == set(range(1, 201))


def lines_per_sale(database: sqlite3.Connection) -> dict[int, int]:
    rows = database.execute("SELECT sales_invoice_id, COUNT(*) FROM SalesInvoiceDetails GROUP BY sales_invoice_id")
    return {row[0]: row[1] for row in rows}


def test_sample_texts_fit_their_columns_and_are_composed_vietnamese(file: Path, database: sqlite3.Connection) -> None:
    with Seller(SqliteDatabase(file), fault_share=0.2, now=lambda: NOW) as seller:
        seller.trade(500)
        long_names = {sale.id for sale in seller.sales if sale.fault is Fault.LONG_CUSTOMER_NAME}
    seen = set()
    for table in TABLES:
        widths = {
            name: int(type_[9:-1])
            for _, name, type_, *_ in database.execute(f"PRAGMA table_info({table})")
            if type_.startswith("NVARCHAR(")
        }
        for row in database.execute(f"SELECT * FROM {table}"):  # noqa: S608
            for name in row.keys():  # noqa: SIM118 - a row iterates over its values
                if isinstance(row[name], str):
                    assert unicodedata.is_normalized("NFC", row[name]), row[name]
                    seen |= set(row[name])
                    too_long = len(row[name]) > widths.get(name, 10_000)
                    is_long = table == "SalesInvoices" and name == "customer_name" and row["id"] in long_names
                    assert too_long == is_long, row[name]
    assert seen >= set("ễầặốứọđĐ")
    assert {len(row[0]) for row in database.execute("SELECT customer_name FROM SalesInvoices") if row[0]} >= {60}


def test_amounts_lines_and_times_of_a_sample_sale_are_consistent(file: Path, database: sqlite3.Connection) -> None:
    with Seller(SqliteDatabase(file), fault_share=0, now=lambda: NOW) as seller:
        seller.sell(800)
    assert set(lines_per_sale(database).values()) == set(range(1, 9))
    for line in database.execute("SELECT * FROM SalesInvoiceDetails"):
        quantity, price, total = (Decimal(str(line[name])) for name in ("quantity", "unit_price", "line_total"))
        assert total == quantity * price > 0
        assert line["production_date"] < "2026-11-23" < line["expiry_date"]
    times = database.execute("SELECT DISTINCT sale_date, created_at, updated_at FROM SalesInvoices").fetchall()
    assert [tuple(row) for row in times] == [
        ("2026-11-23 17:30:15.000", "2026-11-23 17:30:15.250", "2026-11-23 17:30:15.250")
    ]


def test_late_lines_follow_half_a_second_to_two_seconds_after_the_header(
    file: Path, database: sqlite3.Connection
) -> None:
    clock = HandClock()
    with Seller(SqliteDatabase(file), fault_share=1, fault_kinds=[Fault.LATE_LINES], monotonic=clock) as seller:
        seller.sell(40)
        clock.seconds = 0.49
        assert (seller.pump(), seller.late, lines_per_sale(database)) == (0, 40, {})
        clock.seconds = 1.2
        some = seller.pump()
        assert 0 < some < 40
        assert len(lines_per_sale(database)) == some == 40 - seller.late
        clock.seconds = 2.0
        assert some + seller.pump() == 40
        assert len(lines_per_sale(database)) == 40


@pytest.mark.parametrize("stop", [Seller.finish, Seller.close])
def test_a_seller_that_stops_loses_no_late_lines(
    file: Path, database: sqlite3.Connection, stop: Callable[[Seller], object]
) -> None:
    seller = Seller(SqliteDatabase(file), fault_share=1, fault_kinds=[Fault.LATE_LINES])
    sold = seller.sell(10)
    stop(seller)
    assert lines_per_sale(database).keys() == {sale.id for sale in sold}
    seller.close()


def active_accounts(database: sqlite3.Connection, shop: str) -> list[tuple[str, str]]:
    rows = database.execute(
        "SELECT account, password FROM AccountShop WHERE shop_pharmacy_code = ? AND status = 1", [shop]
    )
    return [tuple(row) for row in rows]


def test_mending_gives_every_shop_the_one_account_that_the_national_system_knows(
    file: Path, database: sqlite3.Connection
) -> None:
    with Seller(SqliteDatabase(file), shops=3) as seller:
        right = {account["shop"]: (account["usr"], account["pwd"]) for account in seller.accounts}
        unknown, wrong, two = (shop.code for shop in seller.shops[-3:])
        assert unknown not in right
        assert active_accounts(database, unknown) == []
        assert active_accounts(database, wrong) != [right[wrong]]
        assert len(active_accounts(database, two)) == 2
        for _ in range(2):  # again does nothing
            mended = seller.mend()
            right |= {account["shop"]: (account["usr"], account["pwd"]) for account in mended.accounts}
            for shop in seller.shops:
                assert active_accounts(database, shop.code) == [right[shop.code]]
        assert len(mended.words) == 3
        assert not any(shop.password in word for shop in seller.shops for word in mended.words)
        assert {account["shop"] for account in seller.accounts} == {shop.code for shop in seller.shops}
        assert len(set(seller.pharmacy_codes)) == 6


def test_each_paced_sale_is_committed_separately(file: Path, database: sqlite3.Connection) -> None:
    seen: list[int] = []

    def now() -> datetime:
        seen.append(database.execute("SELECT COUNT(*) FROM SalesInvoices").fetchone()[0])
        return NOW + timedelta(seconds=len(seen))

    with Seller(SqliteDatabase(file), now=now) as seller:
        seller.sell(3, per_commit=1)
    assert seen == [0, 1, 2]
