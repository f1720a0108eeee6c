"""Every statement, as it is really built: plain SQL that three servers take, with parameters that SQL Server takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlglot
from sqlglot import exp

from streams.documents import KINDS
from streams.stores.dialects import DIALECTS
from streams.stores.ends import Ends
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from streams.stores.sync_state import Claim, SyncStates, Want
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.till import Till, accepted, refused, waits

FAR = 4_000_000_000_000


class Recording(SalesDb):
    """Runs every statement on a real database and keeps its text and how many parameters it had."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.statements: dict[str, int] = {}

    async def transaction(self, work: Any) -> Any:
        async def recorded(tx: Transaction) -> Any:
            return await work(_RecordingTransaction(tx, self.statements))

        return await super().transaction(recorded)


class _RecordingTransaction(Transaction):
    def __init__(self, tx: Transaction, statements: dict[str, int]) -> None:
        super().__init__(tx._cursor, tx.dialect)
        self._statements = statements

    async def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._statements[sql] = len(parameters)
        return await super().rows(sql, parameters)

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self._statements[sql] = len(parameters)
        await super().execute(sql, parameters)


async def _everything(folder: Path) -> dict[str, int]:
    kind = KINDS[0]
    db = Recording(Sqlite(folder).settings())
    await db.open()
    ids = list(range(1, 301))
    await Till(db).sell(*ids)
    db.statements.clear()
    states, ends, schedule = SyncStates(db, lease_ms=1), Ends(db, {"sale": kind}, ZoneInfo("UTC")), Schedule(db, kind)
    await states.claim("sale", kind.table, [Want(i, 0, "h", 1, 1) for i in ids])
    await states.nothing_held("sale", Claim(1, 1, 0), None)
    await states.keep_refusal("sale", Claim(1, 1, 0), sent_hash=None, body="{}", words="w")
    told = [waits(i, 1, FAR) if i % 3 else accepted(i, 1) if i % 2 else refused(i, 1) for i in ids[:100]]
    await ends.apply("sale", told)
    await ends.apply("sale", [accepted(i, 1, body_hash="h") for i in ids[:100]])
    await schedule.enroll(0, 1000)
    await schedule.due(500, FAR)
    await schedule.put_off(ids, 1)
    await schedule.fed_and_unclaimed()
    await schedule.shops_waiting_for_accounts(["a", "b", "c"], 100)
    await schedule.release("s", ["a", "b", "c"])
    for each in KINDS:
        await SourceRows(db).read(each, ids[:128])
    await SourceRows(db).accounts([str(n) for n in range(128)])
    await db.close()
    return db.statements


@pytest.fixture(scope="module")
def statements(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return asyncio.run(_everything(tmp_path_factory.mktemp("statements")))


SERVERS = {"Microsoft SQL Server": "tsql", "PostgreSQL": "postgres", "SQLite": "sqlite"}


def of_ours(statements: dict[str, int]) -> dict[str, int]:
    """All but the reading of the clock, which is each server's own."""
    return {sql: n for sql, n in statements.items() if "dbo." in sql}


def test_there_is_something_to_look_at(statements: dict[str, int]) -> None:
    assert len(of_ours(statements)) > 20


@pytest.mark.parametrize("server", SERVERS)
def test_every_server_takes_every_statement(statements: dict[str, int], server: str) -> None:
    limits = {DIALECTS[name].limit.partition(" {")[0]: DIALECTS[server].limit.format(n=5) for name in DIALECTS}
    for sql in of_ours(statements):
        head, separator, _ = sql.partition(" LIMIT ")
        there = f"{head} {limits['LIMIT']}" if separator else sql
        [tree] = sqlglot.parse(there, dialect=SERVERS[server])
        assert isinstance(tree, exp.Select | exp.Insert | exp.Update), sql
        for table in tree.find_all(exp.Table):
            assert table.db == "dbo", f"{table} in {sql}"


def test_no_statement_has_more_parameters_than_sql_server_takes(statements: dict[str, int]) -> None:
    for sql, parameters in of_ours(statements).items():
        assert sql.count("?") == parameters
        assert parameters <= 2_100, sql


@pytest.mark.parametrize("server", SERVERS)
def test_clock_and_session_are_the_servers_own(server: str) -> None:
    dialect = DIALECTS[server]
    assert sqlglot.parse_one(dialect.clock, dialect=SERVERS[server]).find(exp.Select)
    for statement in dialect.session:
        assert sqlglot.parse(statement, dialect=SERVERS[server])
