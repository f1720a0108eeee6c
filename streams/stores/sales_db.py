"""The sales database over ODBC: a pool, transactions, the server's clock, errors that say whether to try again."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
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
from streams.stores.store_errors import NOT_LOADED
from streams.stores.store_errors import StoreError as StoreError
from streams.stores.store_errors import StoreUnavailable as StoreUnavailable
from streams.stores.store_errors import UnknownServer as UnknownServer
from streams.stores.store_errors import UnreadableRow as UnreadableRow

log = structlog.get_logger(__name__)

R = TypeVar("R")

_CLOCK_EVERY = 60.0
_IDLE_FOR = 300.0
_STATE = re.compile(r"[0-9A-Z]{5}")
# pyodbc: "[state] text (native) (function)", then "; [state] text (native)" for what else the server says.
_NATIVE = re.compile(r"\((-?\d+)\) \(SQL\w+\)")
_NO_DRIVER = {"IM002", "IM004", "IM012"} | NOT_LOADED


class Transaction:
    """Statements of one transaction, which runs as a whole in a thread of the database's. Rows come as tuples."""

    def __init__(self, cursor: Any, dialect: Dialect, *, digests: bool = False) -> None:
        self._cursor = cursor
        self.dialect = dialect
        self.digest = dialect.digest if digests else None

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._ask(sql, parameters)
        return [tuple(row) for row in self._fetched()]

    def dicts(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows by column name, in lower case (servers differ in it)."""
        self._ask(sql, parameters)
        names = [column[0].lower() for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self._fetched()]

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Row counts are not given: drivers differ in them."""
        self._ask(sql, parameters)
        # What a trigger says may come behind other results, and its error with it.
        while self._cursor.nextset():
            pass

    def _ask(self, sql: str, parameters: Sequence[Any]) -> None:
        if self.dialect.declare is not None:
            self._cursor.setinputsizes([self.dialect.declare(value) for value in parameters])
        try:
            self._cursor.execute(sql, *parameters)
        except SystemError:  # the driver's words about an error are no text, so it cannot raise it
            raise StoreError("HY000", None) from None

    def _fetched(self) -> Sequence[Any]:
        try:
            rows: Sequence[Any] = self._cursor.fetchall()
            return rows
        except UnicodeDecodeError:
            raise
        except (ValueError, ArithmeticError, SystemError):  # a day or a number that Python has not
            raise UnreadableRow("22000", None) from None


@dataclass(eq=False, slots=True)
class _Connection:
    opened: aioodbc.Connection
    odbc: pyodbc.Connection
    """The driver's own, which `opened` wraps. Every step through the wrapper is a change of threads and back."""
    last_used: float
    broken: bool = False


class SalesDb:
    """Open with `open()`, close with `close()`. Every transaction runs in a task of its own: a caller that
    is cancelled leaves no connection half used."""

    def __init__(
        self,
        settings: Settings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: this machine's, epoch seconds; how far it is off is measured against the server's."""
        self._settings = settings
        self._monotonic = monotonic
        self._clock = clock
        self._threads: ThreadPoolExecutor | None = None
        self._places = asyncio.Semaphore(settings.sales_db_connections)
        self._free: list[_Connection] = []
        self._dialect: Dialect | None = None
        self.digests = False
        """Whether transactions have the server's digests: `streams.stores.row_digests.try_digests` finds out."""
        self._ahead_ms = 0
        self._clock_read = float("-inf")

    async def open(self) -> None:
        """Raises `StoreUnavailable` when the server cannot be reached: call it again. `UnknownServer`: do not."""
        self._threads = ThreadPoolExecutor(self._settings.sales_db_connections, thread_name_prefix="odbc")
        try:
            await self._read_clock()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Once the transactions that run have ended."""
        for _ in range(self._settings.sales_db_connections):
            await self._places.acquire()
        while self._free:
            await self._quietly(self._free.pop().opened.close())
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None
        for _ in range(self._settings.sales_db_connections):
            self._places.release()

    async def now_ms(self) -> int:
        """The server's clock, UTC milliseconds: the one clock that all workers share.

        It may take a transaction of its own, so it is asked before one begins, never within.
        """
        if self._monotonic() - self._clock_read > _CLOCK_EVERY:
            await self._read_clock()
        return self.last_known_now_ms()

    def last_known_now_ms(self) -> int:
        return int(self._clock() * 1000) + self._ahead_ms

    async def transaction(self, work: Callable[[Transaction], R]) -> R:
        """Runs `work` in a thread, commits, gives its result. Raises `StoreUnavailable` or `StoreError`, rolled back.

        As a whole: with every statement handed to a thread by itself, handing over took more than asking."""
        return await asyncio.shield(asyncio.ensure_future(self._transaction(work)))

    async def _transaction(self, work: Callable[[Transaction], R]) -> R:
        # aioodbc's own pool forgets those who wait for a place when a broken connection comes back, and lets
        # nobody give one back while another is being made.
        async with self._places:
            connection = await self._connection()
            try:
                return await self._in_thread(self._run, connection, work)
            except pyodbc.Error as error:
                explained = self._explained(error)
                # Broken, or perhaps so: the driver may yet find nothing wrong with rolling it back.
                if explained.state.startswith(("08", "HYT")) or self._says_broken(explained.state, explained.native):
                    connection.broken = True
                raise explained from None
            finally:
                connection.last_used = asyncio.get_running_loop().time()
                if connection.broken:
                    await self._quietly(connection.opened.close())
                else:
                    self._free.append(connection)

    def _run(self, connection: _Connection, work: Callable[[Transaction], R]) -> R:
        """In a thread. What was rolled back because a text cannot be decoded is done again, leniently."""
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
            result = work(Transaction(cursor, self._known_dialect(), digests=self.digests))
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
        """A free one, or a new one."""
        while self._free:
            connection = self._free.pop()
            if asyncio.get_running_loop().time() - connection.last_used < _IDLE_FOR:
                return connection
            await self._quietly(connection.opened.close())
        return await self._connect()

    def _known_dialect(self) -> Dialect:
        if self._dialect is None:  # set by the first connection
            raise RuntimeError("no connection was made yet")
        return self._dialect

    async def _quietly(self, closing: Awaitable[None]) -> None:
        try:
            await closing
        except pyodbc.Error as error:
            log.debug("connection.close_failed", error=str(self._explained(error)))

    async def _connect(self) -> _Connection:
        """Raises `StoreUnavailable` or `UnknownServer`."""
        made: list[pyodbc.Connection] = []
        unfit: list[Exception] = []

        async def prepare(connection: pyodbc.Connection) -> None:
            made.append(connection)
            try:
                await self._in_thread(self._prepare, connection)
            except (pyodbc.Error, UnknownServer) as error:  # raised in here it would leave the connection open
                unfit.append(error)

        try:
            opened = await aioodbc.connect(
                dsn=self._settings.sales_db_dsn.get_secret_value(),
                executor=self._open_threads(),
                timeout=max(1, int(self._settings.sales_db_timeout)),
                after_created=prepare,
            )
            if unfit:
                await self._quietly(opened.close())
                raise unfit[0]
        except pyodbc.Error as error:
            state, native = _state_and_number(error)
            failure = UnknownServer if state in _NO_DRIVER else StoreUnavailable
            raise failure(state, native) from None
        return _Connection(opened, made[0], last_used=asyncio.get_running_loop().time())

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
        connection.autocommit = False
        self._dialect = dialect

    async def _read_clock(self) -> None:
        def ask(tx: Transaction) -> int:
            before = self._clock()  # after connecting, which may take seconds
            server_ms = int(tx.rows(tx.dialect.clock)[0][0])
            return server_ms - int((before + self._clock()) / 2 * 1000)

        self._ahead_ms = await self.transaction(ask)
        self._clock_read = self._monotonic()

    def _explained(self, error: pyodbc.Error) -> StoreError:
        state, native = _state_and_number(error)
        passes = state in TRANSIENT_STATES or (native is not None and native in self._known_dialect().transient)
        failure = StoreUnavailable if passes or self._says_broken(state, native) else StoreError
        return failure(state, native)

    def _says_broken(self, state: str, native: int | None) -> bool:
        return native is not None and state in self._known_dialect().broken


def _state_and_number(error: pyodbc.Error) -> tuple[str, int | None]:
    """The driver's text may quote a value, so only its state and number are kept."""
    texts = [str(part) for part in error.args]
    state = next((text for text in texts if _STATE.fullmatch(text)), "HY000")
    number = _NATIVE.search(texts[-1]) if texts else None
    return state, int(number[1]) if number else None
