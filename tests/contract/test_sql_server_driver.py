"""Tests what Microsoft's own ODBC driver reports, sends and waits for, with a scripted server."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.documents.sale import SALE
from streams.stores.column_rules import digested_columns
from streams.stores.dialects import DIALECTS
from streams.stores.row_digests import document_digest, read_digests, try_digests
from streams.stores.sales_db import SalesDb, StoreError, StoreUnavailable, Transaction
from streams.stores.source_rows import SourceRows
from streams.stores.wait_for_database import until_available
from tests.contract.stores.databases import settings_for
from tests.contract.tds_server import (
    PRELOGIN,
    Cut,
    Request,
    TdsServer,
    done_in_procedure,
    error,
    message,
    ok,
    rows,
    tds_server,
)
from tests.support.recorded_statements import Statement, statements

SQL_SERVER = "Microsoft SQL Server"
NAME = "Nguyễn Thị Bí Mật 𝄞"
SECRETS = (NAME, "pwd-secret", "chain-db")
ALTER = "UPDATE dbo.SalesInvoices SET customer_name = ? WHERE id = ?"
AS_SENT = "UPDATE dbo.SalesInvoices SET customer_name = @P1 WHERE id = @P2"


def answering(**answers: bytes | type[Cut] | None) -> Callable[[Request], bytes | None]:
    """Answer by the first word of a statement; every other statement succeeds."""

    def answer(request: Request) -> bytes | None:
        if "DATEDIFF" in request.sql:
            return rows((int(time.time() * 1000),))
        given = answers.get(request.sql.partition(" ")[0], ok(request))
        if given is Cut:
            raise Cut
        return given  # type: ignore[return-value]

    return answer


@pytest.fixture
async def server() -> AsyncIterator[TdsServer]:
    async with tds_server(answer=answering()) as server:
        yield server


@pytest.fixture
def access(driver: Path) -> Callable[..., SalesDb]:
    def make(server: TdsServer | int, more: str = "", **changed: Any) -> SalesDb:
        port = server if isinstance(server, int) else server.port
        dsn = f"Driver={driver};Server=127.0.0.1,{port};Database=chain-db;UID=sa;PWD=pwd-secret;Encrypt=no;{more}"
        return SalesDb(
            settings_for(**{"sales_db_dsn": dsn, "sales_db_timeout": 1, "sales_db_connections": 1} | changed)
        )

    return make


@asynccontextmanager
async def opened(db: SalesDb) -> AsyncIterator[SalesDb]:
    await db.open()
    try:
        yield db
    finally:
        await db.close()


def alter(name: Any = NAME, id_: int = 1) -> Callable[[Transaction], None]:
    def work(tx: Transaction) -> None:
        tx.execute(ALTER, [name, id_])

    return work


def text_of(failure: BaseException) -> str:
    text = "".join(traceback.format_exception(failure)) + repr(failure)
    assert not [secret for secret in SECRETS if secret in text]
    return str(failure)


def committed(server: TdsServer) -> bool:
    """Say whether the last update was also committed."""
    said = [request.sql for request in server.seen]
    return "COMMIT" in said[len(said) - said[::-1].index(AS_SENT) :]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- connecting ----


async def test_the_server_is_recognized_as_sql_server_and_every_connection_is_set_up(
    server: TdsServer, access: Callable[..., SalesDb]
) -> None:
    async with opened(access(server)) as db:
        assert abs(await db.now_ms() - time.time() * 1000) < 1000
    said = [request.sql for request in server.seen]
    first = said.index(DIALECTS[SQL_SERVER].session[0])
    # Set up outside a transaction: rolling one back would not take it away, and nothing is held meanwhile.
    assert said[first - 1] == "COMMIT"
    assert said[first:][: len(DIALECTS[SQL_SERVER].session)] == list(DIALECTS[SQL_SERVER].session)


@pytest.mark.parametrize("more", ["", "ConnectRetryCount=10;ConnectRetryInterval=1"])
async def test_connecting_to_a_server_that_does_not_listen_fails_in_time(
    access: Callable[..., SalesDb], more: str
) -> None:
    """The driver itself retries until then, whatever the DSN says about retries."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        await access(free_port(), more).open()
    assert time.monotonic() - began < 3
    assert text_of(caught.value) == "SQLSTATE HYT00, server error 0"
    assert not caught.value.is_lock


