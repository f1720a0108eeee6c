"""Runs `connectors/sql` on the T-SQL server that TEST_TSQL_DSN names, each script twice, as far as the server goes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing

import pyodbc
import pytest

from tests.tsql_server import PREFIX, NotOffered, TsqlServer, run, run_script

NOBODY = f"{PREFIX}nobody"
AGENT = (
    "SELECT 1 FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server Agent%' AND status = 4 "
    "UNION ALL SELECT 1 FROM sys.dm_exec_sessions WHERE program_name LIKE N'SQLAgent%'"
)


@pytest.fixture
def owner(tsql_server: TsqlServer) -> Iterator[pyodbc.Connection]:
    """A database with the tables of the point of sale, as `sample/tables.sql` makes them, and ours."""
    with closing(tsql_server.connect(tsql_server.create())) as connection:
        for script in ("sample/tables.sql", "sale_sync.sql", "sale_action.sql"):
            twice(connection, script)
        yield connection


def twice(connection: pyodbc.Connection, name: str, **variables: str) -> list[list[object]]:
    """Run a script, and again; return the rows of its last batch as the second run finds them."""
    try:
        run_script(connection, name, **variables)
        return [list(row) for row in run_script(connection, name, **variables)]
    except NotOffered as answer:
        pytest.skip(f"{name}: {answer}")


def worker(server: TsqlServer) -> dict[str, str]:
    if server.worker is None:
        pytest.skip(f"no login can be made: {server.no_worker}")
    return {"WORKER_LOGIN": server.worker[0], "WORKER_PASSWORD": server.worker[1]}


def test_the_indexes_are_made_once(owner: pyodbc.Connection) -> None:
    twice(owner, "30_indexes.sql")
    names = run(owner, "SELECT name FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SalesInvoices')")
    assert {"IX_SalesInvoices_status_updated", "IX_SalesInvoices_shop"} <= {name for (name,) in names}


def test_the_indexes_are_dropped_again(owner: pyodbc.Connection) -> None:
    twice(owner, "30_indexes.sql")
    twice(owner, "91_indexes_off.sql")
    ours = "SELECT COUNT(*) FROM sys.indexes WHERE name IN (N'IX_SalesInvoices_status_updated', N'IX_AccountShop_shop')"
    assert run(owner, ours)[0][0] == 0


def test_a_database_that_is_not_named_as_a_copy_is_neither_marked_nor_robbed_of_its_accounts(
    owner: pyodbc.Connection,
) -> None:
    account = "INSERT INTO dbo.AccountShop (shop_pharmacy_code, account, password, status) VALUES (N'S', N'a', N'p', 1)"
    run(owner, account)
    with pytest.raises(pyodbc.Error, match="does not end in _rehearsal"):
        run_script(owner, "70_mark_copy.sql")
    assert run(owner, "SELECT account, password FROM dbo.AccountShop")[0][:] == ("a", "p")
    assert run(owner, "SELECT OBJECT_ID(N'dbo.SaleSyncCopy', N'U')")[0][0] is None


def test_the_check_finds_no_fault_in_the_sample_tables(owner: pyodbc.Connection) -> None:
    found = twice(owner, "00_check.sql")
    assert any(what == "examined" for _, _, what, *_ in found)
    assert [row for row in found if str(row[2]).startswith("dbo.") and row[1] == "error"] == []


def test_the_worker_may_do_what_it_needs_and_nothing_else(tsql_server: TsqlServer, owner: pyodbc.Connection) -> None:
    twice(owner, "40_worker_login.sql", **worker(tsql_server))
    ((name,),) = run(owner, "SELECT DB_NAME()")
    with closing(pyodbc.connect(tsql_server.dsn(str(name), tsql_server.worker), autocommit=True, timeout=10)) as login:
        run(login, "UPDATE dbo.SalesInvoices SET status = N'SYNC_FAILED' WHERE id = 1")
        run(login, "INSERT INTO dbo.SaleSync (document_type, id) VALUES (N'sale', 1)")
        for statement in (
            "DELETE FROM dbo.SalesInvoices",
            "DELETE FROM dbo.SaleSync",
            "UPDATE dbo.SaleAction SET actor = N'x'",
            "UPDATE dbo.SalesInvoices SET customer_name = N'x'",
            "UPDATE dbo.AccountShop SET password = N'x'",
        ):
            with pytest.raises((NotOffered, pyodbc.Error)):
                run(login, statement)


def test_after_a_restore_what_is_pending_is_looked_up_first(owner: pyodbc.Connection) -> None:
    run(
        owner,
        "INSERT INTO dbo.SalesInvoices (local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, "
        "created_at, updated_at) VALUES (N'HD-1', N'79-1', N'S-1', GETDATE(), N'PENDING_SYNC', GETDATE(), GETDATE())",
    )
    twice(owner, "50_after_restore.sql")
    states = run(owner, "SELECT document_type, sent_hash, next_attempt_at FROM dbo.SaleSync ORDER BY document_type")
    assert [tuple(row) for row in states] == [("sale", "*", 0), ("sale:new", "*", None)]


def test_the_sample_sells(owner: pyodbc.Connection) -> None:
    twice(owner, "sample/sales.sql", SAMPLE_SHOP_PASSWORD="mat-khau")
    ((sold,),) = run(owner, "SELECT COUNT(*) FROM dbo.SalesInvoices WHERE status = N'PENDING_SYNC'")
    assert sold == 8


def test_changes_are_captured_and_no_longer(tsql_server: TsqlServer, owner: pyodbc.Connection) -> None:
    try:
        runs = run(owner, AGENT)
    except (NotOffered, pyodbc.Error) as answer:
        pytest.skip(f"whether SQL Server Agent runs is not answered: {answer}")
    if not runs:
        pytest.skip("SQL Server Agent does not run on this server")
    login = f"{PREFIX}{secrets.token_hex(6)}"
    try:
        twice(owner, "10_capture_on.sql")
        twice(
            owner, "20_connector_login.sql", DEBEZIUM_LOGIN=login, DEBEZIUM_PASSWORD=f"Aa1{secrets.token_urlsafe(18)}"
        )
        captured = "SELECT COUNT(*) FROM sys.tables WHERE is_tracked_by_cdc = 1"
        assert run(owner, captured)[0][0] == 3
        twice(owner, "90_capture_off.sql", DROP_SALE_SYNC="no", DEBEZIUM_LOGIN=login, WORKER_LOGIN=NOBODY)
        assert run(owner, captured)[0][0] == 0
    finally:
        run(owner, f"IF SUSER_ID(N'{login}') IS NOT NULL DROP LOGIN [{login}]")


def test_our_tables_go_only_on_request(owner: pyodbc.Connection) -> None:
    nobody = {"DEBEZIUM_LOGIN": NOBODY, "WORKER_LOGIN": NOBODY}
    there = "SELECT COUNT(*) FROM sys.tables WHERE name IN (N'SaleSync', N'SaleAction')"
    twice(owner, "90_capture_off.sql", DROP_SALE_SYNC="no", **nobody)
    assert run(owner, there)[0][0] == 2
    twice(owner, "90_capture_off.sql", DROP_SALE_SYNC="yes", **nobody)
    assert run(owner, there)[0][0] == 0
