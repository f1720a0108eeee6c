"""Tests that the local database agrees with SQL Server's scripts and captures the changes that CDC would."""

import itertools
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyodbc
import pytest
import sqlglot
from sqlglot import exp

from streams.local.database import open_database
from streams.local.samples.sales import sql_time
from tests.support.source_tables import POINT_OF_SALE_TABLES

SQL = Path(__file__).parents[2] / "connectors/sql"
OURS = {"SaleSync": (SQL / "sale_sync.sql").read_text(), "SaleAction": (SQL / "sale_action.sql").read_text()}
"""Our tables, and SQL Server's script of each."""
pyodbc.pooling = False  # as in streams.stores.sales_db
ODBC = "Driver=/usr/lib/x86_64-linux-gnu/odbc/libsqlite3odbc.so;Database=:memory:;Timeout=5000"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "chain.db"
    open_database(path).close()
    open_database(path).close()  # may be run again
    return path


@pytest.fixture
def database(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(file)) as connection:
        yield connection


@pytest.fixture
def worker(file: Path) -> Iterator[pyodbc.Connection]:
    """Open the database as a worker does: over ODBC, the file attached as `dbo`."""
    with closing(pyodbc.connect(ODBC, autocommit=True)) as connection:
        connection.execute("ATTACH DATABASE ? AS dbo", str(file)).close()
        connection.execute("PRAGMA dbo.journal_mode = WAL").close()
        yield connection


def columns_of(database: sqlite3.Connection, table: str) -> dict[str, str]:
    rows = database.execute(f"PRAGMA table_info({table})").fetchall()
    return {name: f"{type_} {'NOT NULL' if not_null else 'NULL'}" for _, name, type_, not_null, *_ in rows}


@pytest.mark.parametrize("table", POINT_OF_SALE_TABLES)
def test_the_tables_of_the_point_of_sale_have_their_columns(database: sqlite3.Connection, table: str) -> None:
    assert columns_of(database, table) == POINT_OF_SALE_TABLES[table]


def test_a_sale_is_unique_by_its_two_codes(database: sqlite3.Connection) -> None:
    add_sale(database)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        add_sale(database)


def test_a_line_needs_its_sale(database: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        database.execute(
            "INSERT INTO SalesInvoiceDetails (sales_invoice_id, drug_code, drug_name, lot_number, expiry_date, unit, "
            "concentration, dosage, quantity, unit_price, line_total, conversion_ratio) "
            "VALUES (7, 'd', 'n', 'l', '2028-01-01', 'u', 'c', 'd', 1, 1, 1, 1)"
        )


def made_on_sql_server(table: str) -> exp.Create:
    creates = [c for tree in sqlglot.parse(OURS[table], read="tsql") if tree for c in tree.find_all(exp.Create)]
    return next(create for create in creates if create.kind == "TABLE")


@pytest.mark.parametrize("table", OURS)
def test_our_tables_have_the_same_columns_and_defaults_on_both_servers(
    database: sqlite3.Connection, table: str
) -> None:
    there = {}
    for column in made_on_sql_server(table).find_all(exp.ColumnDef):
        not_null = any(
            isinstance(c.kind, exp.NotNullColumnConstraint) and not c.kind.args.get("allow_null")
            for c in column.constraints
        )
        default = column.find(exp.DefaultColumnConstraint)
        there[column.name] = (not_null, default.this.sql() if default else None)
    here = {
        name: (bool(not_null), default)
        for _, name, _, not_null, default, _ in database.execute(f"PRAGMA table_info({table})").fetchall()
    }
    assert here == there


@pytest.mark.parametrize("table", OURS)
def test_our_tables_have_the_same_types_keys_and_indexes_on_both_servers(
    database: sqlite3.Connection, table: str
) -> None:
    script = OURS[table]
    types = dict(re.findall(r"^    (\w+) +((?:NVARCHAR|INT|BIGINT)\S*) ", script, re.MULTILINE))
    local = {name: column_type.split()[0] for name, column_type in columns_of(database, table).items()}
    assert {name: column_type.replace("NVARCHAR(MAX)", "TEXT") for name, column_type in types.items()} == local
    key = [row[1] for row in sorted(database.execute(f"PRAGMA table_info({table})"), key=lambda r: r[5]) if row[5]]
    assert f"PRIMARY KEY ({', '.join(key)})" in script
    indexes = dict(re.findall(rf"^CREATE INDEX (\w+) ON dbo\.{table} \((.*)\);", script, re.MULTILINE))
    made = database.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", [table]).fetchall()
    assert indexes == {
        name: ", ".join(row[2] for row in database.execute(f"PRAGMA index_info({name})"))
        for (name,) in made
        if not name.startswith("sqlite_")
    }


@pytest.mark.parametrize("script", OURS.values(), ids=OURS)
def test_a_script_of_our_tables_may_be_run_again_and_explains_each_column(script: str) -> None:
    for statement in re.findall(r"^(?:IF .*\n)?CREATE .*", script, re.MULTILINE):
        assert statement.startswith("IF "), statement
    lines = script.split("CREATE TABLE", 1)[1].split("CONSTRAINT", 1)[0].splitlines()[1:]
    together = {"id", "refused_body", "refused_text"}  # explained with the column above
    for before, line in itertools.pairwise(lines):
        name = line.split()[0] if line.split() else ""
        if name and name != "--" and name not in together:
            assert before.strip().startswith("--"), f"{name} has no comment"


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT * FROM SalesInvoiceDetails WHERE sales_invoice_id IN (1, 2)", "IX_SalesInvoiceDetails_invoice"),
        ("SELECT id FROM SalesInvoices WHERE status = 'PENDING_SYNC'", "IX_SalesInvoices_status_updated"),
        (
            "SELECT COUNT(*) FROM SalesInvoices WHERE status = 'SYNC_SUCCESS' AND updated_at >= '2026-11-23'",
            "COVERING INDEX IX_SalesInvoices_status_updated",
        ),
        (
            "SELECT MAX(updated_at) FROM SalesInvoices WHERE shop_pharmacy_code = 'S' AND status = 'SYNC_SUCCESS'",
            "COVERING INDEX IX_SalesInvoices_shop",
        ),
        ("SELECT account FROM AccountShop WHERE shop_pharmacy_code = 'SHOP-01'", "IX_AccountShop_shop"),
        ("SELECT id FROM SaleSync WHERE document_type = 'sale' AND next_attempt_at <= 5", "IX_SaleSync_due"),
        (
            "SELECT reason_code, COUNT(*) FROM SaleSync WHERE document_type = 'sale' GROUP BY reason_code",
            "IX_SaleSync_reason",
        ),
    ],
)
def test_a_frequent_query_uses_an_index(database: sqlite3.Connection, statement: str, index: str) -> None:
    plan = " ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}"))
    assert index in plan


