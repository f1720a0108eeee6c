"""The sales database: reached, tables, rights, indexes, clock, change capture, and how sales stand in it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.documents.document import DocumentType
from streams.domain.reasons import WAITS_FOR_THE_SHOP
from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.operators.checks import schema as catalogue
from streams.operators.checks.schema import SALE_ACTION, SALE_SYNC, Capture, Table
from streams.operators.command_line import as_text, asked
from streams.operators.desk.figures import Figures, Now
from streams.operators.terminal import age
from streams.settings import Settings
from streams.stores.sales_db import SalesDb, StoreError

_ABOUT = "sales database"
_LOGINS = "connectors/sql/40_logins.sql"
_OFF_S = 2.0
_KEPT_DAYS = 14
_LONG_S = 3600.0
_SCRIPTS = {SALE_SYNC: "connectors/sql/sale_sync.sql", SALE_ACTION: "connectors/sql/sale_action.sql"}


@dataclass(frozen=True, slots=True)
class Away:
    error: StoreError
    listens: str | None
    """host:port, where somebody answers there although the database does not let us in."""


@dataclass(frozen=True, slots=True)
class Database:
    ahead_s: float
    """Its clock before this machine's."""
    tables: Mapping[str, Table]
    rights: Mapping[tuple[str, str, str | None], bool | None]
    indexes: set[tuple[str, tuple[str, ...]]]
    capture: Capture | None
    now: Now | None
    """None: a table is missing."""


async def ask_database(settings: Settings, document_type: DocumentType) -> Database | Away:
    db = SalesDb(settings)
    try:
        await db.open()
    except StoreError as away:
        return Away(away, await _listens(settings))
    try:
        return await _ask(db, settings, document_type)
    except StoreError as away:
        return Away(away, None)
    finally:
        await db.close()


async def _ask(db: SalesDb, settings: Settings, document_type: DocumentType) -> Database:
    ahead_s = db.last_known_now_ms() / 1000 - time.time()
    of = await db.transaction(lambda tx: tx.dialect.catalogue)
    tables = {
        table: await catalogue.look_at_table(db, table, columns)
        for table, columns in catalogue.tables(document_type).items()
    }
    there = {name for name, table in tables.items() if table.is_there}
    rights = {
        (right, table, column): await catalogue.may(db, of, right, table, column)
        for right, table, column in catalogue.rights(document_type)
        if table in there and column not in tables[table].missing
    }
    indexes = await catalogue.begins(db, of)
    whole = all(table == Table() for table in tables.values())
    now = await asked(Figures(db, document_type, settings.zone).now) if whole else None
    return Database(ahead_s, tables, rights, indexes, await catalogue.capture(db, of, document_type.table), now)


async def _listens(settings: Settings) -> str | None:
    place = _place(settings.sales_db_dsn.get_secret_value())
    if place is None:
        return None
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(*place)
    except (OSError, TimeoutError):
        return None
    writer.close()
    return f"{place[0]}:{place[1]}"


def _place(dsn: str) -> tuple[str, int] | None:
    """``Server=tcp:host,1433``, or ``Server=host;Port=5432``."""
    fields = {name.strip().lower(): value.strip() for name, _, value in (p.partition("=") for p in dsn.split(";"))}
    server = fields.get("server", "").removeprefix("tcp:")
    host, _, port = server.partition(",")
    port = port or fields.get("port") or ("1433" if "sql server" in fields.get("driver", "").lower() else "")
    return (host, int(port)) if host and re.fullmatch(r"\d{1,5}", port) else None


def judge_database(found: Database | Away, document_type: DocumentType) -> list[Finding]:
    if isinstance(found, Away):
        return [_away(found)]
    return [
        ok(_ABOUT, "answers"),
        _clock(found.ahead_s),
        *(_table(name, table) for name, table in found.tables.items()),
        *_rights(found.rights),
        *_indexes(found, document_type),
        *_capture(found.capture, document_type),
        *(_standing(found.now) if found.now else ()),
    ]


def _away(away: Away) -> Finding:
    what, action = as_text(away.error)
    if away.listens and "reached" in what:
        what = f"{away.listens} is reached, but does not let us in"
        action = (
            "Correct UID, PWD, Database or encryption in SALES_DB_DSN; connectors/sql/40_logins.sql makes the login."
        )
    return error(_ABOUT, f"{what} ({away.error})", action)


