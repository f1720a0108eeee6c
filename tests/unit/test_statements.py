"""Every SQL statement of the stores and the desk, as it is really built: plain, and fit for each server it may meet."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from sqlglot import exp

from streams import stores
from streams.documents import DOCUMENT_TYPES
from streams.documents.document import DocumentType
from streams.domain.reasons import Code
from streams.operators import desk
from streams.stores.dialects import DIALECTS, Dialect
from streams.stores.row_digests import DIGEST, digest_column, read_digests
from streams.stores.schema import indexes, rights
from streams.stores.sql_fragments import MAX_ROWS, by_id, chunks, one_of, set_to
from streams.stores.sync_state import STATE_COLUMNS
from tests.support.recorded_statements import IDS, SPOKEN, Recorder, Statement, parsed, statements

SQL_SERVERS_LIMIT = 2_100
ROOT = Path(stores.__file__).parents[2]
SCRIPTS = ("30_indexes", "40_logins", "sale_sync", "sale_action")
_WORDS = """
ADD ALL ALTER AND ANY AS ASC AUTHORIZATION BACKUP BEGIN BETWEEN BREAK BROWSE BULK BY CASCADE CASE CHECK CHECKPOINT
CLOSE CLUSTERED COALESCE COLLATE COLUMN COMMIT COMPUTE CONSTRAINT CONTAINS CONTAINSTABLE CONTINUE CONVERT CREATE
CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURSOR DATABASE DBCC DEALLOCATE DECLARE
DEFAULT DELETE DENY DESC DISK DISTINCT DISTRIBUTED DOUBLE DROP DUMP ELSE END ERRLVL ESCAPE EXCEPT EXEC EXECUTE
EXISTS EXIT EXTERNAL FETCH FILE FILLFACTOR FOR FOREIGN FREETEXT FREETEXTTABLE FROM FULL FUNCTION GOTO GRANT GROUP
HAVING HOLDLOCK IDENTITY IDENTITYCOL IDENTITY_INSERT IF IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY KILL LEFT
LIKE LINENO LOAD MERGE NATIONAL NOCHECK NONCLUSTERED NOT NULL NULLIF OF OFF OFFSETS ON OPEN OPENDATASOURCE OPENQUERY
OPENROWSET OPENXML OPTION OR ORDER OUTER OVER PERCENT PIVOT PLAN PRECISION PRIMARY PRINT PROC PROCEDURE PUBLIC
RAISERROR READ READTEXT RECONFIGURE REFERENCES REPLICATION RESTORE RESTRICT RETURN REVERT REVOKE RIGHT ROLLBACK
ROWCOUNT ROWGUIDCOL RULE SAVE SCHEMA SECURITYAUDIT SELECT SESSION_USER SET SETUSER SHUTDOWN SOME STATISTICS
SYSTEM_USER TABLE TABLESAMPLE TEXTSIZE THEN TO TOP TRAN TRANSACTION TRIGGER TRUNCATE TRY_CONVERT TSEQUAL UNION
UNIQUE UNPIVOT UPDATE UPDATETEXT USE USER VALUES VARYING VIEW WAITFOR WHEN WHERE WHILE WITH WRITETEXT
"""
RESERVED = frozenset(_WORDS.split())
"""Of Transact-SQL: as a name each would need brackets, which SQLite alone also takes."""


@cache
def names_in_the_scripts() -> set[str]:
    """Tables and columns. SQL Server's own script of the till's tables is not ours; SQLite's is a copy of it."""
    root = Path(stores.__file__).parents[2]
    names = ["connectors/sql/sale_sync.sql", "connectors/sql/sale_action.sql", "streams/local/schema.sql"]
    bare = [re.sub(r"--.*", "", (root / name).read_text()) for name in names]
    assert "dbo.SaleSync" in bare[0]
    return {name for text in bare for name in re.findall(r"\w+", text)}


def plain(sql: str, server: str) -> str:
    """Without the digests, which each server makes in its own way."""
    for kind in DOCUMENT_TYPES:
        for table, columns in (("d", kind.sent_columns), ("l", kind.line_columns)):
            if digest := digest_column(DIALECTS[server].digest, table, columns):
                sql = sql.replace(digest, "")
    return sql


def one_of_each() -> list[Any]:
    return [pytest.param(s, id=f"{SPOKEN[s.server]}: {s.sql[:60]}") for s in statements()]


