"""Tests that all T-SQL of the product that a worker with CAPTURE=polling needs is that of SQL Server 2008 R2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields

import pytest

from streams.stores.dialects import DIALECTS
from tests.support.connector_files import SQL, script, without_comments
from tests.support.recorded_statements import statements, without_digests

SQL_SERVER = "Microsoft SQL Server"
DIALECT = DIALECTS[SQL_SERVER]

FUNCTIONS = """
IIF CHOOSE CONCAT FORMAT PARSE TRY_PARSE TRY_CONVERT TRY_CAST EOMONTH DATEFROMPARTS DATETIMEFROMPARTS
DATETIME2FROMPARTS SMALLDATETIMEFROMPARTS TIMEFROMPARTS DATETIMEOFFSETFROMPARTS LAG LEAD FIRST_VALUE LAST_VALUE
PERCENT_RANK CUME_DIST PERCENTILE_CONT PERCENTILE_DISC STRING_AGG STRING_SPLIT STRING_ESCAPE CONCAT_WS TRANSLATE TRIM
DATEDIFF_BIG COMPRESS DECOMPRESS ISJSON OPENJSON JSON_VALUE JSON_QUERY JSON_MODIFY SESSION_CONTEXT GREATEST LEAST
DATETRUNC DATE_BUCKET GENERATE_SERIES APPROX_COUNT_DISTINCT REGEXP_LIKE
"""
NEWER = {
    "a function": (rf"\b({'|'.join(FUNCTIONS.split())})\s*\(", "SELECT IIF(1 = 1, 2, 3)"),
    "SHA2 in HASHBYTES": (r"\bHASHBYTES\s*\(\s*N?'SHA2", "SELECT HASHBYTES('SHA2_256', 'x')"),
    "OFFSET": (r"\bOFFSET\s+\S+\s+ROWS?\b", "SELECT 1 ORDER BY 1 OFFSET 0 ROWS"),
    "FETCH": (r"\bFETCH\s+(NEXT|FIRST)\s+\S+\s+ROWS?\b", "FETCH NEXT 5 ROWS ONLY"),
    "THROW": (r"(?<![\w.])THROW\s*(\d|;|$)", "THROW 50000, N'x', 1"),
    "AT TIME ZONE": (r"\bAT\s+TIME\s+ZONE\b", "SELECT x AT TIME ZONE 'UTC'"),
    "IF EXISTS in DROP": (r"\b(DROP|ALTER)\s+\w+\s+(COLUMN\s+)?IF\s+EXISTS\b", "DROP TABLE IF EXISTS t"),
    "CREATE OR ALTER": (r"\bCREATE\s+OR\s+ALTER\b", "CREATE OR ALTER VIEW v"),
    "ALTER DATABASE CURRENT": (r"\bALTER\s+DATABASE\s+CURRENT\b", "ALTER DATABASE CURRENT SET RECOVERY FULL"),
    "members of roles": (r"\b(ADD|DROP)\s+MEMBER\b", "ALTER ROLE r ADD MEMBER u"),
    "sequences": (r"\b(CREATE\s+SEQUENCE|NEXT\s+VALUE\s+FOR)\b", "SELECT NEXT VALUE FOR s"),
    "frames of windows": (
        r"\b(ROWS|RANGE)\s+(BETWEEN|UNBOUNDED)\b",
        "OVER (ORDER BY y ROWS UNBOUNDED PRECEDING)",
    ),
    "running totals": (
        r"\b(SUM|COUNT|MIN|MAX|AVG)\s*\([^()]*\)\s*OVER\s*\([^()]*ORDER\s+BY",
        "SELECT SUM(x) OVER (PARTITION BY y ORDER BY z)",
    ),
    "WITH RESULT SETS": (r"\bWITH\s+RESULT\s+SETS\b", "EXEC p WITH RESULT SETS NONE"),
    "IS DISTINCT FROM": (r"\bIS\s+(NOT\s+)?DISTINCT\s+FROM\b", "WHERE a IS DISTINCT FROM b"),
    "an index within a table": (r",\s*INDEX\s+\w+", "CREATE TABLE t (a INT, INDEX i (a))"),
    "options of indexes": (
        r"\b(RESUMABLE|WAIT_AT_LOW_PRIORITY|OPTIMIZE_FOR_SEQUENTIAL_KEY)\b",
        "(RESUMABLE = ON)",
    ),
    "a view": (
        r"\b(dm_server_services|dm_os_volume_stats|dm_db_log_space_usage|dm_db_log_stats|dm_hadr_\w+|replica_id|"
        r"availability_\w+|dm_db_stats_properties|query_store_\w+)\b",
        "SELECT replica_id FROM sys.databases",
    ),
}
LATER = {"availability_group", "replicas_behind", "volumes"}
"""Queries of the catalogue that an old server refuses; `doctor` then leaves out what they are about."""
OTHER_SCRIPTS = {
    "10_capture_on.sql": "change data capture with Debezium needs 2016 SP1",
    "20_connector_login.sql": "change data capture with Debezium needs 2016 SP1",
    "sample/sales.sql": "sells on a server for trying out",
}
WITH_DYNAMIC_SQL = ("00_check.sql",)
"""Scripts whose dynamic SQL is for newer servers, and guarded: tests/unit/test_check_script.py."""


def newer_in(text: str) -> list[str]:
    return [name for name, (pattern, _) in NEWER.items() if re.search(pattern, text, re.IGNORECASE)]


@pytest.mark.parametrize("name", NEWER)
def test_each_newer_feature_is_recognized(name: str) -> None:
    assert newer_in(NEWER[name][1]) == [name]


def test_every_statement_of_a_worker_is_that_of_2008_r2() -> None:
    """A server that refuses the digests is read in full instead: they are tried when a worker starts."""
    asked = {without_digests(each.sql, SQL_SERVER) for each in statements() if each.server == SQL_SERVER}
    found = {text: newer_in(text) for text in asked}
    assert len(found) > 100
    assert not {text: names for text, names in found.items() if names}


def of_dialect() -> Iterator[tuple[str, str]]:
    yield from ((f"session {number}", text) for number, text in enumerate(DIALECT.session))
    for name in ("clock", "limit", "database", "skip_locked", "log_use"):
        yield name, str(getattr(DIALECT, name))
    for each in fields(DIALECT.catalogue):
        if each.name not in LATER:
            yield each.name, str(getattr(DIALECT.catalogue, each.name))


@pytest.mark.parametrize(("name", "text"), list(of_dialect()))
def test_what_only_sql_server_is_queried_for_is_that_of_2008_r2(name: str, text: str) -> None:
    assert newer_in(text) == [], name


@pytest.mark.parametrize("name", sorted(LATER))
def test_what_is_left_out_is_newer(name: str) -> None:
    assert newer_in(getattr(DIALECT.catalogue, name))


@pytest.mark.parametrize("name", sorted(str(path.relative_to(SQL)) for path in SQL.rglob("*.sql")))
def test_every_script_that_polling_needs_is_that_of_2008_r2(name: str) -> None:
    text = without_comments(script(name))
    if name in WITH_DYNAMIC_SQL:
        text = re.sub(r"N'(?:[^']|'')*'", "''", text)
    found = newer_in(text)
    assert bool(found) == (name in OTHER_SCRIPTS), found
