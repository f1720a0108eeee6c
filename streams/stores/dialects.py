"""What differs between the servers that speak SQL here, and nothing else does.

Everything outside this file is plain SQL that runs unchanged on SQL Server, PostgreSQL and SQLite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyodbc

Size: TypeAlias = tuple[int, int, int] | None


def _as_nvarchar(value: Any) -> Size:
    """pyodbc declares a text by its length, and one over 4,000 as NTEXT: a plan for every mixture of lengths."""
    if not isinstance(value, str):
        return None
    # In UTF-16: a letter may take two units.
    return (pyodbc.SQL_WVARCHAR, 4000 if len(value) <= 2000 else 0, 0)


@dataclass(frozen=True, slots=True)
class Dialect:
    session: tuple[str, ...]
    """Run on every new connection."""
    clock: str
    """The server's clock, UTC milliseconds since 1970 (a number, or a text of one)."""
    limit: str
    """Takes the first ``{n}`` rows of an ordered statement when put behind it."""
    statement_limit: str | None = None
    """Ends a statement that runs longer than ``{ms}``, for a driver that cannot be told so itself."""
    transient: frozenset[int] = field(default_factory=frozenset)
    """Native error numbers that pass by themselves, beside the SQLSTATEs that all servers share."""
    broken: frozenset[str] = field(default_factory=frozenset)
    """SQLSTATEs that, with a native number, tell of a broken connection, beside those that all servers share."""
    declare: Callable[[Any], Size] | None = None
    """How the driver is to declare a parameter: type, length, digits. None: as it likes."""


DIALECTS: dict[str, Dialect] = {
    "Microsoft SQL Server": Dialect(
        session=(
            "SET LOCK_TIMEOUT 2000",
            "SET XACT_ABORT ON",
            # The row counts of a till's triggers would go before the errors of these triggers.
            "SET NOCOUNT ON",
            # Of a till and us it is never the till that a deadlock ends.
            "SET DEADLOCK_PRIORITY LOW",
        ),
        clock="SELECT DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME())",
        limit="OFFSET 0 ROWS FETCH NEXT {n} ROWS ONLY",
        transient=frozenset(
            # Deadlock victim, lock time-out.
            {1205, 1222}
            # The server lacks memory, log or room, recovers, fails over or shuts down: no row's trouble.
            | {596, 701, 802, 8645, 1105, 9002, 3906, 921, 922, 927, 952, 976, 978, 983, 6005}
            # Azure's moves and limits.
            | {4060, 10928, 10929, 40197, 40501, 40544, 40613, 49918, 49919, 49920}
        ),
        declare=_as_nvarchar,
    ),
    "PostgreSQL": Dialect(
        session=("SET lock_timeout = '2s'",),
        clock="SELECT CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)",
        limit="OFFSET 0 ROWS FETCH NEXT {n} ROWS ONLY",
        statement_limit="SET statement_timeout = {ms}",
        # A session ended by the server; a connection lost while a statement with parameters is prepared.
        broken=frozenset({"57P01", "57P02", "HY000"}),
    ),
    "SQLite": Dialect(
        session=(
            "PRAGMA dbo.journal_mode = WAL",
            "PRAGMA dbo.synchronous = NORMAL",
        ),
        clock="SELECT strftime('%s', 'now') || substr(strftime('%f', 'now'), 4, 3)",
        limit="LIMIT {n}",
        transient=frozenset({5, 6}),  # SQLITE_BUSY, SQLITE_LOCKED
    ),
}

TRANSIENT_STATES = frozenset(
    {
        "08001",  # cannot connect
        "08003",
        "08004",
        "08006",
        "08007",
        "08S01",  # the connection broke
        "40001",  # serialization failure, deadlock
        "40P01",  # PostgreSQL: deadlock
        "55P03",  # PostgreSQL: lock time-out
        "57014",  # PostgreSQL: statement time-out
        "57P01",  # PostgreSQL: shutting down
        "57P02",
        "57P03",
        "HYT00",  # time-out
        "HYT01",
    }
)
"""SQLSTATEs after which the same statement may succeed."""

LOCKED: frozenset[str | int | None] = frozenset({"55P03", 1222, 5, 6})
"""SQLSTATEs and numbers: a lock was waited for in vain."""

TIMED_OUT = frozenset({"HYT00", "57014"})
"""SQLSTATEs: a statement ran into its limit."""

DUPLICATE: frozenset[str | int | None] = frozenset({"23505", 2601, 2627, 19})
"""SQLSTATEs and numbers: a row with this key is there already. SQL Server's SQLSTATE 23000 would not tell."""
