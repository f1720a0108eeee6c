"""Column types as points of sale have them: what is sent of them, which rule refuses them, or why no worker starts."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.documents.document import BrokenRules
from streams.documents.sale import SALE
from streams.operators.checks.columns import judge_columns
from streams.stores.column_check import UnusableColumns, known_column_types, require_usable
from streams.stores.row_digests import try_digests
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows
from streams.stores.sync_state import STATE_COLUMNS
from tests.contract import tds_types as tds
from tests.contract.stores.databases import Postgresql, Sqlite, settings_for
from tests.contract.stores.point_of_sale import PointOfSale
from tests.contract.tds_server import Request, ok, rows, tds_server

GUID = "12345678-1234-5678-1234-567812345678"
SEPARATE = "Vi\u00ea\u0323t Đ"
"""As code page 1258 has it: the tone is a character of its own."""
TODAY = date(2026, 11, 24)
SOLD = datetime(2026, 11, 23, 8, 0, 1)  # noqa: DTZ001 - the clock of a point of sale
WIRE = {
    "quantity": "so_luong",
    "unit_price": "don_gia",
    "seller_name": "ho_ten_nguoi_ban",
    "sale_date": "ngay_ban",
    "lot_number": "so_lo",
    "expiry_date": "han_dung",
}
IN_LINES = {"quantity", "unit_price", "lot_number", "expiry_date"}


@dataclass(frozen=True)
class Broken:
    """The document is refused by this rule."""

    rule: str


@dataclass(frozen=True)
class NotStarted:
    """No worker starts; the message has this text."""

    why: str


@dataclass(frozen=True)
class Variant:
    column: str
    declared: str
    stored: Any
    expected: Any
    """What is sent, or `Broken`, or `NotStarted`."""
    wire: tds.TdsType | None = None
    code_page: int | None = None

    def __str__(self) -> str:
        return f"{self.column} {self.declared} {self.stored!r}"[:60]


ON_SQLITE = [
    Variant("quantity", "FLOAT", 0.1 + 0.2, Decimal("0.3")),
    Variant("quantity", "REAL", 0.1, Decimal("0.1")),
    Variant("quantity", "DOUBLE PRECISION", 100000008, 100000008),
    Variant("quantity", "DECIMAL(18,4)", "1.2345", Decimal("1.2345")),
    Variant("quantity", "MONEY", "1.2345", Decimal("1.2345")),
    Variant("quantity", "BIGINT", 123456789012345, 123456789012345),
    Variant("quantity", "NVARCHAR(20)", "12.50", Decimal("12.5")),
    Variant("quantity", "NVARCHAR(20)", "12,5", Broken("valid")),
    Variant("quantity", "UNIQUEIDENTIFIER", "x", NotStarted("an amount must be DECIMAL")),
    Variant("seller_name", "TEXT", "Nguyễn Thị Ánh", "Nguyễn Thị Ánh"),
    Variant("seller_name", "INT", 7, NotStarted("a text must be NVARCHAR")),
    Variant("sale_date", "NVARCHAR(30)", "2026-11-23 08:00", "20261123"),
    Variant("sale_date", "NVARCHAR(30)", "23/11/2026", Broken("date")),
    Variant("sale_date", "INT", 20261123, NotStarted("a day must be DATE")),
]

ON_POSTGRESQL = [
    Variant("quantity", "double precision", "0.1::float8 + 0.2::float8", Decimal("0.3")),
    Variant("quantity", "double precision", "'NaN'", Broken("finite")),
    Variant("quantity", "double precision", "123456789.12", Decimal("123456789.12")),
    Variant("quantity", "real", "0.1", Decimal("0.1")),
    Variant("quantity", "real", "1234567", 1234567),
    Variant("quantity", "numeric(38,20)", "1.25", Decimal("1.25")),
    Variant("quantity", "numeric(38,20)", "0.33333333333333333333", Broken("max_digits:15")),
    Variant("quantity", "bigint", "123456789012345", 123456789012345),
    Variant("quantity", "smallint", "3", 3),
    Variant("quantity", "character varying(20)", "'12.50'", Decimal("12.5")),
    Variant("quantity", "uuid", "gen_random_uuid()", NotStarted("an amount must be DECIMAL")),
    Variant("seller_name", "text", "'Nguyễn Thị Ánh'", "Nguyễn Thị Ánh"),
    Variant("seller_name", "character(8)", "'Ánh'", "Ánh     "),
    Variant("seller_name", "bytea", r"'\x01'", NotStarted("a text must be NVARCHAR")),
    Variant("sale_date", "date", "'2026-11-23'", "20261123"),
    Variant("sale_date", "timestamp with time zone", "'2026-11-23'", NotStarted("no time zone is converted")),
    Variant("sale_date", "character varying(30)", "'2026-11-23'", "20261123"),
]

ON_SQL_SERVER = [
    Variant("quantity", "float", 0.1 + 0.2, Decimal("0.3"), tds.FLOAT),
    Variant("quantity", "float", 4.35 * 100, 435, tds.FLOAT),
    Variant("quantity", "float", 100000008.0, 100000008, tds.FLOAT),
    Variant("quantity", "float", float("nan"), Broken("finite"), tds.FLOAT),
    Variant("quantity", "real", 0.1, Decimal("0.1"), tds.REAL),
    Variant("quantity", "real", 12345.67, Decimal("12345.67"), tds.REAL),
    Variant("quantity", "real", 1234567, 1234567, tds.REAL),
    Variant("quantity", "real", 16777216, 16777216, tds.REAL),
    Variant("quantity", "money", Decimal("1234.5678"), Decimal("1234.5678"), tds.MONEY),
    Variant("quantity", "money", Decimal("-0.0001"), Broken("not_negative"), tds.MONEY),
    Variant("quantity", "smallmoney", Decimal("1.25"), Decimal("1.25"), tds.SMALLMONEY),
    Variant("quantity", "decimal", Decimal("12.50"), Decimal("12.5"), tds.decimal(18, 2)),
    Variant("quantity", "numeric", Decimal("0.12345678"), Decimal("0.12345678"), tds.decimal(38, 20)),
    Variant("quantity", "decimal", Decimal("1234567890123.456"), Broken("max_digits:15"), tds.decimal(18, 3)),
    Variant("quantity", "bigint", 123456789012345, 123456789012345, tds.integer(8)),
    Variant("quantity", "tinyint", 200, 200, tds.integer(1)),
    Variant("quantity", "varchar", "12.5", Decimal("12.5"), tds.varchar(20, tds.LATIN, "cp1252"), 1252),
    Variant("quantity", "bit", 1, NotStarted("an amount must be DECIMAL"), tds.BIT),
    Variant("quantity", "varbinary", b"1", NotStarted("an amount must be DECIMAL"), tds.VARBINARY),
    Variant("seller_name", "nvarchar", "Nguyễn 𝄞", "Nguyễn 𝄞", tds.nvarchar(50)),
    Variant("seller_name", "nvarchar", None, None, tds.nvarchar(50)),
    Variant("seller_name", "varchar", SEPARATE, "Việt Đ", tds.varchar(50, tds.VIETNAMESE, "cp1258"), 1258),
    Variant("seller_name", "varchar", "Vi?t é", "Vi?t é", tds.varchar(50, tds.LATIN, "cp1252"), 1252),
    Variant("seller_name", "varchar", "Nguyễn", "Nguyễn", tds.varchar(50, tds.UTF8, "utf-8"), 65001),
    Variant("seller_name", "char", "An", "An      ", tds.char(8, tds.LATIN, "cp1252"), 1252),
    Variant("seller_name", "nchar", "Ánh", "Ánh     ", tds.nchar(8)),
    Variant("lot_number", "int", 7, NotStarted("a text must be NVARCHAR"), tds.integer(4)),
    Variant("sale_date", "date", SOLD, "20261123", tds.DATE),
    Variant("sale_date", "datetime", SOLD, "20261123", tds.DATETIME),
    Variant("sale_date", "smalldatetime", SOLD, "20261123", tds.SMALLDATETIME),
    Variant("sale_date", "datetime2", SOLD, "20261123", tds.DATETIME2),
    Variant("sale_date", "datetimeoffset", SOLD, NotStarted("no time zone is converted"), tds.DATETIMEOFFSET),
    Variant("sale_date", "nvarchar", "2026-11-23", "20261123", tds.nvarchar(20)),
    Variant("id", "bigint", 2**40, 2**40, tds.integer(8)),
    Variant("id", "smallint", 7, 7, tds.integer(2)),
    Variant("id", "uniqueidentifier", GUID, NotStarted("a key must be INT"), tds.GUID),
    Variant("id", "decimal", Decimal(7), NotStarted("a key must be INT"), tds.decimal(18, 0)),
]
EXACT_IN_DIGESTS = {"nvarchar", "varchar", "nchar", "char", "decimal", "numeric", "bigint", "tinyint", "int"}
EXACT_IN_DIGESTS |= {"smallint", "date", "datetime", "smalldatetime", "datetime2"}


def each(variants: list[Variant]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("variant", variants, ids=str)


async def check(db: SalesDb, variant: Variant, id_: int = 1) -> None:
    """Assert that a worker does with the column what the variant says."""
    if isinstance(variant.expected, NotStarted):
        with pytest.raises(UnusableColumns) as refused:
            require_usable(await known_column_types(db), [SALE])
        assert f".{variant.column} is {variant.declared.split('(')[0].upper()}" in str(refused.value)
        assert variant.expected.why in str(refused.value)
        assert refused.value.action
        return
    require_usable(await known_column_types(db), [SALE])
    [found] = await SourceRows(db).read(SALE, [id_])
    assert found is not None
    if isinstance(variant.expected, Broken):
        with pytest.raises(BrokenRules) as broken:
            SALE.transform(found.header, found.lines, TODAY)
        [rule] = broken.value.rules
        assert (rule.field.rpartition(".")[2], rule.rule) == (WIRE[variant.column], variant.expected.rule)
        return
    body = json.loads(SALE.transform(found.header, found.lines, TODAY).content, parse_float=Decimal)
    if variant.column == "id":
        assert found.header["id"] == variant.expected
        return
    part = body["hoa_don_chi_tiet"][0] if variant.column in IN_LINES else body
    assert part.get(WIRE[variant.column]) == variant.expected


# ---- SQLite ----


@each(ON_SQLITE)
async def test_a_column_type_of_sqlite_gives_what_the_table_says(tmp_path: Path, variant: Variant) -> None:
    database = Sqlite(tmp_path)
    with closing(sqlite3.connect(tmp_path / "database/chain.db", isolation_level=None)) as owner:
        owner.execute("PRAGMA writable_schema = ON")
        for name, text in owner.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall():
            changed = re.sub(rf"(?m)^(\s+{variant.column}\s+)\w+(\([\d,]+\))?", rf"\g<1>{variant.declared}", text or "")
            owner.execute("UPDATE sqlite_master SET sql = ? WHERE name = ? AND type = 'table'", (changed, name))
    db = SalesDb(database.settings())
    await db.open()
    try:
        await _sell(PointOfSale(db))
        table = "SalesInvoiceDetails" if variant.column in IN_LINES else "SalesInvoices"
        await PointOfSale(db).run(f"UPDATE dbo.{table} SET {variant.column} = ?", variant.stored)  # noqa: S608
        await check(db, variant)
    finally:
        await db.close()


# ---- PostgreSQL ----


@each(ON_POSTGRESQL)
async def test_a_column_type_of_postgresql_gives_what_the_table_says(postgresql: Postgresql, variant: Variant) -> None:
    """Promise 1. Broken by: a worker starts with a column that no sale can be read from, and ends every sale
    as failed.
    """
    table = "SalesInvoiceDetails" if variant.column in IN_LINES else "SalesInvoices"
    db = SalesDb(postgresql.settings(**postgresql.points_of_sale()))
    await db.open()
    try:
        await _sell(PointOfSale(db))
        with closing(postgresql.connect()) as owner:
            owner.execute(f"ALTER TABLE dbo.{table} ALTER COLUMN {variant.column} DROP NOT NULL")
            owner.execute(
                f"ALTER TABLE dbo.{table} ALTER COLUMN {variant.column} TYPE {variant.declared} "
                f"USING CAST({variant.stored} AS {variant.declared})"
            )
    finally:
        await db.close()
    worker = SalesDb(postgresql.settings())
    await worker.open()
    try:
        await check(worker, variant)
    finally:
        await worker.close()


async def test_a_worker_with_the_least_rights_sees_the_types_of_its_columns(postgresql: Postgresql) -> None:
    db = SalesDb(postgresql.settings())
    await db.open()
    try:
        types = await known_column_types(db)
        [finding] = judge_columns(types, SALE)
        sent = len(SALE.sent_columns) + len(SALE.line_columns)
        assert finding.what == f"all {sent} that are sent can be read as they are"
        await try_digests(db, [SALE], types)
        assert db.digests
    finally:
        await db.close()


async def _sell(point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.add_lines(1, "DRUG-1")


# ---- Microsoft's driver ----

HEADER: dict[str, tuple[str, tds.TdsType, Any]] = {
    "id": ("int", tds.integer(4), 1),
    **{name: ("nvarchar", tds.nvarchar(50), "HD-1") for name in SALE.sent_columns},
    "national_prescription_id": ("nvarchar", tds.nvarchar(50), None),
    "sale_date": ("datetime", tds.DATETIME, SOLD),
    "shop_pharmacy_code": ("nvarchar", tds.nvarchar(50), "SHOP-1"),
    "status": ("nvarchar", tds.nvarchar(20), "PENDING_SYNC"),
    **{name: ("int", tds.integer(4), None) for name in STATE_COLUMNS},
    "pending": ("int", tds.integer(4), 1),
}
LINE: dict[str, tuple[str, tds.TdsType, Any]] = {
    "parent": ("int", tds.integer(4), 1),
    **{name: ("nvarchar", tds.nvarchar(50), "x") for name in SALE.line_columns},
    "production_date": ("date", tds.DATE, None),
    "expiry_date": ("date", tds.DATE, date(2028, 1, 31)),
    **{
        name: ("decimal", tds.decimal(18, 2), Decimal(1))
        for name in ("quantity", "unit_price", "line_total", "conversion_ratio")
    },
}


def playing(variant: Variant) -> Callable[[Request], bytes | None]:
    """Return a server whose tables have one column of the variant's type."""
    header, line = dict(HEADER), dict(LINE)
    assert variant.wire is not None
    of = line if variant.column in IN_LINES else header
    of[variant.column] = (variant.declared, variant.wire, variant.stored)
    if variant.column == "id":
        line["parent"] = of["id"]

    def types(table: str, columns: dict[str, tuple[str, tds.TdsType, Any]]) -> list[list[Any]]:
        renamed = {"parent": SALE.lines_parent_column}
        pages = {variant.column: variant.code_page}
        length = {"nvarchar": 50, "varchar": 50, "char": 8, "nchar": 8}
        return [
            [
                table,
                renamed.get(name, name),
                type_,
                length.get(type_),
                pages.get(name),
            ]
            for name, (type_, _, _) in columns.items()
        ]

    def result(columns: dict[str, tuple[str, tds.TdsType, Any]]) -> bytes:
        shape = [(name, wire) for name, (_, wire, _) in columns.items()]
        return tds.rows_of(shape, [[value for _, _, value in columns.values()]])

    def answer(request: Request) -> bytes | None:
        if "INFORMATION_SCHEMA" in request.sql:
            text, number = tds.nvarchar(128), tds.integer(4)
            shape = [("t", text), ("c", text), ("d", text), ("l", number), ("p", number)]
            return tds.rows_of(shape, [*types(SALE.table, header), *types(SALE.lines_table, line)])
        if "HASHBYTES" in request.sql:
            return rows() if " FROM " in request.sql else rows((bytes(32),))
        if "DATEDIFF" in request.sql:
            return tds.one_column(tds.integer(8), 1_795_000_000_000)
        if "FROM dbo.SalesInvoices d" in request.sql:
            return result(header)
        return result(line) if "FROM dbo.SalesInvoiceDetails l" in request.sql else ok(request)

    return answer


