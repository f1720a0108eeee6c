"""Tests that connectors/sql/00_check.sql only reads, is valid T-SQL, and judges column types as `doctor` does."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlglot
from sqlglot import TokenType, exp

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import DocumentType
from streams.documents.sale import SALE
from streams.stores.column_rules import column_problems, use_of
from streams.stores.column_types import Column
from streams.stores.schema import SALE_ACTION, SALE_SYNC, tables, written
from tests.support.connector_files import script, without_comments

TEXT = without_comments(script("00_check.sql")).replace("\nGO", "\n")
DYNAMIC = [text.replace("''", "'") for text in re.findall(r"SET @sql = N'((?:[^']|'')*)'", TEXT)]
_GUARD = re.compile(r"(IF\b.*?\n(?=BEGIN|    INSERT|        INSERT)|BEGIN\b|END\b|IF .*? (?=DROP))", re.DOTALL)
_NEWER_THAN_2008_R2 = re.compile(
    r"\b(IIF|CONCAT|FORMAT|TRY_CONVERT|TRY_CAST|STRING_AGG|CHOOSE|THROW|EOMONTH|OFFSET 0|DROP \w+ IF EXISTS|"
    r"dm_db_log_space_usage|dm_server_services|dm_os_volume_stats|DATEDIFF_BIG|replica_id|dm_hadr_\w+|change_tables)\b"
)


def statements() -> Iterator[str]:
    """Split the script at its semicolons, without the conditions that guard statements."""
    start = 0
    for token in sqlglot.tokenize(TEXT, read="tsql"):
        if token.token_type is TokenType.SEMICOLON:
            yield from _bare(TEXT[start : token.start])
            start = token.end + 1
    for text in DYNAMIC:
        yield from _bare(text)


def _bare(text: str) -> Iterator[str]:
    text = text.strip()
    while guard := _GUARD.match(text):
        text = text[guard.end() :].strip()
    if text:
        yield text


def test_every_statement_is_valid_t_sql_and_changes_nothing() -> None:
    for text in statements():
        tree = sqlglot.parse_one(text, read="tsql", error_level=sqlglot.ErrorLevel.IMMEDIATE)
        assert not isinstance(tree, exp.Command), text
        assert not tree.find(exp.Update, exp.Delete, exp.Merge, exp.Alter), text
        for change in tree.find_all(exp.Insert, exp.Create, exp.Drop):
            target = change.find(exp.Table) or change.this
            assert target.sql("tsql").split(" ")[0] in {"#found", "@needed", "@columns"}, text


def test_views_that_old_servers_lack_are_queried_only_by_dynamic_sql() -> None:
    fixed = TEXT
    for text in re.findall(r"SET @sql = N'(?:[^']|'')*'", TEXT):
        fixed = fixed.replace(text, "")
    without_texts = re.sub(r"N'(?:[^']|'')*'", "''", fixed)
    assert _NEWER_THAN_2008_R2.findall(without_texts) == []
    assert len(DYNAMIC) == 8


def test_every_warning_and_error_has_an_action_in_both_languages_and_the_worst_come_first() -> None:
    assert "ORDER BY harm, CASE level" in TEXT
    for text in statements():
        if text.startswith("INSERT INTO #found") and re.search(r"N'(warning|error)'", text):
            assert "action_vi, action_en" in text, text


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES, ids=lambda document_type: document_type.name)
def test_keys_triggers_and_capture_of_every_document_type_are_examined(document_type: DocumentType) -> None:
    by_name = dict(re.findall(r"-- name: (.+)\n((?:(?! *-- name: ).*\n)+)", script("00_check.sql")))
    table, code = document_type.table, document_type.document_code_column
    assert f"(N'{table}')" in by_name["primary key"]
    assert f"(N'{document_type.lines_table}')" in by_name["primary key"]
    assert f"OBJECT_ID(N'dbo.{table}')" in by_name["trigger"]
    assert f"<> N''{table}''" in by_name["capture instance without its table"]
    assert f"(N''{table}'', N''{code}'')" in by_name["capture instance without a column"]


def needed() -> dict[tuple[str, str], tuple[str, bool]]:
    rows = re.findall(r"\(N'(\w+)', N'(\w+)', N'(\w+)', ([01])\)", TEXT)
    return {(table, column): (use, flag == "1") for table, column, use, flag in rows}


def test_the_script_names_every_column_that_is_read_or_written_with_its_use() -> None:
    named = needed()
    wanted = {
        (table, column)
        for table, columns in tables(SALE).items()
        if table not in (SALE_SYNC, SALE_ACTION)
        for column in columns
    }
    assert set(named) == wanted
    for (table, column), (use, is_written) in named.items():
        assert is_written == (table == SALE.table and column in written(SALE)), column
        if use not in ("any", "key") and table != "AccountShop":
            assert use == use_of(column).name.lower(), column


TYPES = [
    *(Column(name) for name in ("tinyint", "smallint", "int", "bigint", "bit", "decimal", "numeric", "money")),
    *(Column(name) for name in ("smallmoney", "float", "real", "date", "smalldatetime", "datetime", "datetime2")),
    *(Column(name) for name in ("datetimeoffset", "time", "uniqueidentifier", "varbinary", "xml", "sql_variant")),
    *(Column(name, 11) for name in ("nvarchar", "nchar")),
    *(Column(name, length) for name in ("nvarchar", "nchar", "ntext") for length in (12, 99, 100, 1499, 1500, None)),
    *(Column(name, 100, page) for name in ("varchar", "char", "text") for page in (1252, 1258, 65001, 874)),
]


@pytest.fixture(scope="module")
def twin() -> Iterator[sqlite3.Connection]:
    """Create the tables of the script in SQLite."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            "CREATE TABLE needed_columns (tab, col, used_as, written, type, length, code_page, shown);"
            "CREATE TABLE found (harm, level, what, found, action_vi, action_en)"
        )
        yield database


