"""Records every SQL statement of the stores and the desk as it is really built, and parses it as its server would."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

import sqlglot
from sqlglot import exp

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import DocumentType
from streams.domain.document_codes import DocumentCodes
from streams.domain.document_status import Operation
from streams.domain.reasons import Code
from streams.operators.desk.desk import Desk
from streams.operators.desk.search import Search
from streams.stores.backlog import read_backlog
from streams.stores.capture_state import highest_id, newest_row
from streams.stores.concurrent_edits import request_again
from streams.stores.copy_mark import read_copy_mark, real_accounts
from streams.stores.corrections import _REMEMBER, _UNMARK, AcceptedDocument, Corrections, count_changed
from streams.stores.decisions import DecisionWriter
from streams.stores.dialects import DIALECTS
from streams.stores.earlier_documents import after_pending
from streams.stores.new_documents import NewDocuments
from streams.stores.pending_ages import read_pending_ages
from streams.stores.row_digests import digest_column
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.schedule import Schedule
from streams.stores.schema import check_table, tables
from streams.stores.source_rows import SourceRows
from streams.stores.sql_fragments import MAX_ROWS
from streams.stores.sync_state import Claim, ClaimRequest, SyncStates
from tests.contract.stores.databases import settings_for
from tests.contract.stores.point_of_sale import (
    accepted,
    decided,
    not_withdrawn,
    pending,
    refused,
    withdrawal_pending,
    withdrawn,
)

R = TypeVar("R")
IDS = list(range(1, MAX_ROWS + 1))
SPOKEN = {"Microsoft SQL Server": "tsql", "PostgreSQL": "postgres", "SQLite": "sqlite"}
JOURNALS_BATCH = 500
BODY = "{}"


@dataclass(frozen=True, slots=True)
class Statement:
    server: str
    sql: str
    parameters: tuple[Any, ...]


class Recorder(Transaction):
    """Answers so that every branch of a store is reached."""

    def __init__(self, server: str, *, news: bool, rows_per_update: int = MAX_ROWS) -> None:
        super().__init__(None, DIALECTS[server], digests=True, rows_per_update=rows_per_update)
        self._server = server
        self._news = news
        self.seen: list[Statement] = []

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.execute(sql, parameters)
        sql = re.sub(r"^SELECT TOP \(\d+\)", "SELECT", sql)
        if sql.startswith("SELECT COUNT"):
            return [(0,)]
        if sql.startswith("SELECT id FROM dbo.SaleSync WHERE document_type = ? AND owner = ?"):
            return [(id_,) for id_ in IDS if self._news]
        if "END AS state" in sql:
            return [(id_, 0, 1, 1, 0, 2**62, None)[: 7 if "s.owner" in sql else 2] for id_ in IDS]
        if sql.startswith("SELECT s.id, s.attempt, s.sent_hash, "):
            return [(id_, id_, "ab", None, 5) for id_ in IDS]
        if sql.startswith("SELECT MIN("):
            return [(1,)]
        if sql.startswith("SELECT MAX("):
            return [(None,)]
        if sql.startswith("SELECT d.id, d.local_invoice_id") and sql.endswith("'PENDING_CANCEL') ORDER BY d.id"):
            return [(id_, "HD", "79-1", "SHOP-1") for id_ in IDS]
        if sql.startswith("SELECT s.id FROM"):
            return [(id_,) for id_ in IDS if id_ % 4 == 0]
        if sql.startswith(("SELECT id FROM", "SELECT d.id FROM", "SELECT q.id FROM")):
            return [(id_,) for id_ in IDS]
        if sql.startswith("SELECT s.id, s.attempt FROM dbo.SaleSync"):
            return [(id_, 2**31 - 1) for id_ in IDS]
        if sql.startswith("SELECT s.id, s.attempt, s.attempts_since FROM"):
            return [(id_, 1, 5) for id_ in IDS]
        if sql.startswith("SELECT d.id, d.updated_at FROM"):
            return [(id_, datetime(2026, 11, 23, 8)) for id_ in IDS]  # noqa: DTZ001 - the local time at the point of sale
        if sql.startswith("SELECT id, refused_attempt"):
            return [(id_, 1, BODY, "no") for id_ in IDS]
        return []

    def dicts(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        self.execute(sql, parameters)
        return []

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self.seen.append(Statement(self._server, sql, tuple(parameters)))


class RecordingDb(SalesDb):
    def __init__(self, server: str, rows_per_update: int = MAX_ROWS) -> None:
        super().__init__(settings_for(write_back_rows=rows_per_update))
        self._server = server
        self.news = True
        self.seen: list[Statement] = []

    async def now_ms(self) -> int:
        return 1_800_000_000_000

    async def transaction(self, work: Callable[[Transaction], R]) -> R:
        recorder = Recorder(self._server, news=self.news, rows_per_update=self._settings.write_back_rows)
        result = work(recorder)
        self.seen += recorder.seen
        return result


async def run_everything(db: RecordingDb, document_type: DocumentType) -> None:
    """Run every statement with the most parameters that it ever gets."""
    states = SyncStates(db, lease_ms=1000)
    claim = Claim(1, 1, 5)
    await states.claim(document_type.name, document_type.table, [ClaimRequest(id_, 0, "ab", 1, 1) for id_ in IDS])
    await states.claim(
        document_type.name,
        document_type.table,
        [ClaimRequest(id_, 0, "ab" if id_ % 2 else None, id_, id_) for id_ in IDS],
    )
    await states.claim(
        document_type.name,
        document_type.table,
        [
            ClaimRequest(id_, id_, "ab" if id_ % 2 else None, id_, id_, id_, id_, operation=Operation(id_ % 2))
            for id_ in IDS
        ],
    )
    await states.claim(
        document_type.name,
        document_type.table,
        [ClaimRequest(id_, id_, str(id_), id_, id_, id_, id_) for id_ in IDS],
    )
    await states.may_be_stored(document_type.name, [(Claim(id_, 1, 5), "ab" if id_ % 2 else None) for id_ in IDS])
    await states.may_be_stored(document_type.name, [(Claim(id_, 1, 5), None) for id_ in IDS])
    await states.keep_refusal(document_type.name, claim, sent_hash=None, body="{}", text="no")
    await states.keep_withdrawal(document_type.name, claim)
    decision_writer = DecisionWriter(db, {document_type.name: document_type}, settings_for().zone)
    await decision_writer.apply(document_type.name, [accepted(id_, 1, "QG") for id_ in IDS])
    await decision_writer.apply(
        document_type.name, [decided(id_, 1, "SYNC_SUCCESS", code=Code.ID_UNKNOWN, national_id="QG") for id_ in IDS]
    )
    await decision_writer.apply(document_type.name, [pending(id_, 1, 5) for id_ in IDS])
    await decision_writer.apply(document_type.name, [pending(i, i, i) if i % 4 else accepted(i, i, "QG") for i in IDS])
    await decision_writer.apply(document_type.name, [pending(i, i, i) if i % 2 else refused(i, i) for i in IDS])
    await decision_writer.apply(document_type.name, [refused(id_, 1) for id_ in IDS])
    await decision_writer.apply(document_type.name, [withdrawn(i, i) if i % 2 else accepted(i, i, "QG") for i in IDS])
    await decision_writer.apply(
        document_type.name, [not_withdrawn(i, i) if i % 2 else withdrawal_pending(i, i, i) for i in IDS]
    )
    await db.transaction(lambda tx: request_again(tx, document_type, IDS, 5, why="edited"))
    db.news = False
    await decision_writer.apply(
        document_type.name, [accepted(id_, 1, "QG", sha256(BODY.encode()).hexdigest()) for id_ in IDS]
    )
    await decision_writer.refusals(document_type.name, list(range(JOURNALS_BATCH)))
    schedule = Schedule(db, document_type)
    await schedule.enqueued_and_unclaimed()
    await read_copy_mark(db)
    await real_accounts(db)
    await schedule.due(500, 5)
    await schedule.due_one_by_one(500, 5, 5)
    await schedule.defer(dict.fromkeys(IDS, 1), 1000)
    await schedule.enroll(1000, 5000)
    await schedule.shops_waiting_for_accounts(list(Code), 100)
    await schedule.release("SHOP-1", list(Code))
    await schedule.forget_old_refusals(1000, 500)
    await run_corrections(db, document_type)
    new = NewDocuments(db, document_type)
    await new.mark()
    await new.find(500, 5)
    await new.announced_and_unclaimed()
    await new.announce(IDS, 1000)
    await highest_id(db, document_type)
    await newest_row(db, document_type)
    await read_backlog(db, document_type)
    await after_pending(db, document_type, DOCUMENT_TYPES, date(2026, 11, 23), IDS)
    await read_pending_ages(db, document_type, settings_for().zone)
    rows = SourceRows(db)
    await rows.read(document_type, IDS)
    await rows.read_state_alone(document_type, IDS)
    await rows.has_other(document_type, DocumentCodes("79-1", "HD-1"), 1)
    await rows.is_of_another(document_type, DocumentCodes("79-1", "HD-1"), 1)
    await rows.accounts([f"SHOP-{number}" for number in IDS])
    await rows.accounts_without_locked([f"SHOP-{number}" for number in IDS])
    for table, columns in tables(document_type).items():
        await check_table(db, table, columns)
    await run_the_desk(db, document_type)


async def run_corrections(db: RecordingDb, document_type: DocumentType) -> None:
    corrections = Corrections(db, document_type, accepted_within_ms=1000)
    await corrections.below(2**63 - 1, 1000)
    await corrections.of(IDS)
    await corrections.marked(0, MAX_ROWS)
    documents = [AcceptedDocument(id_, id_, "ab", None, None) for id_ in IDS]
    await corrections.check(documents)
    await corrections._mark(documents)
    await corrections._write(_UNMARK, [document_type.name], documents)
    await corrections._write(_REMEMBER, [document_type.name], documents, rows={id_: str(id_) for id_ in IDS})
    await corrections.request(IDS)
    await db.transaction(lambda tx: count_changed(tx, document_type))


async def run_the_desk(db: RecordingDb, document_type: DocumentType) -> None:
    commands = Desk(settings_for(), db, document_type, NoHistory())
    await commands.figures.now()
    await commands.figures.last_day()
    await commands.shops.page()
    await commands.shops.page(search="Đ%", after="SHOP-1")
    at = datetime(2026, 11, 23, 8)  # noqa: DTZ001 - the local time at the point of sale
    every = Search(document_code="HD", shop="SHOP-1", reason=Code.API_REFUSED, day=at.date(), since=at)
    for search in (Search(), every):
        await commands.sales.page("SYNC_FAILED", search)
        await commands.sales.page("PENDING_SYNC", search, after=f"{at.isoformat()}~7")
        await commands.sales.page("CHANGED", search, after=f"{at.isoformat()}~7")
        for action in (commands.again, commands.changed, commands.now):
            await action.count(search)
            await action.apply_to_search(search, actor="Lan")
            await action.apply_to_search(search, actor="Lan", after=f"{at.isoformat()}~7")
    await commands.card.find("HD-1")
    await commands.card.find("HD-1", "79-1")
    await commands.card.read(1)


class NoHistory:
    async def history(
        self, document_type: str, pharmacy_code: str, document_code: str, most: int
    ) -> list[Mapping[str, Any]]:
        return []


@cache
def statements(rows_per_update: int = MAX_ROWS) -> list[Statement]:
    """Record all statements, with so many rows of the point of sale's table changed by one."""
    seen: dict[Statement, None] = {}
    for server in DIALECTS:
        for document_type in DOCUMENT_TYPES:
            db = RecordingDb(server, rows_per_update)
            asyncio.run(run_everything(db, document_type))
            seen |= dict.fromkeys(db.seen)
    return list(seen)


@cache
def parsed(sql: str, server: str) -> exp.Expr:
    (tree,) = sqlglot.parse(sql, read=SPOKEN[server], error_level=sqlglot.ErrorLevel.IMMEDIATE)
    assert tree is not None
    return tree


def without_digests(sql: str, server: str) -> str:
    """Remove the digests, which each server makes in its own way."""
    for document_type in DOCUMENT_TYPES:
        for table, columns in (("d", document_type.sent_columns), ("l", document_type.line_columns)):
            if digest := digest_column(DIALECTS[server].digest, table, columns):
                sql = sql.replace(digest, "")
    return sql
