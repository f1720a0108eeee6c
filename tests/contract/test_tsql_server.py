"""Tests what the suite makes on a T-SQL server and takes away again; a scripted server records it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from streams.credentials.connection_strings import odbc_keywords
from streams.local.processes import free_port
from tests.contract.stores.databases import settings_for
from tests.contract.stores.tsql_database import Tsql
from tests.contract.tds_server import Request, TdsServer, error, ok, rows, tds_server
from tests.support.repository import ROOT
from tests.tsql_server import (
    NONE_NAMED,
    PREFIX,
    NoServer,
    NotOffered,
    TsqlSales,
    TsqlServer,
    run,
    tables_with_ids_by_name,
)

ONE_TEST = "tests/contract/stores/test_sales_db.py::test_a_transaction_is_committed_and_returns_its_result"


def refusing(word: str, number: int) -> Callable[[Request], bytes]:
    """Refuse every statement with this word."""

    def answer(request: Request) -> bytes:
        if "@@VERSION" in request.sql:
            return rows(("Microsoft SQL Server of the tests\nand more",))
        return error(number) if word in request.sql else ok(request)

    return answer


def dsn(driver: Path, port: int) -> str:
    return f"Driver={driver};Server=127.0.0.1,{port};UID=sa;PWD=pwd-secret;Encrypt=no"


def use(dsn: str) -> TsqlServer:
    """Make two databases, fill one as the store contract does, and close the server."""
    with TsqlServer(dsn) as server:
        Tsql(server, server.create())
        server.create()
    return server


def said(tds: TdsServer, beginning: str) -> list[str]:
    return [request.sql for request in tds.seen if beginning in request.sql]


async def test_every_database_and_login_that_is_made_is_dropped(driver: Path) -> None:
    async with tds_server(answer=refusing("SINGLE_USER", 5011)) as tds:
        server = await asyncio.to_thread(use, dsn(driver, tds.port))
    created = [sql.removeprefix("CREATE DATABASE ") for sql in said(tds, "CREATE DATABASE")]
    assert len(set(created)) == 2
    assert all(name.startswith(f"[{PREFIX}") for name in created)
    assert sorted(sql.removeprefix("DROP DATABASE ") for sql in said(tds, "DROP DATABASE")) == sorted(created)
    assert server.worker is not None
    login, _ = server.worker
    assert f"CREATE LOGIN [{login}]" in said(tds, "CREATE LOGIN")[0]
    assert f"DROP LOGIN [{login}]" in tds.seen[-1].sql, "after the databases that have it as their user"
    assert server.version == "Microsoft SQL Server of the tests"


async def test_without_the_right_to_make_logins_the_worker_has_that_of_the_owner(driver: Path) -> None:
    async with tds_server(answer=refusing("CREATE LOGIN", 15247)) as tds:
        server = await asyncio.to_thread(use, dsn(driver, tds.port))
    assert server.worker is None
    assert "15247" in server.no_worker
    assert len(said(tds, "DROP DATABASE")) == 2


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (error(102, "Incorrect syntax near 'x'."), Exception),
        (error(262, "permission denied"), NotOffered),
        (error(33557097, "'MERGE' is not currently supported in Babelfish"), NotOffered),
    ],
)
async def test_only_what_a_server_does_not_have_or_allow_is_passed_over(
    driver: Path, answer: bytes, raised: type[Exception]
) -> None:
    def ask(dsn: str) -> None:
        with TsqlServer(dsn) as server, closing(server.connect("master")) as connection:
            run(connection, "MERGE dbo.AccountShop")

    def answers(request: Request) -> bytes:
        return answer if "MERGE" in request.sql else refusing("nothing", 0)(request)

    async with tds_server(answer=answers) as tds:
        with pytest.raises(raised) as caught:
            await asyncio.to_thread(ask, dsn(driver, tds.port))
    assert isinstance(caught.value, NotOffered) == (raised is NotOffered)


async def test_the_settings_of_a_whole_pipeline_name_its_database(driver: Path) -> None:
    async with tds_server(answer=refusing("nothing", 0)) as tds:
        server = await asyncio.to_thread(TsqlServer, dsn(driver, tds.port))
    given = TsqlSales(server, "streams_test_1").settings
    settings = settings_for(**{name.lower(): value for name, value in given.items()})
    assert settings.source_database == "streams_test_1"
    assert odbc_keywords(settings.sales_db_dsn.get_secret_value())["database"] == "streams_test_1"


def test_documents_take_the_ids_that_the_tests_name() -> None:
    (text,) = ["\n".join(tables_with_ids_by_name())]
    assert text.count("CREATE TABLE") == 7
    assert text.count("IDENTITY") == 3, "of the lines"
    assert "customer_name            NVARCHAR(100)" in text


def test_where_nobody_listens_one_line_says_so(driver: Path) -> None:
    port = free_port()
    line = rf"\ATEST_TSQL_DSN: no T-SQL server to be used at 127\.0\.0\.1,{port}: \[(08001|HYT00)\] [^\n]+\Z"
    with pytest.raises(NoServer, match=line) as caught:
        TsqlServer(dsn(driver, port))
    assert "pwd-secret" not in str(caught.value)


@pytest.mark.parametrize("named", [True, False])
def test_a_run_says_which_server_it_had(driver: Path, named: bool) -> None:
    """A server that does not answer ends the run, before each test of the contract says the same."""
    ours = {"TEST_TSQL_DSN", "REAL_SERVER_COUNTS"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    if named:
        environment["TEST_TSQL_DSN"] = dsn(driver, free_port())
    which = f"{ONE_TEST}[tsql]" if named else f"{ONE_TEST}[sqlite]"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", which],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, NONE_NAMED in done.stdout) == ((2, False) if named else (0, True)), done.stdout
    assert (done.stdout + done.stderr).count("TEST_TSQL_DSN: no T-SQL server to be used") == int(named)