def _clock(ahead_s: float) -> Finding:
    about = f"{_ABOUT}: clock"
    if abs(ahead_s) <= _OFF_S:
        return ok(about, f"differs from this machine's by {abs(ahead_s):.1f} s")
    side = "ahead of" if ahead_s > 0 else "behind"
    return warning(
        about,
        f"is {age(abs(ahead_s))} {side} this machine's",
        "Set both by NTP (timedatectl set-ntp true): log-ins and certificates depend on it.",
    )


def _table(name: str, table: Table) -> Finding:
    about = f"{_ABOUT}: table dbo.{name}"
    if not table.is_there:
        script = _SCRIPTS.get(name)
        action = f"Run {script} in this database." if script else "Name the tills' database in SALES_DB_DSN."
        return error(about, "is missing", action)
    if table.missing:
        action = f"Run {_SCRIPTS[name]} again." if name in _SCRIPTS else "See docs/production.md for the tills' tables."
        return error(about, f"has no column {', '.join(table.missing)}", action)
    if table.refused:
        return error(about, f"this login may not read {_some(table.refused)}", f"GRANT SELECT: run {_LOGINS} again.")
    return ok(about, "is there, and may be read")


def _some(columns: Sequence[str]) -> str:
    return ", ".join(columns[:3]) + (f" and {len(columns) - 3} more columns" if len(columns) > 3 else "")


def _rights(rights: Mapping[tuple[str, str, str | None], bool | None]) -> Iterator[Finding]:
    about = f"{_ABOUT}: rights"
    known = {key: has for key, has in rights.items() if has is not None}
    if not known:
        yield skipped(about, "not looked at: this server knows none, or the tables are missing")
        return
    missing = [key for key, has in known.items() if not has]
    for right, table, column in missing:
        place = f"dbo.{table}" + (f" ({column})" if column else "")
        yield error(about, f"this login has no {right} on {place}", f"GRANT {right} ON {place}: run {_LOGINS} again.")
    if not missing:
        yield ok(about, f"all {len(known)} that writing needs")


def _indexes(found: Database, document_type: DocumentType) -> Iterator[Finding]:
    about = f"{_ABOUT}: indexes"
    wanted = [(table, columns) for table, columns in catalogue.indexes(document_type) if found.tables[table].is_there]
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
        yield ok(about, f"all {len(wanted)} that the questions need")


def _capture(capture: Capture | None, document_type: DocumentType) -> Iterator[Finding]:
    about, script = "change data capture", "connectors/sql/10_capture_on.sql"
    if capture is None:
        yield skipped(about, "not looked at: it is SQL Server's")
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
    if capture.kept_days is not None and capture.kept_days < _KEPT_DAYS:
        what = f"keeps changes for {capture.kept_days:g} days: a connector that is away longer misses sales"
        yield warning(about, what, f"{script} sets {_KEPT_DAYS} days.")
    if capture.job is None:
        why = "its job is not shown to this login; connectors/README.md, Is it working?, says how to look at it"
        yield skipped(f"{about}: job", why)
    if capture.database and capture.table and capture.job is not False:
        yield ok(about, f"captures dbo.{document_type.table}")


def _standing(now: Now) -> Iterator[Finding]:
    of_shops = {code: now.waiting[code] for code in sorted(WAITS_FOR_THE_SHOP) if now.waiting.get(code)}
    if of_shops:
        named = ", ".join(f"{count} {code}" for code, count in of_shops.items())
        action = "`failures --waiting` shows which shops; correct AccountShop, then they go out by themselves."
        yield warning("sales: log-ins", f"wait for their shop's account: {named}", action)
    waited_s = (now.at_ms - now.oldest.since_ms) / 1000 if now.oldest else 0.0
    if waited_s > _LONG_S:
        action = "`failures --waiting` says why; if they were not tried yet, see whether a worker runs."
        yield warning("sales: waiting", f"{now.waiting_total} wait, the oldest for {age(waited_s)}", action)
    else:
        yield ok(
            "sales: waiting", f"{now.waiting_total} wait" + (f", the oldest for {age(waited_s)}" if waited_s else "")
        )
    if now.failed_total:
        action = "`failures` says why and what to do; then `resend`."
        yield warning("sales: failed", f"{now.failed_total} have failed", action)
    else:
        yield ok("sales: failed", "none")
