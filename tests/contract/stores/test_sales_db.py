"""Tests the sales database over ODBC: transactions, its clock, and errors that say whether to retry."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pyodbc
import pytest

from streams.stores.sales_db import SalesDb, StoreError, StoreUnavailable, Transaction, UnknownServer
from streams.stores.wait_for_database import until_available
from tests.contract.stores.databases import Database, Postgresql
from tests.contract.stores.point_of_sale import PointOfSale
from tests.support.repository import ROOT

OpenDb: TypeAlias = Callable[..., Awaitable[SalesDb]]
NAME = "Nguyễn Thị Bí Mật"
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


_TIMEOUT = 10.0


def nothing(tx: Transaction) -> int:
    return int(tx.rows("SELECT COUNT(*) FROM dbo.SaleSync")[0][0])


def add(id_: int) -> Callable[[Transaction], None]:
    def work(tx: Transaction) -> None:
        tx.execute("INSERT INTO dbo.SaleSync (document_type, id) VALUES (?, ?)", ["sale", id_])

    return work


async def test_a_transaction_is_committed_and_returns_its_result(db: SalesDb, open_db: OpenDb) -> None:
    def work(tx: Transaction) -> str:
        add(1)(tx)
        add(2)(tx)
        return "done"

    assert await db.transaction(work) == "done"
    assert await (await open_db()).transaction(nothing) == 2


def test_the_odbc_manager_keeps_no_connection_that_was_closed() -> None:
    """In a process of its own, as the manager is asked once in a process. What was set on a connection ends with it,
    and no statement loses characters; with a pool, unixODBC 2.3.12 and later break both."""
    code = """
        import pyodbc, streams.stores.sales_db
        from streams.local.debian import sqlite_odbc_driver
        assert pyodbc.pooling is False
        for _ in range(2):
            connection = pyodbc.connect(f"Driver={sqlite_odbc_driver()};Database=:memory:", autocommit=True)
            connection.execute("ATTACH DATABASE ':memory:' AS dbo").close()
            (text,) = connection.execute("SELECT 'Đ'").fetchone()
            assert text == "Đ", ascii(text)
            connection.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("problem", [ValueError, pyodbc.OperationalError, asyncio.CancelledError])
async def test_an_error_rolls_back_the_whole_transaction(db: SalesDb, problem: type[BaseException]) -> None:
    def work(tx: Transaction) -> None:
        add(1)(tx)
        raise problem

    with pytest.raises((problem, StoreError)):
        await db.transaction(work)
    assert await db.transaction(nothing) == 0


async def test_a_refused_statement_rolls_back_those_before_it(db: SalesDb) -> None:
    def work(tx: Transaction) -> None:
        add(1)(tx)
        add(2)(tx)
        add(1)(tx)

    with pytest.raises(StoreError) as caught:
        await db.transaction(work)
    assert caught.value.is_duplicate
    assert await db.transaction(nothing) == 0


async def test_a_caller_that_is_cancelled_leaves_no_connection_half_used(open_db: OpenDb) -> None:
    db = await open_db(sales_db_connections=1)
    begun, go_on = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        add(1)(tx)
        begun.set()
        assert go_on.wait(_TIMEOUT)
        add(2)(tx)

    caller = asyncio.create_task(db.transaction(work))
    assert await asyncio.to_thread(begun.wait, _TIMEOUT)
    next_one = asyncio.create_task(db.transaction(nothing))
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not next_one.done()
    go_on.set()
    assert await next_one == 2  # it ended by itself, whole, and gave its connection back


async def test_transactions_beyond_the_number_of_connections_wait(open_db: OpenDb) -> None:
    db = await open_db(sales_db_connections=2)
    running = most = 0
    both, counting = threading.Event(), threading.Lock()

    def work(tx: Transaction) -> int:
        nonlocal running, most
        with counting:
            running += 1
            most = max(most, running)
        if running == 2:
            both.set()
        assert both.wait(_TIMEOUT)  # a new connection takes longer than all of them on the first one
        result = nothing(tx)
        with counting:
            running -= 1
        return result

    assert await asyncio.gather(*(db.transaction(work) for _ in range(20))) == [0] * 20
    assert most == 2


async def test_closing_waits_for_what_runs(open_db: OpenDb) -> None:
    db, other = await open_db(), await open_db()
    begun, go_on = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        begun.set()
        assert go_on.wait(_TIMEOUT)
        add(1)(tx)

    running = asyncio.create_task(db.transaction(work))
    assert await asyncio.to_thread(begun.wait, _TIMEOUT)
    closing = asyncio.create_task(db.close())
    go_on.set()
    await running
    await closing
    assert await other.transaction(nothing) == 1
    with pytest.raises(RuntimeError, match="not open"):
        await db.transaction(nothing)


async def test_the_clock_is_the_servers_in_utc_milliseconds(db: SalesDb) -> None:
    def query(tx: Transaction) -> int:
        return int(tx.rows(tx.dialect.clock)[0][0])

    readings = []
    for _ in range(20):
        before, server, after = time.time(), await db.transaction(query), time.time()
        assert int(before * 1000) - 1 <= server <= int(after * 1000) + 1
        readings.append(server)
    assert any(reading % 1000 for reading in readings)
    assert abs(await db.now_ms() - time.time() * 1000) < 1_000
    assert abs(db.last_known_now_ms() - time.time() * 1000) < 1_000


async def test_a_lock_of_another_process_ends_with_an_error_that_allows_a_retry(
    database: Database, open_db: OpenDb
) -> None:
    db = await open_db(**database.impatient())
    with database.locked():
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            await db.transaction(add(1))
        assert 0.04 <= time.monotonic() - began < 4
        assert caught.value.is_lock
    await db.transaction(add(1))


