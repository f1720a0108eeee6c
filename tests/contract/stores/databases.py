"""The sales databases that the suites run on: what a test needs of a server beside `SalesDb`."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyodbc
from pydantic import HttpUrl

from streams.local.database import open_database
from streams.local.debian import sqlite_odbc_driver
from streams.settings import Settings
from streams.stores.sales_db import Transaction

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def settings_for(**changed: Any) -> Settings:
    """Of a worker whose servers are nowhere, but for those that are named."""
    values: dict[str, Any] = {
        "kafka_bootstrap_servers": "127.0.0.1:9",
        "sales_change_topic": "pharmacy.chain.dbo.SalesInvoices",
        "sales_db_dsn": "Driver=nowhere",
        "redis_url": "redis://127.0.0.1:9",
        "mongo_url": "mongodb://127.0.0.1:9",
        "national_api_url": HttpUrl("http://127.0.0.1:9"),
    }
    return Settings(_env_file=None, **values | changed)


class Database(Protocol):
    """Empty, with the till's tables and ours."""

    def settings(self, **changed: Any) -> Settings: ...

    def impatient(self) -> dict[str, Any]:
        """Settings with which a lock is waited for only as long as this server lets us choose."""

    async def refuse(self, id_: int, words: str) -> None:
        """From now on a trigger refuses every update of this sale, with these words."""

    async def accept(self, id_: int) -> None:
        """The trigger is gone."""

    def locked(self) -> AbstractContextManager[None]:
        """Another process has changed all and does not commit."""

    def away(self) -> AbstractContextManager[None]:
        """Nobody can connect."""

    async def break_connection(self, tx: Transaction) -> None:
        """Raises as a statement does on a connection that breaks under it."""


class Sqlite:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "database"
        self._folder.mkdir()
        self._file = self._folder / "chain.db"
        open_database(self._file).close()

    def settings(self, **changed: Any) -> Settings:
        return settings_for(**{"sales_db_dsn": self._dsn(5000), "sales_db_attach": self._file} | changed)

    def impatient(self) -> dict[str, Any]:
        return {"sales_db_dsn": self._dsn(50)}

    async def refuse(self, id_: int, words: str) -> None:
        await asyncio.to_thread(
            self._run,
            f"CREATE TRIGGER refuse_{id_} BEFORE UPDATE ON SalesInvoices WHEN NEW.id = {id_} "
            f"BEGIN SELECT RAISE(ABORT, '{words}'); END",
        )

    async def accept(self, id_: int) -> None:
        await asyncio.to_thread(self._run, f"DROP TRIGGER refuse_{id_}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        command = [sys.executable, "-c", _HOLD, str(self._file)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            try:
                yield
            finally:
                holder.stdin.close()
                holder.wait(10)

    @contextmanager
    def away(self) -> Iterator[None]:
        elsewhere = self._folder.rename(self._folder.with_name("elsewhere"))
        try:
            yield
        finally:
            elsewhere.rename(self._folder)

    async def break_connection(self, tx: Transaction) -> None:
        # No statement makes SQLite do this, so it is done as aioodbc does it on SQLSTATE 08S01.
        await tx._cursor.connection.close()
        raise pyodbc.OperationalError("08S01", "[08S01] [SQLite]Communication link failure (0) (SQLExecDirectW)")

    def _dsn(self, lock_wait_ms: int) -> str:
        return f"Driver={sqlite_odbc_driver()};Database=:memory:;Timeout={lock_wait_ms}"

    def _run(self, statement: str) -> None:
        with closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            connection.execute(statement)