def judged_by_the_script(twin: sqlite3.Connection, table: str, name: str, column: Column) -> list[tuple[str, bool]]:
    use, is_written = needed()[table, name]
    twin.execute("DELETE FROM needed_columns")
    twin.execute("DELETE FROM found")
    row = (table, name, use, is_written, column.type, column.length, column.code_page, str(column))
    twin.execute("INSERT INTO needed_columns VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    for text in RULES:
        twin.execute(text)
    return [(what, level == "error") for what, level in twin.execute("SELECT what, level FROM found")]


def _for_sqlite(text: str) -> str:
    text = re.sub(r"\bN'", "'", text.replace("@columns", "needed_columns").replace("#found", "found"))
    tree = sqlglot.parse_one(text, read="tsql")
    while plus := tree.find(exp.Add):
        plus.replace(exp.DPipe(this=plus.this, expression=plus.expression, safe=True))
    for right in list(tree.find_all(exp.Right)):
        right.replace(sqlglot.parse_one(f"SUBSTR({right.this.name}, -{right.expression.name})"))
    return tree.sql("sqlite")


RULES = [
    _for_sqlite(text)
    for text in statements()
    if text.startswith("INSERT INTO #found")
    and "FROM @columns\n" in text
    and "sys.objects" not in text
    and "is missing" not in text
]


def test_the_rules_of_the_script_are_found() -> None:
    assert len(RULES) == 3


@pytest.mark.parametrize("column", TYPES, ids=str)
def test_the_script_and_doctor_judge_a_column_alike(twin: sqlite3.Connection, column: Column) -> None:
    for table, name in needed():
        types = {(table.lower(), name): column}
        expected = {(problem.column, problem.is_unusable) for problem in column_problems(types, SALE)}
        assert set(judged_by_the_script(twin, table, name, column)) == expected, (table, name)
