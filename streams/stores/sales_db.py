"""The sales database over ODBC: a connection pool, the server's clock, and typed errors."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import aioodbc
import pyodbc
import structlog

from streams.settings import Settings
from streams.stores.dialects import DIALECTS, TRANSIENT_STATES, Dialect
from streams.stores.lenient_decoding import leniently
from streams.stores.odbc_driver import connection_string
from streams.stores.reals import decimal_of_real
from streams.stores.store_errors import NOT_LOADED
from streams.stores.store_errors import StoreError as StoreError
from streams.stores.store_errors import StoreUnavailable as StoreUnavailable
from streams.stores.store_errors import UnknownServer as UnknownServer
from streams.stores.store_errors import UnreadableRow as UnreadableRow
from streams.stores.transaction import Transaction as Transaction

# What is closed is closed. unixODBC 2.3.12 and later would keep the connection, and what was set on it, and hand it out
# again as it was left; and the texts of its first statements would lose all characters beyond Latin-1.
pyodbc.pooling = False

log = structlog.get_logger(__name__)

R = TypeVar("R")

_CLOCK_INTERVAL = 60.0
"""Seconds between two readings of the server's clock."""
_MAX_IDLE = 300.0
"""Seconds after which an idle connection is closed instead of used."""
_STATE = re.compile(r"[0-9A-Z]{5}")
# pyodbc: "[state] text (native) (function)", then "; [state] text (native)" for each further message of the server.
_NATIVE = re.compile(r"\((-?\d+)\) \(SQL\w+\)")
_NO_DRIVER = {"IM002", "IM004", "IM012"} | NOT_LOADED


@dataclass(eq=False, slots=True)
class _Connection:
    """A pooled connection."""

    opened: aioodbc.Connection
    odbc: pyodbc.Connection
    """The pyodbc connection that `opened` wraps. Each call through the wrapper costs a switch of threads and back."""
    last_used: float
    broken: bool = False