async def test_an_invalid_statement_is_a_permanent_error(db: SalesDb) -> None:
    with pytest.raises(StoreError) as caught:
        await db.transaction(lambda tx: tx.rows("SELECT 1 FROM dbo.NoSuchTable"))
    assert not isinstance(caught.value, StoreUnavailable)
    assert not caught.value.is_lock
    assert not caught.value.is_duplicate


@pytest.mark.parametrize("driver", ["Driver=/nowhere/libodbc.so", "DSN=nowhere", "Driver={No Such Driver}"])
async def test_a_missing_driver_is_a_permanent_error(database: Database, driver: str) -> None:
    db = SalesDb(database.settings(sales_db_dsn=f"{driver};UID=sa;PWD=pwd-secret"))
    with pytest.raises(UnknownServer, match="SALES_DB_DSN") as caught:
        await db.open()
    assert not isinstance(caught.value, StoreUnavailable)
    assert "pwd-secret" not in "".join(traceback.format_exception(caught.value))


async def test_opening_waits_for_a_server_that_is_away(database: Database) -> None:
    db = SalesDb(database.settings())
    with database.away():
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await db.open()
        opening = asyncio.create_task(until_available(db.open, "connect"))
        assert not (await asyncio.wait({opening}, timeout=0.1))[0]
    await asyncio.wait_for(opening, 10)
    assert await db.transaction(nothing) == 0
    await db.close()


async def test_a_server_that_goes_away_is_an_error_that_allows_a_retry(database: Database, open_db: OpenDb) -> None:
    db = await open_db(sales_db_connections=1)
    with pytest.raises(StoreUnavailable):
        await db.transaction(database.break_connection)
    with database.away(), pytest.raises(StoreUnavailable) as caught:
        await db.transaction(nothing)
    assert not caught.value.is_lock
    assert await db.transaction(nothing) == 0


async def test_a_broken_connection_frees_its_place_for_waiting_callers(database: Database, open_db: OpenDb) -> None:
    db = await open_db(sales_db_connections=1)
    broken = [db.transaction(database.break_connection) for _ in range(5)]
    async with asyncio.timeout(10):
        results = await asyncio.gather(*broken, db.transaction(nothing), return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 5 + [int]


@on_postgresql
@pytest.mark.parametrize(
    ("sql", "parameters"), [("SELECT 1", []), ("SELECT ?", [1]), ("UPDATE dbo.SaleSync SET tries = ?", [1]), ("", [])]
)
async def test_a_connection_that_breaks_at_any_point_allows_a_retry_on_another(
    database: Postgresql, open_db: OpenDb, sql: str, parameters: list[Any]
) -> None:
    """The driver reports it differently without parameters, with some, and at the commit."""
    db = await open_db(sales_db_connections=1)

    def work(tx: Transaction) -> None:
        database.end_session(tx)
        if sql:
            tx.execute(sql, parameters)

    with pytest.raises(StoreUnavailable) as caught:
        await db.transaction(work)
    assert not caught.value.is_lock
    assert await db.transaction(nothing) == 0


@on_postgresql
async def test_a_statement_that_takes_too_long_is_cancelled_and_its_connection_stays_usable(open_db: OpenDb) -> None:
    db = await open_db(sales_db_connections=1, sales_db_timeout=1)
    session = "SELECT pg_backend_pid()"
    before = await db.transaction(lambda tx: tx.rows(session))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="57014"):
        await db.transaction(lambda tx: tx.rows("SELECT pg_sleep(?)", [30]))
    assert time.monotonic() - began < 10
    assert await db.transaction(lambda tx: tx.rows(session)) == before


@on_postgresql
async def test_a_missing_right_is_a_permanent_error(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1)
    with pytest.raises(StoreError, match="42501") as caught:
        await db.transaction(lambda tx: tx.execute("DELETE FROM dbo.SalesInvoices WHERE id = ?", [1]))
    assert not isinstance(caught.value, StoreUnavailable)


async def test_the_text_of_a_database_error_has_no_value(
    db: SalesDb, point_of_sale: PointOfSale, database: Database
) -> None:
    await point_of_sale.sell(1)
    await database.refuse(1, NAME)
    with pytest.raises(StoreError) as caught:
        await point_of_sale.run("UPDATE dbo.SalesInvoices SET customer_name = ? WHERE id = 1", NAME)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert NAME not in text
    assert "SQLSTATE" in text


SQL_SERVER = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
TERMINATED = f"{SQL_SERVER}The statement has been terminated. (3621)"


@pytest.mark.parametrize(
    ("state", "text", "lock", "duplicate"),
    [
        ("42000", "Lock request time out period exceeded. (1222)", True, False),
        ("23000", f"Cannot insert duplicate key. The duplicate key value is (sale, {NAME} (5)). (2627)", False, True),
        ("23000", "The UPDATE statement conflicted with the CHECK constraint. (547)", False, False),
        ("42000", "Invalid object name 'dbo.SaleSync'. (208)", False, False),
    ],
)
async def test_the_first_error_of_sql_server_counts(
    db: SalesDb, state: str, text: str, lock: bool, duplicate: bool
) -> None:
    """After the error itself it reports that the statement was terminated, with another number (in pyodbc's form)."""

    def work(_: Transaction) -> Any:
        raise pyodbc.Error(state, f"[{state}] {SQL_SERVER}{text} (SQLExecDirectW); [{state}] {TERMINATED}")

    with pytest.raises(StoreError) as caught:
        await db.transaction(work)
    assert (caught.value.is_lock, caught.value.is_duplicate) == (lock, duplicate)
    assert str(caught.value) == f"SQLSTATE {state}, server error {text[-5:-1].strip('(')}"
