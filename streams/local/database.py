"""The sales database that the samples' tills commit to: one SQLite file here; `real.postgres` has the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from streams.documents import DOCUMENT_TYPES
from streams.local.capture_triggers import capture_triggers
from streams.local.debian import sqlite_odbc_driver

SALES = DOCUMENT_TYPES[0].table
_SCHEMA = Path(__file__).with_name("schema.sql")


class Rows(Protocol):
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Observer(Protocol):
    """A connection in autocommit, of use to one thread at a time.

    Statements name tables without their schema and take ``?``, so the same ones serve every database.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows: ...


class PointOfSale(Observer, Protocol):
    """A connection of a till or of an operator."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...

    def close(self) -> None: ...

    def selling(self, table: str = SALES) -> AbstractContextManager[int]:
        """A transaction in which nobody else sells; gives the highest id that a row of the table ever had."""

    def used(self, last_id: int, table: str = SALES) -> None:
        """Within `selling`: the ids up to this one were written by name."""


class SalesDatabase(Protocol):
    def connect(self) -> PointOfSale: ...

    @property
    def settings(self) -> Mapping[str, str]:
        """What a worker must be told to use it."""

    @property
    def place(self) -> str:
        """For a person."""


class SqliteDatabase:
    def __init__(self, file: Path) -> None:
        self.file = file

    def connect(self) -> SqliteTill:
        return SqliteTill(open_database(self.file))

    @property
    def settings(self) -> Mapping[str, str]:
        dsn = f"Driver={sqlite_odbc_driver()};Database=:memory:;Timeout=5000"
        return {"SALES_DB_DSN": dsn, "SALES_DB_ATTACH": str(self.file)}

    @property
    def place(self) -> str:
        return str(self.file)


class SqliteTill:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.close = connection.close

    @contextmanager
    def selling(self, table: str = SALES) -> Iterator[int]:
        self.execute("BEGIN IMMEDIATE")
        try:
            row = self.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
            yield int(row[0]) if row else 0
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self.execute("ROLLBACK")
            raise

    def used(self, last_id: int, table: str = SALES) -> None:
        """SQLite sees it by itself."""


def open_database(file: Path) -> sqlite3.Connection:
    """A connection to `file`, in autocommit, usable from any one thread at a time; tables are made where missing.

    Raises `sqlite3.OperationalError` where the file cannot be opened.
    """
    connection = sqlite3.connect(file, timeout=5, isolation_level=None, check_same_thread=False)
    # A text that is no UTF-8 is one row's trouble, as it is to the servers that this file stands in for.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # with WAL, outlives any death of a process
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(_SCHEMA.read_text(encoding="utf-8"))
        connection.executescript("\n".join(map(capture_triggers, DOCUMENT_TYPES)))
    except BaseException:
        connection.close()
        raise
    return connection