@pytest.mark.parametrize("statement", one_of_each())
def test_it_is_plain_sql_with_our_schema_and_parameters_only(statement: Statement) -> None:
    tree = parsed(plain(statement.sql, statement.server), statement.server)
    assert isinstance(tree, (exp.Select, exp.Insert, exp.Update))
    assert {table.db for table in tree.find_all(exp.Table)} == {"dbo"}
    assert not list(tree.find_all(exp.Parameter, exp.Anonymous, exp.Command))
    marks = list(tree.find_all(exp.Placeholder))
    assert all(mark.this is None for mark in marks)  # "?", not ":name"
    assert len(marks) == len(statement.parameters) == statement.sql.count("?")
    assert "{" not in statement.sql
    functions = {type(f) for f in tree.find_all(exp.Func)} - {exp.Case, exp.If, exp.Cast, exp.Exists, exp.And, exp.Or}
    assert functions <= {exp.Count, exp.RowNumber, exp.Max, exp.Min, exp.Sum, exp.Lower, exp.Coalesce}


@pytest.mark.parametrize("statement", one_of_each())
def test_its_parameters_are_not_too_many_and_of_types_that_every_driver_takes(statement: Statement) -> None:
    assert len(statement.parameters) < SQL_SERVERS_LIMIT
    # No None: pyodbc would ask SQL Server for its type, statement by statement.
    assert {type(value) for value in statement.parameters} <= {int, str, datetime, date, Code}


@pytest.mark.parametrize("statement", one_of_each())
def test_sql_server_takes_what_its_parser_cannot_judge(statement: Statement) -> None:
    tree = parsed(statement.sql, statement.server)
    # Its names of columns have at most two parts; three are on their way out.
    assert not [column.sql() for column in tree.find_all(exp.Column) if column.args.get("db")]
    # Error 8133: a CASE needs one result that is not the constant NULL.
    for case in tree.find_all(exp.Case):
        results = [branch.args["true"] for branch in case.args["ifs"]] + [case.args.get("default")]
        assert not all(result is None or isinstance(result, exp.Null) for result in results)
    # OFFSET belongs to ORDER BY.
    for select in tree.find_all(exp.Select):
        assert select.args.get("order") or not (select.args.get("offset") or select.args.get("limit"))
    # Constants are typed by what stands beside them; a result column without anything beside it is not.
    if isinstance(tree, exp.Select):
        assert not [column.sql() for column in tree.expressions if isinstance(column.unalias(), exp.Placeholder)]


@pytest.mark.parametrize("statement", one_of_each())
def test_names_are_none_of_its_reserved_words_and_spelt_as_in_the_scripts(statement: Statement) -> None:
    """Under a binary or case-sensitive collation the case of a name counts."""
    tree = parsed(statement.sql, statement.server)
    assert not {name.name.upper() for name in tree.find_all(exp.Identifier)} & RESERVED
    own = {alias.alias for alias in tree.find_all(exp.Alias, exp.Subquery)} | {"dbo"}
    own |= {table.alias for table in tree.find_all(exp.Table) if table.alias}
    assert {name.name for name in tree.find_all(exp.Identifier)} <= own | names_in_the_scripts()


@pytest.mark.parametrize("server", DIALECTS)
def test_what_differs_is_spoken_by_its_own_server(server: str) -> None:
    dialect: Dialect = DIALECTS[server]
    assert isinstance(parsed(dialect.clock, server), exp.Select)
    limited = parsed(" ".join(["SELECT id FROM dbo.SaleSync ORDER BY id", dialect.limit.format(n=7)]), server)
    assert "7" in str(limited.args.get("limit"))


@pytest.mark.parametrize("server", DIALECTS)
def test_what_doctor_asks_of_a_server_is_spoken_by_it(server: str) -> None:
    catalogue = DIALECTS[server].catalogue
    asked = [text for field in fields(catalogue) if (text := getattr(catalogue, field.name)) is not None]
    assert len(asked) == {"Microsoft SQL Server": 7, "PostgreSQL": 3, "SQLite": 1}[server]
    for text in asked:
        tree = parsed(text.format(table="SaleSync", column="attempt", right="UPDATE"), server)
        assert isinstance(tree, exp.Select)
        assert not list(tree.find_all(exp.Command, exp.Placeholder))


@pytest.mark.parametrize("kind", DOCUMENT_TYPES, ids=lambda kind: kind.name)
def test_the_scripts_make_what_doctor_asks_for(kind: DocumentType) -> None:
    scripts = "".join((ROOT / f"connectors/sql/{name}.sql").read_text() for name in SCRIPTS)
    for table, columns in indexes(kind):
        key = rf"CREATE INDEX \w+ ON dbo\.{table} \({', '.join(columns)}\b|PRIMARY KEY \({', '.join(columns)}\b"
        assert re.search(key, scripts), (table, columns)
    for right, table, column in rights(kind):
        granted = re.findall(rf"GRANT ([A-Z, ]+) ON dbo\.{table} ?(\([^)]*\))?\s+TO \[\$\(WORKER_LOGIN", scripts)
        assert any(right in given and (column or "") in columns for given, columns in granted), (right, table, column)