class SalesDb:
    """The pool of connections. Open with `open()`, close with `close()`.

    Every transaction runs in a task of its own, so a caller that is cancelled leaves no connection half used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: this machine's clock, epoch seconds; its offset from the server's clock is measured."""
        self._settings = settings
        self._monotonic = monotonic
        self._clock = clock
        self._dsn = ""
        self._threads: ThreadPoolExecutor | None = None
        self._slots = asyncio.Semaphore(settings.sales_db_connections)
        self._free: list[_Connection] = []
        self._dialect: Dialect | None = None
        self.digests = False
        """Whether transactions use the server's digests; set by `streams.stores.row_digests.try_digests`."""
        self._offset_ms = 0
        self._clock_read_at = float("-inf")

    async def open(self) -> None:
        """Connect.

        Raises `StoreUnavailable` when the server cannot be reached; a retry may succeed. Raises `UnknownServer` when
        the DSN is wrong or the driver is missing; a retry does not help.
        """
        self._dsn = connection_string(self._settings)
        self._threads = ThreadPoolExecutor(self._settings.sales_db_connections, thread_name_prefix="odbc")
        try:
            await self._read_clock()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all connections, once the running transactions have ended."""
        for _ in range(self._settings.sales_db_connections):
            await self._slots.acquire()
        while self._free:
            await self._quietly(self._free.pop().opened.close())
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None
        for _ in range(self._settings.sales_db_connections):
            self._slots.release()

    async def now_ms(self) -> int:
        """Return the time of the server's clock, UTC milliseconds: the one clock that all workers share.

        It may take a transaction of its own, so call it before a transaction starts, never within one.
        """
        if self._monotonic() - self._clock_read_at > _CLOCK_INTERVAL:
            await self._read_clock()
        return self.last_known_now_ms()

    def last_known_now_ms(self) -> int:
        """Return the same as `now_ms`, from the last measured offset, without any I/O."""
        return int(self._clock() * 1000) + self._offset_ms

    async def transaction(self, work: Callable[[Transaction], R]) -> R:
        """Run `work` in a thread, commit, and return its result.

        Raises `StoreUnavailable` or `StoreError` after rolling back. The thread runs the transaction as a whole: with
        each statement handed to a thread by itself, the switching took longer than the statements.
        """
        return await asyncio.shield(asyncio.ensure_future(self._transaction(work)))

    async def _transaction(self, work: Callable[[Transaction], R]) -> R:
        # aioodbc's own pool does not wake waiting tasks when a broken connection is returned, and blocks the return of
        # connections while a new one is being made.
        async with self._slots:
            connection = await self._connection()
            try:
                return await self._in_thread(self._run, connection, work)
            except pyodbc.Error as error:
                store_error = self._to_store_error(error)
                # It may be broken even if the driver can roll it back.
                if store_error.is_of_connection or self._is_broken(store_error.state, store_error.native):
                    connection.broken = True
                raise store_error from None
            finally:
                connection.last_used = asyncio.get_running_loop().time()
                if connection.broken:
                    await self._quietly(connection.opened.close())
                else:
                    self._free.append(connection)

    def _run(self, connection: _Connection, work: Callable[[Transaction], R]) -> R:
        """Run a transaction in a thread, and again with lenient decoding if a text cannot be decoded."""
        try:
            return self._try(connection, work)
        except UnicodeDecodeError:
            encodings = self._known_dialect().encodings
            if connection.broken or not encodings:
                raise
            log.debug("sales_database.odd_text")
            with leniently(connection.odbc, encodings):
                return self._try(connection, work)

    def _try(self, connection: _Connection, work: Callable[[Transaction], R]) -> R:
        cursor = connection.odbc.cursor()
        try:
            dialect, rows = self._known_dialect(), self._settings.write_back_rows
            result = work(Transaction(cursor, dialect, digests=self.digests, rows_per_update=rows))
            connection.odbc.commit()
            return result
        except BaseException:
            try:
                connection.odbc.rollback()
            except pyodbc.Error:
                connection.broken = True
            raise
        finally:
            with suppress(pyodbc.Error):
                cursor.close()

    async def _in_thread(self, run: Callable[..., R], *args: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._open_threads(), run, *args)

    def _open_threads(self) -> ThreadPoolExecutor:
        if self._threads is None:
            raise RuntimeError("the sales database is not open")
        return self._threads

    async def _connection(self) -> _Connection:
        """Return a free connection, or a new one."""
        while self._free:
            connection = self._free.pop()
            if asyncio.get_running_loop().time() - connection.last_used < _MAX_IDLE:
                return connection
            await self._quietly(connection.opened.close())
        return await self._connect()

    def _known_dialect(self) -> Dialect:
        if self._dialect is None:  # set by the first connection
            raise RuntimeError("no connection has been made yet")
        return self._dialect

    async def _quietly(self, closing: Awaitable[None]) -> None:
        try:
            await closing
        except pyodbc.Error as error:
            log.debug("connection.close_failed", error=str(self._to_store_error(error)))

    async def _connect(self) -> _Connection:
        """Make a connection. Raises `StoreUnavailable` or `UnknownServer`."""
        # `prepare` fills both: aioodbc calls it with the connection that it wraps, and returns only the wrapper.
        wrapped: list[pyodbc.Connection] = []
        errors: list[Exception] = []

        async def prepare(connection: pyodbc.Connection) -> None:
            wrapped.append(connection)
            try:
                await self._in_thread(self._prepare, connection)
            except (pyodbc.Error, UnknownServer) as error:
                errors.append(error)  # raised below: raising it here would leave the connection open

        try:
            opened = await aioodbc.connect(
                dsn=self._dsn,
                executor=self._open_threads(),
                timeout=max(1, int(self._settings.sales_db_timeout)),
                after_created=prepare,
            )
            if errors:
                await self._quietly(opened.close())
                raise errors[0]
        except pyodbc.Error as error:
            state, native = _state_and_number(error)
            failure = UnknownServer if state in _NO_DRIVER else StoreUnavailable
            raise failure(state, native) from None
        return _Connection(opened, wrapped[0], last_used=asyncio.get_running_loop().time())

    def _prepare(self, connection: pyodbc.Connection) -> None:
        server = str(connection.getinfo(pyodbc.SQL_DBMS_NAME))
        dialect = DIALECTS.get(server)
        if dialect is None:
            raise UnknownServer("IM001", None)
        connection.autocommit = True
        if dialect.statement_limit is None:
            connection.timeout = max(1, int(self._settings.sales_db_timeout))
        else:
            limit_ms = int(self._settings.sales_db_timeout * 1000)
            connection.execute(dialect.statement_limit.format(ms=limit_ms)).close()
        if self._settings.sales_db_attach is not None:
            connection.execute("ATTACH DATABASE ? AS dbo", str(self._settings.sales_db_attach)).close()
        for statement in dialect.session:
            connection.execute(statement).close()
        if dialect.reads_reals:
            connection.add_output_converter(pyodbc.SQL_REAL, decimal_of_real)
        connection.autocommit = False
        self._dialect = dialect

    async def _read_clock(self) -> None:
        def read(tx: Transaction) -> int:
            before = self._clock()  # read only now, after connecting, which may take seconds
            server_ms = int(tx.rows(tx.dialect.clock)[0][0])
            return server_ms - int((before + self._clock()) / 2 * 1000)

        self._offset_ms = await self.transaction(read)
        self._clock_read_at = self._monotonic()

    def _to_store_error(self, error: pyodbc.Error) -> StoreError:
        state, native = _state_and_number(error)
        is_transient = state in TRANSIENT_STATES or (native is not None and native in self._known_dialect().transient)
        failure = StoreUnavailable if is_transient or self._is_broken(state, native) else StoreError
        return failure(state, native)

    def _is_broken(self, state: str, native: int | None) -> bool:
        return native is not None and state in self._known_dialect().broken


def _state_and_number(error: pyodbc.Error) -> tuple[str, int | None]:
    """Return the SQLSTATE and the server's error number. The driver's text may quote a value, so it is dropped."""
    texts = [str(part) for part in error.args]
    state = next((text for text in texts if _STATE.fullmatch(text)), "HY000")
    number = _NATIVE.search(texts[-1]) if texts else None
    return state, int(number[1]) if number else None