@pytest.mark.parametrize("more", ["", "ConnectRetryCount=10;ConnectRetryInterval=1"])
async def test_connecting_to_a_silent_server_fails_in_time(access: Callable[..., SalesDb], more: str) -> None:
    async with tds_server(greets=False) as server:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            await access(server, more, sales_db_timeout=2).open()
        assert 1.5 < time.monotonic() - began < 4
    assert caught.value.state == "HYT00"
    assert [packet_type for packet_type, _ in server.packets] == [PRELOGIN]  # it did reach us, once


async def test_opening_waits_until_sql_server_is_there(access: Callable[..., SalesDb]) -> None:
    port = free_port()
    db = access(port)
    with capture_logs() as logs:
        opening = asyncio.create_task(until_available(db.open, "connect"))
        while not logs:
            await asyncio.sleep(0.01)
        async with tds_server(answer=answering(), port=port):
            await asyncio.wait_for(opening, 10)
            await db.close()
    assert {line["event"] for line in logs} == {"sales_database.waiting"}
    assert logs[0]["error"] == "SQLSTATE HYT00, server error 0"


@pytest.mark.parametrize(
    ("number", "state"), [(18456, "28000"), (4060, "42000"), (18401, "42000"), (40613, "42000"), (976, "42000")]
)
async def test_a_refused_log_in_to_sql_server_allows_a_retry(
    access: Callable[..., SalesDb], number: int, state: str
) -> None:
    """A password that is being changed or a database that is starting may pass, and is reported by its number."""
    async with tds_server(login=error(number, f"Login failed for user '{NAME}'.", level=14)) as server:
        with pytest.raises(StoreUnavailable) as caught:
            await access(server).open()
    assert text_of(caught.value) == f"SQLSTATE {state}, server error {number}"


async def test_the_driver_refuses_a_server_without_encryption(
    server: TdsServer, driver: Path, access: Callable[..., SalesDb]
) -> None:
    """The DSN does not mention encryption; driver 18 requires it."""
    dsn = f"Driver={driver};Server=127.0.0.1,{server.port};UID=sa;PWD=pwd-secret"
    with pytest.raises(StoreUnavailable) as caught:
        await access(server, sales_db_dsn=dsn).open()
    assert text_of(caught.value) == "SQLSTATE 08001, server error 20"
    assert [packet_type for packet_type, _ in server.packets] == [PRELOGIN]


# ---- texts ----


async def test_half_an_emoji_is_read_as_a_replacement_character(
    server: TdsServer, access: Callable[..., SalesDb]
) -> None:
    """Promise 5. Broken by: this driver raises `UnicodeDecodeError` for N'..' + NCHAR(0xD83C), for all of a batch."""
    names = (("Khách \ud83c", 1), (NAME, 2), ("", 3), ("\udc00\udc00x", 4))

    def answer(request: Request) -> bytes | None:
        return rows(*names) if "customer_name" in request.sql else answering()(request)

    server.answer = answer
    async with opened(access(server)) as db:
        for _ in range(2):
            found = await db.transaction(lambda tx: tx.rows("SELECT customer_name, id FROM dbo.SalesInvoices"))
            assert found == [("Khách \ufffd", 1), (NAME, 2), ("", 3), ("\ufffd\ufffdx", 4)]


# ---- errors ----

OF_A_ROW = (208, 245, 515, 547, 2628, 3609, 8115, 8152, 50000)
PASSES = (596, 701, 921, 976, 983, 1105, 1205, 1222, 3906, 6005, 8645, 9002, 40197, 40501, 40613, 49918)


