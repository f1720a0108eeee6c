"""What differs between the servers that speak SQL here, and nothing else does.

Everything outside this file is plain SQL that runs unchanged on SQL Server, PostgreSQL and SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Dialect:
    session: tuple[str, ...]
    """Run on every new connection."""
    clock: str
    """The server's clock, UTC milliseconds since 1970 (a number, or a text of one)."""
    limit: str
    """Takes the first ``{n}`` rows of an ordered statement when put behind it."""
    transient: frozenset[int] = field(default_factory=frozenset)
    """Native error numbers that pass by themselves, beside the SQLSTATEs that all servers share."""


DIALECTS: dict[str, Dialect] = {
    "Microsoft SQL Server": Dialect(
        session=("SET LOCK_TIMEOUT 2000", "SET XACT_ABORT ON"),
        clock="SELECT DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME())",
        limit="OFFSET 0 ROWS FETCH NEXT {n} ROWS ONLY",
        # Deadlock victim, lock time-out, and Azure's and availability groups' moves.
        transient=frozenset({1205, 1222, 976, 978, 983, 4060, 10928, 10929, 40197, 40501, 40613, 49918}),
    ),
    "PostgreSQL": Dialect(
        session=("SET lock_timeout = '2s'",),
        clock="SELECT CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)",
        limit="OFFSET 0 ROWS FETCH NEXT {n} ROWS ONLY",
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
        "57P01",  # PostgreSQL: shutting down
        "57P02",
        "57P03",
        "HYT00",  # time-out
        "HYT01",
    }
)
"""SQLSTATEs after which the same statement may succeed."""
