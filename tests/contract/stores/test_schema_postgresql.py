"""Tests that PostgreSQL has SQLite's tables, and that its log-ins have exactly the rights of the scripts for SQL
Server.
"""
# ruff: noqa: S608 - the names of tables and columns are the schema's own

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyodbc
import pytest

from streams.documents import DOCUMENT_TYPES
from streams.local.capture_triggers import captured_columns
from streams.local.database import open_database
from streams.stores.schema import tables
from streams.stores.schema import written as set_by_write_back
from tests.contract.stores.databases import Postgresql

TABLES = tuple(dict.fromkeys(table for kind in DOCUMENT_TYPES for table in tables(kind)))
OF_THE_POINT_OF_SALE = tuple(table for table in TABLES if table not in ("SaleSync", "SaleAction"))
NOT_READ = {"AccountShop": {"pharmacy_code"}, "GoodsIssueSlipDetails": {"production_date"}}
"""An issue's form has no production day."""
LONGER_ON_PURPOSE = {("salesinvoices", "customer_name"): "VARCHAR(100)"}
"""A point of sale's 60 characters must come in there, to be refused by us."""


class Column(NamedTuple):
    name: str
    type: str
    nullable: bool
    default: str | None


class Table(NamedTuple):
    columns: list[Column]
    keys: set[tuple[str, ...]]
    """The primary key and unique ones."""
    indexes: dict[str, tuple[str, ...]]
    references: set[tuple[str, str, str]]


@pytest.fixture
def owner(postgresql: Postgresql) -> Iterator[pyodbc.Connection]:
    with closing(postgresql.connect()) as connection:
        yield connection


@pytest.fixture
def worker(postgresql: Postgresql, owner: pyodbc.Connection) -> Iterator[pyodbc.Connection]:
    owner.execute(
        "INSERT INTO dbo.SalesInvoices VALUES "
        "(1, 'HD-1', NULL, 'P', 'S', NULL, now(), NULL, 'Ánh', 'PENDING_SYNC', NULL, now(), now())"
    )
    with closing(postgresql.connect("worker")) as connection:
        yield connection


@pytest.fixture
def debezium(postgresql: Postgresql) -> Iterator[pyodbc.Connection]:
    with closing(postgresql.connect("debezium")) as connection:
        yield connection


def common(type_: str) -> str:
    """Return one name for a type that two servers name differently."""
    text = {"INTEGER": "INT", "DATETIME": "TIMESTAMP(3)", "DATETIME2(3)": "TIMESTAMP(3)"}
    text |= {"CHARACTER VARYING": "VARCHAR", "NUMERIC": "DECIMAL", "TIMESTAMP(3) WITHOUT TIME ZONE": "TIMESTAMP(3)"}
    type_ = type_.upper()
    name, bracket, size = type_.partition("(")
    return text.get(type_) or text.get(name, name).removeprefix("N") + bracket + size


def on_sqlite(database: sqlite3.Connection, name: str) -> Table:
    info = database.execute(f"PRAGMA table_info({name})").fetchall()
    columns = [
        Column(column, common(type_), not (not_null or key), default)
        for _, column, type_, not_null, default, key in info
    ]
    keys, indexes = set(), {}
    if key := tuple(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]):
        keys.add(key)
    for _, index, unique, *_ in database.execute(f"PRAGMA index_list({name})").fetchall():
        of = tuple(row[2] for row in database.execute(f"PRAGMA index_info({index})"))
        if unique:
            keys.add(of)
        else:
            indexes[index.lower()] = of
    foreign = database.execute(f"PRAGMA foreign_key_list({name})").fetchall()
    return Table(columns, keys, indexes, {(row[3], row[2].lower(), row[4]) for row in foreign})


def on_postgresql(owner: pyodbc.Connection, name: str) -> Table:
    def query(sql: str) -> list[Any]:
        return list(owner.execute(sql, f"dbo.{name.lower()}").fetchall())

    columns = [
        Column(column, common(type_), not not_null, default)
        for column, type_, not_null, default in query(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), CAST(a.attnotnull AS INT), "
            "pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a "
            "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
            "WHERE a.attrelid = CAST(? AS regclass) AND a.attnum > 0 ORDER BY a.attnum"
        )
    ]
    keys, indexes = set(), {}
    parts: dict[tuple[str, int], list[str]] = defaultdict(list)
    for index, unique, column in query(
        "SELECT i.indexrelid::regclass::text, CAST(i.indisunique AS INT), pg_get_indexdef(i.indexrelid, n, true) "
        "FROM pg_index i, generate_series(1, i.indnatts) n WHERE i.indrelid = CAST(? AS regclass) "
        "ORDER BY i.indexrelid, n"
    ):
        parts[index.removeprefix("dbo."), unique].append(column)
    for (index, unique), of in parts.items():
        if unique:
            keys.add(tuple(of))
        else:
            indexes[index] = tuple(of)
    foreign = query(
        "SELECT a.attname, c.relname, b.attname FROM pg_constraint f JOIN pg_class c ON c.oid = f.confrelid "
        "JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1] "
        "JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1] "
        "WHERE f.contype = 'f' AND f.conrelid = CAST(? AS regclass)"
    )
    return Table(columns, keys, indexes, {tuple(row) for row in foreign})


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_the_same_on_both_servers(name: str, owner: pyodbc.Connection, tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "chain.db")) as database:
        expected = on_sqlite(database, name)
    for place, column in enumerate(expected.columns):
        if longer := LONGER_ON_PURPOSE.get((name.lower(), column.name)):
            assert column.type != longer
            expected.columns[place] = column._replace(type=longer)
    assert on_postgresql(owner, name) == expected