@pytest.mark.parametrize("number", [*OF_A_ROW, *PASSES, 2601, 2627])
async def test_errors_of_sql_server_are_classified_by_their_number(access: Callable[..., SalesDb], number: int) -> None:
    refusal = error(number, f"what it says of {NAME}", then=message(3621, "The statement was terminated.", level=0))
    async with tds_server(answer=answering(UPDATE=refusal)) as server:
        async with opened(access(server)) as db:
            with pytest.raises(StoreError) as caught:
                await db.transaction(alter())
        assert not committed(server)
    failure = caught.value
    assert text_of(failure) == f"SQLSTATE {failure.state}, server error {number}"
    assert isinstance(failure, StoreUnavailable) == (number in PASSES)
    assert failure.is_lock == (number == 1222)
    assert failure.is_duplicate == (number in {2601, 2627})


@pytest.mark.parametrize("number", [50000, 3609, 1205])
async def test_an_error_after_the_row_counts_of_a_trigger_is_noticed(
    access: Callable[..., SalesDb], number: int
) -> None:
    """`execute` alone does not notice it: the batch would count as written, and the trigger has rolled it back."""
    counts = done_in_procedure(3) + done_in_procedure(1)
    async with tds_server(answer=answering(UPDATE=counts + error(number))) as server:
        async with opened(access(server)) as db:
            with pytest.raises(StoreError) as caught:
                await db.transaction(alter())
        assert not committed(server)
    assert caught.value.native == number


@pytest.mark.parametrize("where", ["UPDATE", "COMMIT"])
async def test_a_cut_connection_to_sql_server_allows_a_retry_on_another(
    access: Callable[..., SalesDb], where: str
) -> None:
    async with tds_server(answer=answering()) as server, opened(access(server)) as db:
        await db.transaction(alter())
        server.answer = answering(**{where: Cut})
        with pytest.raises(StoreUnavailable) as caught:
            await db.transaction(alter())
        assert text_of(caught.value) == "SQLSTATE 08S01, server error 10054"
        server.answer = answering()
        await db.transaction(alter())


async def test_a_connection_cut_while_idle_costs_one_try(server: TdsServer, access: Callable[..., SalesDb]) -> None:
    async with opened(access(server)) as db:
        server.cut_all()
        with pytest.raises(StoreUnavailable) as caught:
            await db.transaction(alter())
        assert caught.value.state == "08S01"
        await db.transaction(alter())


# ---- time-outs ----


@pytest.mark.parametrize("where", ["UPDATE", "COMMIT", "SELECT"])
@pytest.mark.parametrize("listens", [True, False])
async def test_a_statement_that_sql_server_does_not_answer_ends_in_time(
    access: Callable[..., SalesDb], where: str, listens: bool
) -> None:
    """A server that does not even answer the cancellation costs twice that time again."""

    def work(tx: Transaction) -> None:
        if where == "SELECT":
            tx.rows("SELECT id FROM dbo.SaleSync")
        alter()(tx)

    async with tds_server(answer=answering(), answers_attention=listens) as server, opened(access(server)) as db:
        server.answer = answering(**{where: None})
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            await db.transaction(work)
        assert time.monotonic() - began < (2 if listens else 5)
        assert caught.value.state == "HYT00"
        assert not caught.value.is_lock
        server.answer = answering()
        await db.transaction(work)


# ---- what is sent ----


async def test_texts_are_sent_as_unicode(server: TdsServer, access: Callable[..., SalesDb]) -> None:
    text = "Thuốc Đặc Trị ệ\u0301 𝄞 'x'; --"
    async with opened(access(server)) as db:
        await db.transaction(alter(text, 2**31 - 1))
    (call,) = (request for request in server.seen if request.sql == AS_SENT)
    assert [p.value for p in call.parameters] == [text, 2**31 - 1]
    assert call.parameters[0].raw == text.encode("utf-16-le")
    assert call.declared == "@P1 nvarchar(4000),@P2 int"


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("", "nvarchar(4000)"),
        ("x" * 2000, "nvarchar(4000)"),
        ("𝄞" * 2000, "nvarchar(4000)"),
        ("𝄞" * 4001, "nvarchar(max)"),
        ("ệ" * 100_000, "nvarchar(max)"),
        (2**31, "bigint"),
        (2**31 - 1, "int"),
        (datetime(2026, 11, 23, 8, 0, 0, 123000), "datetime2"),  # noqa: DTZ001 - as the point of sale's clock
    ],
)
async def test_a_parameter_is_declared_by_its_type_and_not_by_its_length(
    server: TdsServer, access: Callable[..., SalesDb], value: Any, type_: str
) -> None:
    async with opened(access(server, sales_db_timeout=5)) as db:
        await db.transaction(alter(value))
        assert committed(server)
    # Long ones are sent by themselves, after the statement was prepared.
    *_, call = (request for request in server.seen if request.sql == AS_SENT)
    assert call.declared == f"@P1 {type_},@P2 int"
    assert isinstance(value, datetime) or call.parameters[0].value == value


