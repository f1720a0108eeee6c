"""Checks of the sales database, for each document type; each part is examined and judged in a module of its own."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from streams.documents.document import DocumentType
from streams.operators.checks import Finding, Level, error, ok, skipped
from streams.operators.checks.capture import judge_capture
from streams.operators.checks.columns import judge_columns, probe_columns
from streams.operators.checks.database_connection import Unavailable, judge_clock, judge_unavailable, probe_address
from streams.operators.checks.polling import Poll, judge_polling, probe_poll
from streams.operators.checks.server_state import Server, judge_server, probe_server
from streams.operators.checks.tables import judge_indexes, judge_keys, judge_rights, judge_table
from streams.operators.checks.triggers import judge_triggers
from streams.operators.checks.waiting import Waiting, judge_waiting
from streams.operators.desk.figures import Figures
from streams.operators.retry_on_lock import retry_on_lock
from streams.pipeline.carried_types import ACTION
from streams.settings import Settings
from streams.stores import schema
from streams.stores.capture_setup import Capture, read_capture
from streams.stores.catalogues import Catalogue
from streams.stores.column_types import ColumnTypes
from streams.stores.pending_ages import read_pending_ages
from streams.stores.sales_db import SalesDb, StoreError
from streams.stores.schema import Table
from streams.stores.triggers import Triggers, read_triggers

_ABOUT = "sales database"


@dataclass(frozen=True, slots=True)
class Database:
    ahead_s: float
    """Seconds by which its clock is ahead of this machine's."""
    tables: Mapping[str, Table]
    rights: Mapping[tuple[str, str, str | None], bool | None]
    """For each right, table and column, whether the login has it; None: the server has no rights."""
    indexes: Collection[tuple[str, tuple[str, ...]]]
    """Table and columns of each index, in lower case."""
    capture: Capture | None
    """None: the server is not SQL Server."""
    waiting: Waiting | None
    """None: a table is missing or cannot be read."""
    without_key: Collection[str] = ()
    """Tables without a primary key, in lower case."""
    triggers: Triggers | None = None
    """None: they need not be examined on this server."""
    rows_per_update: int = 1
    """How many rows one statement may change in the table."""
    polls: bool = False
    """Whether the workers poll for new sales, so that change data capture is not needed."""
    poll: Poll | None = None
    """None: the workers do not poll, or a table is missing or cannot be read."""
    columns: ColumnTypes = field(default_factory=dict)
    server: Server = field(default_factory=Server)


async def probe_database(
    settings: Settings, document_types: Sequence[DocumentType]
) -> Mapping[str, Database] | Unavailable:
    """Connect to the sales database and examine it for each document type, by name."""
    db = SalesDb(settings)
    try:
        await db.open()
    except StoreError as store_error:
        return Unavailable(store_error, await probe_address(settings))
    try:
        queries = await db.transaction(lambda tx: tx.dialect.catalogue)
        shared = _Shared(
            queries,
            columns=await probe_columns(db),
            server=await probe_server(db),
            indexes=await schema.index_columns(db, queries),
            without_key=await schema.tables_without_key(db, queries),
        )
        return {each.name: await _examine(db, settings, each, shared) for each in document_types}
    except StoreError as store_error:
        return Unavailable(store_error, None)
    finally:
        await db.close()


@dataclass(frozen=True, slots=True)
class _Shared:
    """What is the same for all document types."""

    queries: Catalogue
    columns: ColumnTypes
    server: Server
    indexes: Collection[tuple[str, tuple[str, ...]]]
    without_key: Collection[str]


async def _examine(db: SalesDb, settings: Settings, document_type: DocumentType, shared: _Shared) -> Database:
    ahead_s, queries = db.last_known_now_ms() / 1000 - time.time(), shared.queries
    tables = {
        table: await schema.check_table(db, table, columns) for table, columns in schema.tables(document_type).items()
    }
    existing = {name for name, table in tables.items() if table.is_there}
    is_complete = all(table == Table() for table in tables.values())
    polls = is_complete and settings.polls
    return Database(
        ahead_s,
        tables,
        rights={
            (right, table, column): await schema.has_right(db, queries, right, table, column)
            for right, table, column in schema.rights(document_type)
            if table in existing and column not in tables[table].missing
        },
        indexes=shared.indexes,
        capture=await read_capture(db, queries, document_type.table),
        waiting=await _waiting(db, settings, document_type) if is_complete else None,
        without_key=shared.without_key,
        triggers=await read_triggers(db, queries, document_type.table) if document_type.table in existing else None,
        rows_per_update=settings.write_back_rows,
        polls=settings.polls,
        poll=await retry_on_lock(partial(probe_poll, db, document_type)) if polls else None,
        columns=shared.columns,
        server=shared.server,
    )


async def _waiting(db: SalesDb, settings: Settings, document_type: DocumentType) -> Waiting:
    now = await retry_on_lock(Figures(db, document_type, settings.zone).now)
    return Waiting(now, await retry_on_lock(partial(read_pending_ages, db, document_type, settings.zone)))


def judge_databases(
    found: Mapping[str, Database] | Unavailable,
    document_types: Sequence[DocumentType],
    required: Sequence[DocumentType],
) -> list[Finding]:
    """Return the findings, what is the same for several document types once. `required`: those that are carried in any
    case.
    """
    if isinstance(found, Unavailable):
        return [judge_unavailable(found)]
    findings: list[Finding] = []
    for document_type in document_types:
        database = found[document_type.name]
        about = f"documents: {document_type.nouns.many}"
        if document_type not in required and is_absent(database, document_type):
            findings.append(skipped(about, f"are not carried: dbo.{document_type.table} is missing"))
            continue
        judged = [each for each in judge_database(database, document_type) if each not in findings]
        findings += judged
        if document_type not in required:
            own_errors = [each for each in judged if each.level is Level.ERROR and each.about.startswith(_ABOUT)]
            findings.append(
                error(about, "are not carried: see the errors above", f"{ACTION[0].upper()}{ACTION[1:]}.")
                if own_errors
                else ok(about, "are carried, if their topic is there")
            )
    return findings


def is_absent(found: Database, document_type: DocumentType) -> bool:
    """Whether the database has no table of this document type."""
    return not any(found.tables[table].is_there for table in (document_type.table, document_type.lines_table))


def judge_database(found: Database, document_type: DocumentType) -> list[Finding]:
    return [
        ok(_ABOUT, "answers"),
        judge_clock(found.ahead_s),
        *(judge_table(name, table) for name, table in found.tables.items()),
        *judge_rights(found.rights),
        *judge_indexes(found.indexes, found.tables, document_type),
        *judge_keys(found.without_key, document_type),
        *judge_triggers(found.triggers, document_type.table, rows_per_update=found.rows_per_update),
        *(judge_polling(found.poll, found.capture) if found.polls else judge_capture(found.capture, document_type)),
        *judge_columns(found.columns, document_type),
        *(judge_server(found.server, polls=found.polls) if found.capture is not None else ()),
        *(judge_waiting(found.waiting, document_type) if found.waiting else ()),
    ]
