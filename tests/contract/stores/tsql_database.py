"""The sales database on a T-SQL server. Where servers differ, what they answer decides, not their name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pyodbc
import pytest

from streams.settings import Settings
from streams.stores.sales_db import Transaction
from tests.contract.stores.databases import settings_for
from tests.tsql_server import NotOffered, TsqlServer, run

_TRIES = 2_000


class Tsql:
    def __init__(self, server: TsqlServer, name: str) -> None:
        server.fill(name)
        self._server = server
        self._name = name

    def settings(self, **changed: Any) -> Settings:
        return settings_for(**{"sales_db_dsn": self._server.dsn(self._name, self._server.worker)} | changed)

    def points_of_sale(self) -> dict[str, Any]:
        return {"sales_db_dsn": self._server.dsn(self._name)}

    def impatient(self) -> dict[str, Any]:
        return {}

    async def refuse(self, id_: int, words: str) -> None:
        await asyncio.to_thread(
            self._run,
            f"CREATE TRIGGER dbo.refuse_{id_} ON dbo.SalesInvoices AFTER UPDATE AS "  # noqa: S608
            f"IF EXISTS (SELECT 1 FROM inserted WHERE id = {id_}) BEGIN; THROW 50000, N'{words}', 1; END",
        )

    async def accept(self, id_: int) -> None:
        await asyncio.to_thread(self._run, f"DROP TRIGGER dbo.refuse_{id_}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the rows that are there, and the key of the first one where it is not: no server ignores that."""
        with closing(self.connect()) as owner:
            owner.autocommit = False
            owner.execute("UPDATE dbo.SalesInvoices SET customer_name = customer_name")
            owner.execute("UPDATE dbo.SaleSync SET tries = tries")
            owner.execute(
                "INSERT INTO dbo.SaleSync (document_type, id) SELECT 'sale', 1 WHERE NOT EXISTS "
                "(SELECT 1 FROM dbo.SaleSync WHERE document_type = 'sale' AND id = 1)"
            )
            try:
                yield
            finally:
                owner.rollback()

    def is_waited_for(self) -> bool:
        return False  # to be shown it takes a right that the owner of a database does not have

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let only the owner connect."""
        if self._server.worker is None:
            pytest.skip(f"the worker has no login of its own that could be refused: {self._server.no_worker}")
        login, _ = self._server.worker
        self._run(f"ALTER LOGIN [{login}] DISABLE")
        try:
            yield
        finally:
            self._run(f"ALTER LOGIN [{login}] ENABLE")

    def break_connection(self, tx: Transaction) -> None:
        ((session,),) = tx.rows("SELECT @@SPID")
        try:
            self._run(f"KILL {int(session)}")
        except NotOffered:
            raise pyodbc.OperationalError(
                "08S01", "[08S01] [SQL Server]Communication link failure (0) (SQLExecDirectW)"
            ) from None
        for _ in range(_TRIES):  # the server ends the session soon, not at once
            tx.rows("SELECT ?", [1])
        raise AssertionError(f"session {session} still answers after KILL")

    def connect(self) -> pyodbc.Connection:
        """Connect as the owner, in autocommit mode."""
        return self._server.connect(self._name)

    def _run(self, statement: str) -> None:
        with closing(self.connect()) as owner:
            run(owner, statement)