@pytest.mark.parametrize("server", [server for server in DIALECTS if DIALECTS[server].digest])
@pytest.mark.parametrize("kind", DOCUMENT_TYPES, ids=lambda kind: kind.name)
def test_digests_are_spoken_by_their_server_and_take_every_column_once(kind: DocumentType, server: str) -> None:
    recorder = Recorder(server, news=False)
    read_digests(recorder, kind, IDS)
    headers, lines = recorder.seen
    for statement, columns in ((headers, kind.sent_columns), (lines, kind.line_columns)):
        tree = parsed(statement.sql, server)
        assert isinstance(tree, exp.Select)
        of = [part for part in tree.expressions if part.alias == DIGEST]
        assert [column.name for column in of[0].find_all(exp.Column, bfs=False)] == list(columns)
        assert not list(tree.find_all(exp.Command))
    beside_rows = {s.sql for s in statements() if s.server == server and f"AS {DIGEST}" in s.sql}
    for table, columns in (("d", kind.sent_columns), ("l", kind.line_columns)):
        text = digest_column(DIALECTS[server].digest, table, columns)
        assert sum(text in sql for sql in (headers.sql, lines.sql)) == 1
        assert any(text in sql for sql in beside_rows)


def test_servers_differ_in_nothing_but_the_limit() -> None:
    texts: dict[str, set[str]] = {server: set() for server in DIALECTS}
    for statement in statements():
        limit = DIALECTS[statement.server].limit.partition("{n}")[0]
        texts[statement.server].add(plain(statement.sql, statement.server).partition(f" {limit}")[0])
    first, *others = texts.values()
    assert all(other == first for other in others)


def test_no_statement_is_left_out() -> None:
    """A new constant of a store fails here until it is asked above."""
    seen = [statement.sql for statement in statements()]
    constants = {
        f"{module.name}.{name}": value
        for package in (stores, desk)
        for module in iter_modules(package.__path__)
        for name, value in vars(import_module(f"{package.__name__}.{module.name}")).items()
        if isinstance(value, str) and value.startswith(("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "MERGE "))
    }
    assert len(constants) > 15
    for name, text in constants.items():
        pieces = re.split(r"\{\w+\}", text)
        assert any(all(piece in sql for piece in pieces) for sql in seen), f"{name} was never asked"


def test_every_column_of_the_state_is_read() -> None:
    headers = {s.sql for s in statements() if "LEFT JOIN dbo.SaleSync" in s.sql and "s.tries" in s.sql}
    assert headers
    assert all(f"s.{column}" in text for column in STATE_COLUMNS for text in headers)


def test_lists_come_in_few_sizes() -> None:
    assert one_of([1]) == ("?", [1])
    assert one_of([1, 2, 3]) == ("?, ?, ?, ?", [1, 2, 3, 3])
    sizes = {len(one_of(list(range(n)))[1]) for n in range(1, MAX_ROWS + 1)}
    assert sizes == {1, 2, 4, 8, 16, 32, 64, 128}


def test_values_by_id() -> None:
    assert by_id({}, otherwise="status") == ("status", [])
    assert by_id({1: None}, otherwise="NULL") == ("NULL", [])
    assert by_id({1: 7, 2: None}, otherwise="NULL", cast="INT") == (
        "CASE id WHEN ? THEN CAST(? AS INT) ELSE NULL END",
        [1, 7],
    )
    assert by_id({1: None, 2: "a", 3: None}, otherwise="status") == (
        "CASE id WHEN ? THEN ? WHEN ? THEN NULL WHEN ? THEN NULL ELSE status END",
        [2, "a", 1, 3],
    )
    texts = {by_id(dict.fromkeys(range(n), "a"), otherwise="status")[0] for n in range(1, MAX_ROWS + 1)}
    assert len(texts) == 8


def test_what_is_set_to_nothing_is_no_parameter() -> None:
    assert set_to({"a": 1, "b": None, "c": ""}) == ("a = ?, b = NULL, c = ?", [1, ""])


def test_chunks_lose_nothing() -> None:
    items = list(range(300))
    parts = chunks(items)
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) <= MAX_ROWS
    assert chunks([]) == []
