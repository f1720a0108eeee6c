"""Everything that differs between the SQL servers that are supported.

Everything outside this file is plain SQL that runs unchanged on SQL Server, PostgreSQL and SQLite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyodbc

from streams.stores.catalogues import POSTGRESQL, SQL_SERVER, SQLITE, Catalogue

Size: TypeAlias = tuple[int, int, int] | None


def _as_nvarchar(value: Any) -> Size:
    """Return the declaration of a text parameter, else None.

    By itself pyodbc declares a text by its length, and one over 4,000 characters as NTEXT, which makes SQL Server cache
    a query plan for every combination of lengths.
    """
    if not isinstance(value, str):
        return None
    # Counted in UTF-16, where a character may take two code units.
    return (pyodbc.SQL_WVARCHAR, 4000 if len(value) <= 2000 else 0, 0)


_WIDE = (pyodbc.SQL_WCHAR, pyodbc.SQL_WVARCHAR, pyodbc.SQL_WLONGVARCHAR)
_NARROW = (pyodbc.SQL_CHAR, pyodbc.SQL_VARCHAR, pyodbc.SQL_LONGVARCHAR)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is specific to one server."""

    session: tuple[str, ...]
    """Statements that are run on every new connection."""
    clock: str
    """Reads the server's clock: UTC milliseconds since 1970, as a number or as text."""
    limit: str
    """Clause that limits an ordered query to its first ``{n}`` rows; see `first`."""
    catalogue: Catalogue
    database: str | None = None
    """Reads the name of the database that a connection uses. None if a server has but one."""
    skip_locked: str = ""
    """Table hint by which a read passes over rows that others have locked, instead of waiting for them. Empty if reads
    of the server never wait."""
    log_use: str | None = None
    """Query for what the transaction log waits for, and its size, used part and limit in MB (0: none). None if the
    server keeps no log for changes that are not captured."""
    digest: str | None = None
    """Expression for the SHA-256, as bytes, of the concatenated texts of ``{columns}``. The server decides how a number
    or a day is written as text. None if the server has no such function."""
    statement_limit: str | None = None
    """Statement that sets a timeout of ``{ms}`` for all others, for a driver that has no timeout of its own."""
    transient: frozenset[int] = field(default_factory=frozenset)
    """Native error numbers of transient errors, in addition to `TRANSIENT_STATES`."""
    digests_all_of: frozenset[str] = frozenset()
    """Types whose text in a digest differs where values make another body. Of others, the digest may be the same."""
    missing_table: frozenset[str | int | None] = frozenset()
    """SQLSTATEs and native error numbers that mean that a table does not exist, and never that it may not be read."""
    broken: frozenset[str] = field(default_factory=frozenset)
    """SQLSTATEs that, together with a native number, mean a broken connection, in addition to those of all servers."""
    declare: Callable[[Any], Size] | None = None
    """Returns how the driver is to declare a parameter (type, length, digits). None leaves it to the driver."""
    reads_reals: bool = False
    """Whether the driver hands a REAL over as its four bytes, so that it can be told from a FLOAT."""
    encodings: Mapping[int, str] = field(default_factory=dict)
    """SQL type -> encoding of texts that the driver itself cannot decode. Empty if the server stores none."""

    def first(self, sql: str, n: int) -> str:
        """Return the ordered query `sql`, limited to its first `n` rows."""
        limit = self.limit.format(n=n)
        return sql.replace("SELECT", f"SELECT {limit}", 1) if limit.startswith("TOP") else f"{sql} {limit}"


