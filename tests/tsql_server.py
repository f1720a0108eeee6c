"""A server that speaks T-SQL, where TEST_TSQL_DSN names one for the tests: SQL Server, or one that stands in for it."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import pyodbc

from streams.credentials.connection_strings import odbc_keywords, odbc_string
from streams.local.database import SALES, Rows
from streams.stores.odbc_driver import microsoft_driver
from tests.support.connector_files import batches

DSN = os.environ.get("TEST_TSQL_DSN", "")
TSQL = ("tsql",) if DSN else ()
"""The name of its databases, where there is a server."""
NONE_NAMED = "no T-SQL server: set TEST_TSQL_DSN to run the store contract on one"

PREFIX = "streams_test_"
"""Every database and login that a test makes begins with it."""

_LOGIN_SECONDS = 5
_STATEMENT_SECONDS = 60
_LOCK_MS = 10_000
_TABLES = (
    *(
        "SaleSyncCopy",
        "SaleAction",
        "SaleSync",
        "AccountShop",
        "SalesInvoiceDetails",
        "SalesInvoices",
        "PurchaseReceiptDetails",
    ),
    *("PurchaseReceipts", "GoodsIssueSlipDetails", "GoodsIssueSlips"),
)
_HEADER_ID = re.compile(r"(id +INT) IDENTITY( .*PK_(?:SalesInvoices|PurchaseReceipts|GoodsIssueSlips) )")
_CUSTOMER = re.compile(r"(customer_name +)NVARCHAR\(50\)")

_MAY_NOT = {229, 230, 262, 297, 300, 15151, 15247, 15517, 22902}
"""Error numbers: the login may not do this."""
_HAS_NOT = re.compile(r"not (currently )?supported|not available in this edition", re.IGNORECASE)


class NoServer(Exception):
    """No server that can be used answers. The text is one line."""


class NotOffered(Exception):
    """The server does not have this statement, or the login may not run it. The text is the server's answer."""


class TsqlServer:
    """Makes databases with random names, and drops them when it is closed. Raises `NoServer`."""

    def __init__(self, dsn: str) -> None:
        keywords = odbc_keywords(dsn)
        if not keywords.keys() & {"driver", "dsn", "filedsn"}:
            keywords = {"driver": microsoft_driver().name} | keywords
        self._keywords = keywords
        self._drop = ExitStack()
        login = f"{PREFIX}{secrets.token_hex(6)}"
        self.worker: tuple[str, str] | None = (login, f"Aa1{secrets.token_urlsafe(18)}")
        """Name and password of the worker's login. None where the server lets us make no login."""
        self.no_worker = ""
        """What the server answered then."""
        try:
            with closing(self.connect("master")) as connection:
                ((text,),) = run(connection, "SELECT @@VERSION")
        except pyodbc.Error as error:
            where = keywords.get("server", "an unnamed server")
            raise NoServer(f"TEST_TSQL_DSN: no T-SQL server to be used at {where}: {one_line(error)}") from None
        self.version = str(text).splitlines()[0]
        self._drop.callback(self._drop_login, login)  # the last of all: databases have it as their user

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop.close()

    def dsn(self, database: str, login: tuple[str, str] | None = None) -> str:
        """Return the connection string of the owner of the databases, or of this login."""
        keywords = self._keywords | {"database": database}
        if login:
            keywords = {name: value for name, value in keywords.items() if name != "trusted_connection"}
            keywords |= {"uid": login[0], "pwd": login[1]}
        return odbc_string(keywords)

    def connect(self, database: str) -> pyodbc.Connection:
        """Connect in autocommit mode, with limits on every wait."""
        pyodbc.pooling = False  # as in streams.stores.sales_db
        connection = pyodbc.connect(self.dsn(database), autocommit=True, timeout=_LOGIN_SECONDS)
        connection.timeout = _STATEMENT_SECONDS
        connection.execute(f"SET LOCK_TIMEOUT {_LOCK_MS}").close()
        return connection

    def create(self) -> str:
        """Create an empty database; return its name."""
        name = f"{PREFIX}{secrets.token_hex(6)}"
        with closing(self.connect("master")) as connection:
            run(connection, f"CREATE DATABASE [{name}]")
        self._drop.callback(self._drop_database, name)
        return name

    def fill(self, name: str) -> None:
        """Drop all tables and make them again, with the rights of the worker."""
        with closing(self.connect(name)) as connection:
            for table in _TABLES:
                run(connection, f"IF OBJECT_ID(N'dbo.{table}', N'U') IS NOT NULL DROP TABLE dbo.{table}")
            for batch in tables_with_ids_by_name():
                run(connection, batch)
            for script in ("sale_sync.sql", "sale_action.sql", "30_indexes.sql"):
                run_script(connection, script)
            self._give_rights(connection)

    def _give_rights(self, connection: pyodbc.Connection) -> None:
        if self.worker is None:
            return
        login, password = self.worker
        try:
            run_script(connection, "40_worker_login.sql", WORKER_LOGIN=login, WORKER_PASSWORD=password)
        except NotOffered as answer:
            self.worker, self.no_worker = None, str(answer)

    def _drop_database(self, name: str) -> None:
        with closing(self.connect("master")) as connection:
            with suppress(pyodbc.Error):  # not every server can end sessions so; then the next statement needs none
                connection.execute(f"ALTER DATABASE [{name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE").close()
            connection.execute(f"DROP DATABASE [{name}]").close()

    def _drop_login(self, login: str) -> None:
        with closing(self.connect("master")) as connection:
            run(connection, f"IF SUSER_ID(N'{login}') IS NOT NULL DROP LOGIN [{login}]")