def test_postgresql_has_no_other_tables(owner: pyodbc.Connection) -> None:
    there = owner.execute("SELECT relname FROM pg_class WHERE relnamespace = 'dbo'::regnamespace AND relkind = 'r'")
    assert sorted(name for (name,) in there.fetchall()) == sorted(name.lower() for name in TABLES)


def refused(connection: pyodbc.Connection, sql: str) -> bool:
    """Say whether the rights of the log-in, and nothing else, refuse the statement."""
    try:
        connection.execute(sql)
    except pyodbc.Error as error:
        if error.args[0] != "42501":
            raise
        return True
    return False


def columns_of(owner: pyodbc.Connection, table: str) -> list[str]:
    return [column.name for column in on_postgresql(owner, table).columns]


@pytest.mark.parametrize("table", TABLES)
def test_a_worker_may_read_exactly_the_columns_that_doctor_checks(
    worker: pyodbc.Connection, owner: pyodbc.Connection, table: str
) -> None:
    columns = columns_of(owner, table)
    read = [column for column in columns if not refused(worker, f"SELECT {column} FROM dbo.{table}")]
    expected = {column for document_type in DOCUMENT_TYPES for column in tables(document_type).get(table, ())}
    assert set(read) == expected
    assert set(columns) - set(read) == NOT_READ.get(table, set())


def test_a_worker_may_write_only_four_columns_of_the_point_of_sale(
    worker: pyodbc.Connection, owner: pyodbc.Connection
) -> None:
    columns = [(table, column) for table in OF_THE_POINT_OF_SALE for column in columns_of(owner, table)]
    written = {place for place in columns if not refused(worker, "UPDATE dbo.{0} SET {1} = {1}".format(*place))}
    assert written == {(each.table, column) for each in DOCUMENT_TYPES for column in set_by_write_back(each)}


def test_a_worker_may_write_its_own_tables_and_delete_nothing(
    worker: pyodbc.Connection, owner: pyodbc.Connection
) -> None:
    worker.execute("INSERT INTO dbo.SaleSync (document_type, id) VALUES ('sale', 1)")
    for column in columns_of(owner, "SaleSync"):
        worker.execute(f"UPDATE dbo.SaleSync SET {column} = {column}")
    assert worker.execute("SELECT COUNT(*) FROM dbo.SaleSync").fetchone()[0] == 1
    # Who asked for what is only added to.
    worker.execute("INSERT INTO dbo.SaleAction VALUES ('sale', 1, 'r', 'send_again', 'Lan', 5, NULL)")
    assert refused(worker, "UPDATE dbo.SaleAction SET actor = 'Hoa'")
    for table in OF_THE_POINT_OF_SALE:
        assert refused(worker, f"INSERT INTO dbo.{table} SELECT * FROM dbo.{table}")
    for table in TABLES:
        assert refused(worker, f"DELETE FROM dbo.{table}")
        assert refused(worker, f"TRUNCATE dbo.{table}")
        assert refused(worker, f"ALTER TABLE dbo.{table} ADD more INT")
    assert refused(worker, "CREATE TABLE dbo.another (id INT)")


def test_debezium_may_read_only_the_five_captured_columns(
    debezium: pyodbc.Connection, owner: pyodbc.Connection
) -> None:
    there = [(table, column) for table in TABLES for column in columns_of(owner, table)]
    read = {place for place in there if not refused(debezium, "SELECT {1} FROM dbo.{0}".format(*place))}
    assert read == {(kind.table, column) for kind in DOCUMENT_TYPES for column in captured_columns(kind)}
    for table in TABLES:
        assert refused(debezium, f"INSERT INTO dbo.{table} SELECT * FROM dbo.{table}")
        assert refused(debezium, f"UPDATE dbo.{table} SET {columns_of(owner, table)[0]} = NULL")
        assert refused(debezium, f"DELETE FROM dbo.{table}")