@each(ON_SQL_SERVER)
async def test_a_column_type_of_sql_server_gives_what_the_table_says(driver: Path, variant: Variant) -> None:
    """Promise 2. Broken by: an amount in a REAL column is sent as the driver widens it."""
    async with tds_server(answer=playing(variant)) as server:
        dsn = f"Driver={driver};Server=127.0.0.1,{server.port};Database=chain;UID=sa;PWD=x;Encrypt=no"
        db = SalesDb(settings_for(sales_db_dsn=dsn, sales_db_connections=1))
        await db.open()
        try:
            await check(db, variant, id_=variant.stored if variant.column == "id" else 1)
        finally:
            await db.close()


@each([variant for variant in ON_SQL_SERVER if not isinstance(variant.expected, NotStarted)])
async def test_digests_are_used_only_where_equal_ones_mean_equal_bodies(driver: Path, variant: Variant) -> None:
    """Promise 2. Broken by: rows that differ only in the digits of a FLOAT or MONEY that a digest lacks count
    as unchanged.

    CONCAT writes a FLOAT with six digits, and a MONEY with two decimals.
    """
    async with tds_server(answer=playing(variant)) as server:
        dsn = f"Driver={driver};Server=127.0.0.1,{server.port};Database=chain;UID=sa;PWD=x;Encrypt=no"
        db = SalesDb(settings_for(sales_db_dsn=dsn, sales_db_connections=1))
        await db.open()
        try:
            with capture_logs() as logs:
                await try_digests(db, [SALE])
            assert db.digests == (variant.declared in EXACT_IN_DIGESTS)
            if not db.digests:
                [line] = logs
                assert line["event"] == "digests.not_exact"
                assert line["columns"] == [f"SalesInvoiceDetails.{variant.column}: {variant.declared.upper()}"]
        finally:
            await db.close()


def test_the_table_of_types_has_a_row_for_each_of_them() -> None:
    table = (Path(__file__).parents[3] / "docs/column-types.md").read_text(encoding="utf-8").upper()
    declared = {variant.declared.split("(")[0].upper() for variant in ON_SQL_SERVER}
    assert [name for name in sorted(declared) if not re.search(rf"`{name}\b", table)] == []
    assert len(ON_SQLITE) + len(ON_POSTGRESQL) + len(ON_SQL_SERVER) > 60
