"""Checks of the sales database: connection, tables, rights, indexes, clock, change data capture, and waiting sales."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from streams.credentials.connection_strings import odbc_keywords
from streams.documents.document import DocumentType
from streams.domain.reasons import ACCOUNT_PROBLEMS
from streams.operators.checks import Finding, Level, error, ok, skipped, warning
from streams.operators.checks.columns import judge_columns, probe_columns
from streams.operators.checks.server_state import State, judge_server_state, probe_server_state
from streams.operators.command_line import describe_store_error
from streams.operators.desk.figures import CurrentFigures, Figures
from streams.operators.retry_on_lock import retry_on_lock
from streams.operators.terminal import age
from streams.pipeline.carried_types import ACTION
from streams.settings import Settings
from streams.stores import schema
from streams.stores.column_types import ColumnTypes
from streams.stores.new_documents import NewDocuments
from streams.stores.sales_db import SalesDb, StoreError
from streams.stores.schema import SALE_ACTION, SALE_SYNC, Capture, Table

_ABOUT = "sales database"
_LOGINS = "connectors/sql/40_worker_login.sql"
_MAX_CLOCK_DIFFERENCE_S = 2.0
_MIN_RETENTION_DAYS = 14
_LONG_WAIT_S = 3600.0
_LONG_POLL_S = 0.25
_SCRIPTS = {SALE_SYNC: "connectors/sql/sale_sync.sql", SALE_ACTION: "connectors/sql/sale_action.sql"}


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The database could not be used."""

    error: StoreError
    listening_at: str | None
    """``host:port``, if a server accepts connections there although the database rejects the login."""


@dataclass(frozen=True, slots=True)
class Database:
    ahead_s: float
    """Seconds by which its clock is ahead of this machine's."""
    tables: Mapping[str, Table]
    rights: Mapping[tuple[str, str, str | None], bool | None]
    """For each right, table and column, whether the login has it; None: the server has no rights."""
    indexes: set[tuple[str, tuple[str, ...]]]
    """Table and columns of each index, in lower case."""
    capture: Capture | None
    now: CurrentFigures | None
    """None: a table is missing or cannot be read."""
    polls: bool = False
    """Whether the workers poll for new sales, so that change data capture is not needed."""
    poll: Poll | None = None
    """None: the workers do not poll, or a table is missing or cannot be read."""
    columns: ColumnTypes = field(default_factory=dict)
    server: State | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """What a poll for new sales would meet."""

    took_s: float
    mark: int | None
    """The cut-over mark; None: no worker has polled yet."""


async def probe_database(
    settings: Settings, document_types: Sequence[DocumentType]
) -> Mapping[str, Database] | Unavailable:
    """Connect to the sales database and examine it for each document type, by name."""
    db = SalesDb(settings)
    try:
        await db.open()
    except StoreError as store_error:
        return Unavailable(store_error, await _listening_at(settings))
    try:
        columns, server = await probe_columns(db), await probe_server_state(db)
        return {each.name: await _examine(db, settings, each, columns, server) for each in document_types}
    except StoreError as store_error:
        return Unavailable(store_error, None)
    finally:
        await db.close()


async def _examine(
    db: SalesDb, settings: Settings, document_type: DocumentType, columns: ColumnTypes, server: State | None
) -> Database:
    ahead_s = db.last_known_now_ms() / 1000 - time.time()
    queries = await db.transaction(lambda tx: tx.dialect.catalogue)
    tables = {
        table: await schema.check_table(db, table, columns) for table, columns in schema.tables(document_type).items()
    }
    existing = {name for name, table in tables.items() if table.is_there}
    rights = {
        (right, table, column): await schema.has_right(db, queries, right, table, column)
        for right, table, column in schema.rights(document_type)
        if table in existing and column not in tables[table].missing
    }
    indexes = await schema.index_columns(db, queries)
    is_complete = all(table == Table() for table in tables.values())
    now = await retry_on_lock(Figures(db, document_type, settings.zone).now) if is_complete else None
    poll = await retry_on_lock(partial(_poll, db, document_type)) if is_complete and settings.polls else None
    capture = await schema.capture(db, queries, document_type.table)
    return Database(ahead_s, tables, rights, indexes, capture, now, settings.polls, poll, columns, server)


async def _poll(db: SalesDb, document_type: DocumentType) -> Poll:
    documents = NewDocuments(db, document_type)
    mark = await documents.known_mark()
    started_at = time.monotonic()
    await documents.find(1, mark or 0)
    return Poll(time.monotonic() - started_at, mark)


