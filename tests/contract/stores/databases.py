"""The sales databases that the suites run on, and what a test needs of a server in addition to `SalesDb`."""

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
from streams.local.real.postgres import OWNER, Postgres
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
    """Return settings of a worker whose servers are nowhere, except for those that are named."""
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
    """An empty database with the tables of the point of sale and ours."""

    def settings(self, **changed: Any) -> Settings:
        """Return a worker's settings, with its production rights where the server has rights."""

    def points_of_sale(self) -> dict[str, Any]:
        """Return settings of the owner of the tables of the point of sale."""

    def impatient(self) -> dict[str, Any]:
        """Return settings with the shortest wait for a lock that this server allows."""

    async def refuse(self, id_: int, words: str) -> None:
        """Create a trigger that refuses every update of this sale, with this text."""

    async def accept(self, id_: int) -> None:
        """Drop the trigger."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold a transaction of another process that has changed everything and does not commit."""

    def is_waited_for(self) -> bool:
        """Wait until somebody waits for a lock, where the server shows that."""

    def away(self) -> AbstractContextManager[None]:
        """Let nobody connect."""

    def break_connection(self, tx: Transaction) -> None:
        """Raise what a statement raises on a connection that breaks during it."""


class Sqlite:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "database"
        self._folder.mkdir()
        self._file = self._folder / "chain.db"
        open_database(self._file).close()

    def settings(self, **changed: Any) -> Settings:
        return settings_for(**{"sales_db_dsn": self._dsn(5000), "sales_db_attach": self._file} | changed)

    def points_of_sale(self) -> dict[str, Any]:
        return {}

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

    def is_waited_for(self) -> bool:
        return False

    @contextmanager
    def away(self) -> Iterator[None]:
        elsewhere = self._folder.rename(self._folder.with_name("elsewhere"))
        try:
            yield
        finally:
            elsewhere.rename(self._folder)

    def break_connection(self, tx: Transaction) -> None:
        # No statement makes SQLite do this.
        raise pyodbc.OperationalError("08S01", "[08S01] [SQLite]Communication link failure (0) (SQLExecDirectW)")

    def _dsn(self, lock_wait_ms: int) -> str:
        return f"Driver={sqlite_odbc_driver()};Database=:memory:;Timeout={lock_wait_ms}"

    def _run(self, statement: str) -> None:
        with closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            connection.execute(statement)


class Postgresql:
    def __init__(self, server: Postgres, name: str) -> None:
        server.empty_sales_database(name)
        self._server = server
        self._name = name

    def settings(self, **changed: Any) -> Settings:
        return settings_for(**{"sales_db_dsn": self._server.dsn("worker", self._name)} | changed)

    def points_of_sale(self) -> dict[str, Any]:
        return {"sales_db_dsn": self._server.dsn(OWNER, self._name)}

    def impatient(self) -> dict[str, Any]:
        return {}

    async def refuse(self, id_: int, words: str) -> None:
        await asyncio.to_thread(
            self._run,
            f"CREATE FUNCTION dbo.refuse_{id_}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION USING MESSAGE = '{words}'; END $$",
            f"CREATE TRIGGER refuse_{id_} BEFORE UPDATE ON dbo.SalesInvoices FOR EACH ROW WHEN (NEW.id = {id_}) "
            f"EXECUTE FUNCTION dbo.refuse_{id_}()",
        )

    async def stall(self, id_: int) -> None:
        """Create a trigger that takes longer over this sale than any statement may, until `accept`."""
        await asyncio.to_thread(
            self._run,
            f"CREATE FUNCTION dbo.refuse_{id_}() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$",
            f"CREATE TRIGGER refuse_{id_} BEFORE UPDATE ON dbo.SalesInvoices FOR EACH ROW WHEN (NEW.id = {id_}) "
            f"EXECUTE FUNCTION dbo.refuse_{id_}()",
        )

    async def accept(self, id_: int) -> None:
        await asyncio.to_thread(self._run, f"DROP FUNCTION dbo.refuse_{id_} CASCADE")

    @contextmanager
    def locked(self) -> Iterator[None]:
        # Readers are let through, as they are where others have changed rows.
        with closing(self.connect()) as owner:
            owner.execute("BEGIN")
            owner.execute("LOCK TABLE dbo.SalesInvoices, dbo.SaleSync IN EXCLUSIVE MODE")
            yield

    def is_waited_for(self) -> bool:
        [(waiting,)] = self._run("SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return int(waiting) > 0

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let only the owner connect, who is above all rights."""
        self._run(
            f"REVOKE CONNECT ON DATABASE {self._name} FROM PUBLIC",
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'worker'",
        )
        try:
            yield
        finally:
            self._run(f"GRANT CONNECT ON DATABASE {self._name} TO PUBLIC")

    def break_connection(self, tx: Transaction) -> None:
        self.end_session(tx)
        tx.rows("SELECT ?", [1])

    def end_session(self, tx: Transaction) -> None:
        """End the session at the server while its driver does not know yet."""
        [(pid,)] = tx.rows("SELECT pg_backend_pid()")
        self._run(f"SELECT pg_terminate_backend({pid}, 10000)")

    @contextmanager
    def run_isolated(self, level: str) -> Iterator[None]:
        """Give whatever connects meanwhile this isolation of transactions."""
        self._run(f"ALTER DATABASE {self._name} SET default_transaction_isolation = '{level}'")
        try:
            yield
        finally:
            self._run(f"ALTER DATABASE {self._name} RESET default_transaction_isolation")

    def connect(self, role: str = OWNER) -> pyodbc.Connection:
        """Connect in autocommit mode."""
        return self._server.connect(self._name, role)

    def _run(self, *statements: str) -> list[Any]:
        """Return the rows of the last statement."""
        with closing(self.connect()) as owner:
            for statement in statements:
                done = owner.execute(statement)
            return list(done.fetchall()) if done.description else []