DIALECTS: dict[str, Dialect] = {
    "Microsoft SQL Server": Dialect(
        session=(
            "SET LOCK_TIMEOUT 2000",
            "SET XACT_ABORT ON",
            # Otherwise the row counts of a point of sale's triggers come before the errors that the triggers raise.
            "SET NOCOUNT ON",
            # In a deadlock with the point of sale, the worker is always the victim.
            "SET DEADLOCK_PRIORITY LOW",
        ),
        # In seconds since 2000, as milliseconds overflow an INT, and DATEDIFF_BIG is unknown before 2016.
        clock=(
            "SELECT (CAST(DATEDIFF(SECOND, '2000-01-01', t.now) AS BIGINT) + 946684800) * 1000 "
            "+ DATEPART(MILLISECOND, t.now) FROM (SELECT SYSUTCDATETIME() AS now) t"
        ),
        limit="TOP ({n})",  # FETCH is unknown before 2012
        database="SELECT DB_NAME()",
        catalogue=SQL_SERVER,
        transient=frozenset(
            # Deadlock victim, lock timeout.
            {1205, 1222}
            # The server is short of memory, log or disk space, recovers, fails over or shuts down: no row causes this.
            | {596, 701, 802, 8645, 1105, 9002, 3906, 921, 922, 927, 952, 976, 978, 983, 6005}
            # Azure: reconfigurations and resource limits.
            | {4060, 10928, 10929, 40197, 40501, 40544, 40613, 49918, 49919, 49920}
        ),
        # READPAST alone is refused where READ_COMMITTED_SNAPSHOT is on.
        skip_locked=" WITH (READCOMMITTEDLOCK, READPAST)",
        encodings=dict.fromkeys(_WIDE, "utf-16-le"),
        # Every login may ask this of its own database; the views that are meant for it need VIEW SERVER STATE. Files
        # without a limit have -1, a log's 2 TB, or no growth, which is a limit.
        log_use=(
            "SELECT d.log_reuse_wait_desc, SUM(CAST(f.size AS BIGINT)) / 128, "
            "SUM(CAST(FILEPROPERTY(f.name, 'SpaceUsed') AS BIGINT)) / 128, "
            "CASE WHEN SUM(CASE WHEN f.growth > 0 AND f.max_size IN (-1, 268435456) THEN 1 ELSE 0 END) > 0 THEN 0 "
            "ELSE SUM(CAST(CASE WHEN f.growth = 0 OR f.max_size = 0 THEN f.size ELSE f.max_size END AS BIGINT)) / 128 "
            "END FROM sys.databases d CROSS JOIN sys.database_files f "
            "WHERE d.database_id = DB_ID() AND f.type = 1 GROUP BY d.log_reuse_wait_desc"
        ),
        # Without an NVARCHAR(MAX), CONCAT truncates its result to 4,000 characters.
        digest="HASHBYTES('SHA2_256', CONCAT(CAST('' AS NVARCHAR(MAX)), {columns}))",
        # CONCAT writes six digits of a FLOAT, and two decimals of a MONEY.
        digests_all_of=frozenset(
            {"char", "varchar", "nchar", "nvarchar", "bit", "tinyint", "smallint", "int", "bigint"}
            | {"decimal", "numeric", "date", "smalldatetime", "datetime", "datetime2"}
        ),
        missing_table=frozenset({"42S02", 208}),
        reads_reals=True,
        declare=_as_nvarchar,
    ),
    "PostgreSQL": Dialect(
        session=("SET lock_timeout = '2s'",),
        clock="SELECT CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)",
        limit="OFFSET 0 ROWS FETCH NEXT {n} ROWS ONLY",
        database="SELECT current_database()",
        catalogue=POSTGRESQL,
        digest="SHA256(CONVERT_TO(CONCAT({columns}), 'UTF8'))",
        digests_all_of=frozenset(
            {"character", "character varying", "text", "smallint", "integer", "bigint", "numeric", "real"}
            | {"double precision", "date", "timestamp without time zone"}
        ),
        missing_table=frozenset({"42P01"}),
        statement_limit="SET statement_timeout = {ms}",
        # The server ended the session; the connection was lost while a statement with parameters was prepared.
        broken=frozenset({"57P01", "57P02", "HY000"}),
    ),
    "SQLite": Dialect(
        session=(
            "PRAGMA dbo.journal_mode = WAL",
            "PRAGMA dbo.synchronous = NORMAL",
        ),
        clock="SELECT strftime('%s', 'now') || substr(strftime('%f', 'now'), 4, 3)",
        limit="LIMIT {n}",
        catalogue=SQLITE,
        transient=frozenset({5, 6}),  # SQLITE_BUSY, SQLITE_LOCKED
        missing_table=frozenset({1}),  # SQLITE_ERROR, which it has for a missing column, too
        encodings=dict.fromkeys((*_NARROW, *_WIDE), "utf-8"),
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
        "55P03",  # PostgreSQL: lock timeout
        "57014",  # PostgreSQL: statement timeout
        "57P01",  # PostgreSQL: shutting down
        "57P02",
        "57P03",
        "HYT00",  # timeout
        "HYT01",
    }
)
"""SQLSTATEs after which the same statement may succeed."""

LOCKED: frozenset[str | int | None] = frozenset({"55P03", 1222, 5, 6})
"""SQLSTATEs and error numbers of a lock timeout."""

TIMED_OUT = frozenset({"HYT00", "57014"})
"""SQLSTATEs of a statement timeout."""

REFUSED: frozenset[str | int | None] = frozenset({"42501", 229, 230})
"""SQLSTATEs and error numbers of a missing right to a table or column. SQL Server's SQLSTATE 42000 is too general."""

DUPLICATE: frozenset[str | int | None] = frozenset({"23505", 2601, 2627, 19})
"""SQLSTATEs and error numbers of a duplicate key. SQL Server's SQLSTATE 23000 is too general."""