def add_sale(connection: sqlite3.Connection | pyodbc.Connection, schema: str = "") -> None:
    connection.execute(
        f"INSERT INTO {schema}SalesInvoices (local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, "  # noqa: S608
        "customer_name, status, created_at, updated_at) VALUES ('HD-1', '79-00001', 'SHOP-Đ', '2026-11-23 08:00:00', "
        "'Nguyễn Thị Ánh', 'PENDING_SYNC', '2026-11-23 08:00:00.000', '2026-11-23 08:00:00.000')"
    )


def changes(database: sqlite3.Connection) -> list[tuple[str, int, object, object]]:
    rows = database.execute("SELECT op, id, before, after FROM local_changes ORDER BY seq").fetchall()
    return [(op, id_, before and json.loads(before), after and json.loads(after)) for op, id_, before, after in rows]


def test_changes_that_a_worker_makes_over_odbc_are_captured(
    database: sqlite3.Connection, worker: pyodbc.Connection
) -> None:
    before_ms = time.time_ns() // 1_000_000
    add_sale(worker, "dbo.")
    worker.execute("UPDATE dbo.SalesInvoices SET status = ?, national_invoice_id = ?", "SYNC_SUCCESS", "HD_QG_1")
    worker.execute("DELETE FROM dbo.SalesInvoices")
    row = {"id": 1, "local_invoice_id": "HD-1", "pharmacy_code": "79-00001", "shop_pharmacy_code": "SHOP-Đ"}
    pending, done = row | {"status": "PENDING_SYNC"}, row | {"status": "SYNC_SUCCESS"}
    assert changes(database) == [("c", 1, None, pending), ("u", 1, pending, done), ("d", 1, done, None)]
    for (ts_ms,) in database.execute("SELECT ts_ms FROM local_changes"):
        assert before_ms - 2 <= ts_ms <= time.time_ns() // 1_000_000 + 2


def test_an_update_of_columns_that_are_not_captured_makes_no_change_event(
    database: sqlite3.Connection, worker: pyodbc.Connection
) -> None:
    add_sale(database)
    worker.execute("UPDATE dbo.SalesInvoices SET sync_response_message = 'chờ', status = 'PENDING_SYNC'")
    assert [op for op, *_ in changes(database)] == ["c"]


def test_a_change_that_is_rolled_back_makes_no_change_event(
    database: sqlite3.Connection, worker: pyodbc.Connection
) -> None:
    worker.autocommit = False
    add_sale(worker, "dbo.")
    worker.rollback()
    assert changes(database) == []


def test_no_personal_data_is_captured(database: sqlite3.Connection) -> None:
    add_sale(database)
    assert "Nguyễn" not in str(database.execute("SELECT * FROM local_changes").fetchall())


def test_times_are_written_as_the_odbc_driver_writes_them(
    database: sqlite3.Connection, worker: pyodbc.Connection
) -> None:
    add_sale(database)
    moment = datetime(2026, 11, 23, 23, 59, 1, 50_000)  # noqa: DTZ001 - a wall clock
    worker.execute("UPDATE dbo.SalesInvoices SET updated_at = ?", moment)
    assert database.execute("SELECT updated_at FROM SalesInvoices").fetchone() == (sql_time(moment),)
    assert worker.execute("SELECT updated_at FROM dbo.SalesInvoices").fetchone()[0] == moment