def tables_with_ids_by_name() -> Iterator[str]:
    """Yield the batches of `sample/tables.sql`, changed for the tests: they name the ids of documents, which a column
    with IDENTITY does not take; and their samples have customers with longer names.
    """
    for batch in batches("sample/tables.sql"):
        yield _CUSTOMER.sub(r"\1NVARCHAR(100)", _HEADER_ID.sub(r"\1\2", batch))


def run_script(connection: pyodbc.Connection, name: str, **variables: str) -> list[Any]:
    """Run a script of `connectors/sql` as sqlcmd does; return the rows of its last batch."""
    found: list[Any] = []
    for batch in batches(name, variables):
        found = run(connection, batch)
    return found


def run(connection: pyodbc.Connection, batch: str) -> list[Any]:
    """Run one batch to its end; return its rows. Raises `NotOffered`, or else the driver's error."""
    found: list[Any] = []
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute(batch)
            while True:
                if cursor.description:
                    found += cursor.fetchall()
                if not cursor.nextset():
                    return found
    except pyodbc.Error as error:
        number = re.search(r"\((\d+)\) \(SQL", one_line(error))
        if (number and int(number[1]) in _MAY_NOT) or _HAS_NOT.search(one_line(error)):
            raise NotOffered(one_line(error)) from None
        raise


def one_line(error: pyodbc.Error) -> str:
    return " ".join(str(error.args[-1]).split())


@dataclass(frozen=True, slots=True)
class TsqlSales:
    """A sales database on the server, for the sales of a whole stack."""

    server: TsqlServer
    name: str
    place: str = field(default="the T-SQL server of the tests")

    @property
    def settings(self) -> Mapping[str, str]:
        return {"SALES_DB_DSN": self.server.dsn(self.name, self.server.worker)}

    def connect(self) -> TsqlTill:
        return TsqlTill(self.server.connect(self.name))


class TsqlTill:
    def __init__(self, connection: pyodbc.Connection) -> None:
        self._connection = connection
        self.close = connection.close

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        rows: Rows = self._connection.execute(sql, *parameters)
        return rows

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object:
        with closing(self._connection.cursor()) as cursor:
            for row in rows:
                cursor.execute(sql, *row)
        return None

    @contextmanager
    def selling(self, table: str = SALES) -> Iterator[int]:
        self.execute("BEGIN TRANSACTION")
        try:
            self.execute("EXEC sp_getapplock @Resource = N'till', @LockMode = N'Exclusive', @LockTimeout = 10000")
            ((last,),) = self.execute(f"SELECT COALESCE(MAX(id), 0) FROM {table}").fetchall()  # noqa: S608
            yield int(last)
            self.execute("COMMIT")
        except BaseException:
            self.execute("IF @@TRANCOUNT > 0 ROLLBACK")
            raise

    def used(self, last_id: int, table: str = SALES) -> None:
        """Ids are the highest one and those after it."""