@pytest.fixture
def every_statement() -> list[Statement]:
    """Record the statements in a loop of its own, so not within a test that is in one."""
    return [statement for statement in statements() if statement.server == SQL_SERVER]


async def test_every_statement_needs_one_call_and_no_query_for_parameter_types(
    server: TdsServer, access: Callable[..., SalesDb], every_statement: list[Statement]
) -> None:
    """pyodbc would query the server for the type of a NULL, and learn nothing where the server cannot say."""

    def work(tx: Transaction) -> None:
        for statement in every_statement:
            run = tx.rows if statement.sql.startswith("SELECT") else tx.execute
            run(statement.sql, statement.parameters)

    async with opened(access(server, sales_db_timeout=30)) as db:
        before = len(server.seen)
        await db.transaction(work)
        seen = server.seen[before:]
    calls = [request for request in seen if request.procedure == "sp_prepexec"]
    assert {request.procedure for request in seen} == {"", "sp_prepexec", "sp_unprepare"}
    # What has no parameters goes as it is.
    assert [len(call.parameters) for call in calls] == [len(s.parameters) for s in every_statement if s.parameters]
    types = {part.partition(" ")[2] for call in calls for part in call.declared.split("@")}
    assert {packet_type.rstrip(",") for packet_type in types} - {""} == {"int", "bigint", "nvarchar(4000)", "datetime2"}


# ---- what comes ----


def columns() -> bytes:
    """The types of all columns that a digest covers."""
    return rows(*((table, name, "nvarchar", "50", "") for table, name in digested_columns(SALE)))


async def test_digests_are_returned_as_bytes(access: Callable[..., SalesDb]) -> None:
    header, *lines = (hashlib.sha256(bytes([n])).digest() for n in range(3))

    def answer(request: Request) -> bytes | None:
        if "INFORMATION_SCHEMA" in request.sql:
            return columns()
        if "HASHBYTES" not in request.sql:
            return answering()(request)
        if " FROM " not in request.sql:
            return rows((header,))
        return rows((7, header)) if "dbo.SalesInvoices " in request.sql else rows(*((7, line) for line in lines))

    async with tds_server(answer=answer) as server, opened(access(server)) as db:
        await try_digests(db, [SALE])
        assert await db.transaction(lambda tx: read_digests(tx, SALE, [7])) == {7: document_digest(header, lines)}


@pytest.mark.parametrize(("number", "of"), [(195, "HASHBYTES"), (451, "dbo.SalesInvoiceDetails l"), (8152, "x" * 8001)])
async def test_rows_are_read_without_digests_when_sql_server_refuses_them(
    access: Callable[..., SalesDb], number: int, of: str
) -> None:
    """It has no such function, cannot combine these collations, or takes no more than 8,000 bytes."""

    def answer(request: Request) -> bytes | None:
        if "INFORMATION_SCHEMA" in request.sql:
            return columns()
        return error(number) if "HASHBYTES" in request.sql and of in request.sql else answering()(request)

    async with tds_server(answer=answer) as server, opened(access(server)) as db:
        with capture_logs() as logs:
            await try_digests(db, [SALE])
        assert [line["event"] for line in logs] == ["digests.refused"]
        assert await SourceRows(db).read(SALE, [7]) == [None]