async def _listening_at(settings: Settings) -> str | None:
    """Return ``host:port`` of the database server if it accepts connections."""
    address = _address(settings.sales_db_dsn.get_secret_value())
    if address is None:
        return None
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(*address)
    except (OSError, TimeoutError):
        return None
    writer.close()
    return f"{address[0]}:{address[1]}"


def _address(dsn: str) -> tuple[str, int] | None:
    """Read host and port from ``Server=tcp:host,1433`` or ``Server=host;Port=5432``; None: there is no port."""
    fields = odbc_keywords(dsn)
    server = fields.get("server", "").removeprefix("tcp:")
    host, _, port = server.partition(",")
    is_sql_server = "driver" not in fields or "sql" in fields["driver"].lower()
    port = port or fields.get("port") or ("1433" if is_sql_server and "\\" not in host else "")
    return (host, int(port)) if host and re.fullmatch(r"\d{1,5}", port) else None


def judge_databases(
    found: Mapping[str, Database] | Unavailable,
    document_types: Sequence[DocumentType],
    required: Sequence[DocumentType],
) -> list[Finding]:
    """Return the findings, what is the same for several document types once. `required`: those that are carried in any
    case.
    """
    if isinstance(found, Unavailable):
        return [_unavailable(found)]
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
        _clock(found.ahead_s),
        *(_table(name, table) for name, table in found.tables.items()),
        *_rights(found.rights),
        *_indexes(found, document_type),
        *(_polling(found) if found.polls else _capture(found.capture, document_type)),
        *judge_columns(found.columns, document_type),
        *(judge_server_state(found.server, polls=found.polls) if found.capture is not None else ()),
        *(_waiting(found.now, document_type) if found.now else ()),
    ]


def _unavailable(found: Unavailable) -> Finding:
    what, action = describe_store_error(found.error)
    if found.listening_at and "reached" in what:
        what = f"{found.listening_at} is reached, but rejects the login"
        action = (
            f"Correct user, password, database or encryption in the SALES_DB settings; {_LOGINS} creates the login."
        )
    return error(_ABOUT, f"{what} ({found.error})", action)


def _clock(ahead_s: float) -> Finding:
    about = f"{_ABOUT}: clock"
    if abs(ahead_s) <= _MAX_CLOCK_DIFFERENCE_S:
        return ok(about, f"differs from this machine's by {abs(ahead_s):.1f} s")
    side = "ahead of" if ahead_s > 0 else "behind"
    return warning(
        about,
        f"is {age(abs(ahead_s))} {side} this machine's",
        "Synchronise both clocks with NTP (timedatectl set-ntp true): log-ins and certificates depend on it.",
    )


def _table(name: str, table: Table) -> Finding:
    about = f"{_ABOUT}: table dbo.{name}"
    if not table.is_there:
        script = _SCRIPTS.get(name)
        action = (
            f"Run {script} in this database."
            if script
            else "Set SALES_DB_DATABASE or SALES_DB_DSN to the database of the points of sale."
        )
        return error(about, "is missing", action)
    if table.missing:
        action = (
            f"Run {_SCRIPTS[name]} again."
            if name in _SCRIPTS
            else "See docs/production.md for the tables of the sales software."
        )
        return error(about, f"has no column {', '.join(table.missing)}", action)
    if table.refused:
        return error(
            about, f"this login may not read {_first_three(table.refused)}", f"GRANT SELECT: run {_LOGINS} again."
        )
    return ok(about, "exists and can be read")


def _first_three(columns: Sequence[str]) -> str:
    return ", ".join(columns[:3]) + (f" and {len(columns) - 3} more columns" if len(columns) > 3 else "")


def _rights(rights: Mapping[tuple[str, str, str | None], bool | None]) -> Iterator[Finding]:
    about = f"{_ABOUT}: rights"
    known = {key: has for key, has in rights.items() if has is not None}
    if not known:
        yield skipped(about, "not examined: this server has no rights, or the tables are missing")
        return
    missing = [key for key, has in known.items() if not has]
    for right, table, column in missing:
        target = f"dbo.{table}" + (f" ({column})" if column else "")
        yield error(about, f"this login has no {right} on {target}", f"GRANT {right} ON {target}: run {_LOGINS} again.")
    if not missing:
        yield ok(about, f"all {len(known)} that writing needs are granted")


