"""The sales database over ODBC: a pool, transactions, the server's clock, errors that say whether to try again."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import aioodbc
import pyodbc
import structlog

from streams.settings import Settings
from streams.stores.dialects import DIALECTS, TRANSIENT_STATES, Dialect

log = structlog.get_logger(__name__)

R = TypeVar("R")

_CLOCK_EVERY = 60.0
_NATIVE = re.compile(r"\((\d+)\)")


class StoreError(Exception):
    """The database refused a statement. The text is the driver's state and number, never a value."""

    def __init__(self, state: str, native: int | None) -> None:
        super().__init__(f"SQLSTATE {state}" + (f", server error {native}" if native is not None else ""))
        self.state = state
        self.native = native

    @property
    def is_lock(self) -> bool:
        """A lock was waited for in vain: perhaps one row's trouble, not the server's."""
        return self.state in {"55P03"} or self.native in {1222, 5, 6}

    @property
    def is_duplicate(self) -> bool:
        """A row with this key is there already (SQL Server 2601 and 2627, SQLite 19)."""
        return self.state in {"23000", "23505"} or self.native in {2601, 2627, 19}


class StoreUnavailable(StoreError):
    """It may work when tried again: broken connection, deadlock, lock or time-out."""


class Transaction:
    """Statements of one transaction. Rows come as tuples."""

    def __init__(self, cursor: Any, dialect: Dialect) -> None:
        self._cursor = cursor
        self.dialect = dialect

    async def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        await self._cursor.execute(sql, *parameters)
        return [tuple(row) for row in await self._cursor.fetchall()]

    async def dicts(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows by column name, in lower case (servers differ in it)."""
        rows = await self.rows(sql, parameters)
        names = [column[0].lower() for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Row counts are not given: drivers differ in them."""
        await self._cursor.execute(sql, *parameters)


class SalesDb:
    """Open with `open()`, close with `close()`. Every transaction runs in a task of its own: a caller that
    is cancelled leaves no connection half used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.sales_db_connections, thread_name_prefix="odbc")
        self._pool: Any = None
        self._dialect: Dialect | None = None
        self._ahead_ms = 0
        self._clock_read = float("-inf")

    async def open(self) -> None:
        """Raises `StoreUnavailable` when the server cannot be reached."""
        pool = await aioodbc.create_pool(
            dsn=self._settings.sales_db_dsn.get_secret_value(),
            minsize=0,
            maxsize=self._settings.sales_db_connections,
            pool_recycle=300,
            executor=self._threads,
            after_created=self._prepare,
            timeout=max(1, int(self._settings.sales_db_timeout)),
        )
        self._pool = pool
        try:
            await self._read_clock()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            await self._pool.wait_closed()
            self._pool = None
        self._threads.shutdown(wait=False)

    async def now_ms(self) -> int:
        """The server's clock, UTC milliseconds: the one clock that all workers share."""
        if time.monotonic() - self._clock_read > _CLOCK_EVERY:
            await self._read_clock()
        return self.last_known_now_ms()

    def last_known_now_ms(self) -> int:
        return int(time.time() * 1000) + self._ahead_ms

    async def transaction(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        """Runs `work`, commits, gives its result. Raises `StoreUnavailable` or `StoreError`, rolled back."""
        return await asyncio.shield(asyncio.ensure_future(self._transaction(work)))

    async def _transaction(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        try:
            connection = await self._pool.acquire()
        except pyodbc.Error as error:
            raise self._explained(error) from None
        try:
            cursor = await connection.cursor()
            try:
                result = await work(Transaction(cursor, self._known_dialect()))
                await connection.commit()
                return result
            except BaseException:
                await self._roll_back(connection)
                raise
            finally:
                await self._quietly(cursor.close())
        except pyodbc.Error as error:
            raise self._explained(error) from None
        finally:
            await self._pool.release(connection)

    def _known_dialect(self) -> Dialect:
        if self._dialect is None:  # set by the first connection
            raise RuntimeError("no connection was opened yet")
        return self._dialect

    async def _roll_back(self, connection: Any) -> None:
        try:
            await connection.rollback()
        except pyodbc.Error:  # a broken connection must not come back from the pool
            await self._quietly(connection.close())

    async def _quietly(self, closing: Awaitable[None]) -> None:
        try:
            await closing
        except pyodbc.Error as error:
            log.debug("connection.close_failed", error=str(self._explained(error)))

    async def _prepare(self, connection: pyodbc.Connection) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._prepare_sync, connection)

    def _prepare_sync(self, connection: pyodbc.Connection) -> None:
        server = str(connection.getinfo(pyodbc.SQL_DBMS_NAME))
        dialect = DIALECTS.get(server)
        if dialect is None:
            raise pyodbc.Error("HY000", f"no support for {server}: use {', '.join(DIALECTS)}")
        connection.autocommit = True
        connection.timeout = max(1, int(self._settings.sales_db_timeout))
        if self._settings.sales_db_attach is not None:
            connection.execute("ATTACH DATABASE ? AS dbo", str(self._settings.sales_db_attach)).close()
        for statement in dialect.session:
            connection.execute(statement).close()
        connection.autocommit = False
        self._dialect = dialect

    async def _read_clock(self) -> None:
        before = time.time()

        async def ask(tx: Transaction) -> int:
            return int((await tx.rows(tx.dialect.clock))[0][0])

        server_ms = await self.transaction(ask)
        self._ahead_ms = server_ms - int((before + time.time()) / 2 * 1000)
        self._clock_read = time.monotonic()

    def _explained(self, error: pyodbc.Error) -> StoreError:
        """The driver's text may quote a value, so only its state and number are kept."""
        state = str(error.args[0]) if error.args else "HY000"
        numbers = _NATIVE.findall(str(error.args[-1])) if error.args else []
        native = int(numbers[-1]) if numbers else None
        transient = self._dialect.transient if self._dialect else frozenset()
        if state in TRANSIENT_STATES or self._dialect is None or (native is not None and native in transient):
            return StoreUnavailable(state, native)
        return StoreError(state, native)