def _indexes(found: Database, document_type: DocumentType) -> Iterator[Finding]:
    about = f"{_ABOUT}: indexes"
    wanted = [(table, columns) for table, columns in schema.indexes(document_type) if found.tables[table].is_there]
    missing = [
        (table, columns)
        for table, columns in wanted
        if not any(name == table.lower() and has[: len(columns)] == columns for name, has in found.indexes)
    ]
    for table, columns in missing:
        script = _SCRIPTS.get(table, "connectors/sql/30_indexes.sql")
        yield warning(
            about, f"none of dbo.{table} begins with {', '.join(columns)}", f"Run {script}, outside opening hours."
        )
    if not missing:
        yield ok(about, f"all {len(wanted)} that the queries need exist")


def _capture(capture: Capture | None, document_type: DocumentType) -> Iterator[Finding]:
    about, script = "change data capture", "connectors/sql/10_capture_on.sql"
    if capture is None:
        yield skipped(about, "not examined: this server is not SQL Server")
        return
    if capture.database is False:
        yield error(about, "is off in this database", f"A sysadmin runs {script}.")
        return
    if capture.table is False:
        yield error(about, f"does not capture dbo.{document_type.table}", f"A sysadmin runs {script}.")
    if capture.snapshots is False:
        yield warning(about, "snapshot isolation is not allowed in this database", f"A sysadmin runs {script}.")
    if capture.job is False:
        yield error(about, "its capture job does not run", f"Start SQL Server Agent, then run {script} again.")
    if capture.kept_days is not None and capture.kept_days < _MIN_RETENTION_DAYS:
        what = f"keeps changes for {capture.kept_days:g} days: a connector that is stopped for longer misses sales"
        yield warning(about, what, f"{script} sets {_MIN_RETENTION_DAYS} days.")
    if capture.job is None:
        why = "this login may not see its job; connectors/README.md, Is it working?, says how to examine it"
        yield skipped(f"{about}: job", why)
    if capture.database and capture.table and capture.job is not False:
        yield ok(about, f"captures dbo.{document_type.table}")


def _polling(found: Database) -> Iterator[Finding]:
    about = "polling"
    poll = found.poll
    if poll is None:
        yield skipped(about, "not examined: a table is missing or cannot be read")
        return
    took = f"asking for new sales takes {poll.took_s * 1000:.0f} ms"
    if poll.took_s > _LONG_POLL_S:
        action = "See the findings about indexes; a backlog of very many pending sales takes longer, too."
        yield warning(about, took, action)
    else:
        yield ok(about, took)
    if poll.mark is None:
        yield warning(about, "no worker has asked yet", "Start a worker with CAPTURE=polling; docs/cut-over.md.")
    else:
        yield ok(about, f"sales above id {poll.mark} are new and sent without a look-up; others are looked up first")
    if found.capture is not None and found.capture.database:
        what = "is on in this database, although CAPTURE=polling: nothing reads what it captures"
        yield warning("change data capture", what, "If nobody else uses it: connectors/sql/90_capture_off.sql.")


def _waiting(now: CurrentFigures, document_type: DocumentType) -> Iterator[Finding]:
    many = document_type.nouns.many
    of_shops = {code: now.waiting[code] for code in sorted(ACCOUNT_PROBLEMS) if now.waiting.get(code)}
    if of_shops:
        counts = ", ".join(f"{count} {code}" for code, count in of_shops.items())
        action = "`failures --waiting` shows which shops; correct AccountShop, then they are sent automatically."
        yield warning(f"{many}: log-ins", f"some are waiting for their shop's account: {counts}", action)
    waited_s = (now.at_ms - now.oldest.since_ms) / 1000 if now.oldest else 0.0
    if waited_s > _LONG_WAIT_S:
        action = "`failures --waiting` says why; if there was no attempt yet, check that a worker is running."
        yield warning(f"{many}: waiting", f"{now.waiting_total} are waiting, the oldest for {age(waited_s)}", action)
    else:
        oldest = f", the oldest for {age(waited_s)}" if waited_s else ""
        yield ok(f"{many}: waiting", f"{now.waiting_total} are waiting{oldest}")
    if now.failed_total:
        action = "`failures` says why and what to do; then `resend`."
        yield warning(f"{many}: failed", f"{now.failed_total} have failed", action)
    else:
        yield ok(f"{many}: failed", "none")
