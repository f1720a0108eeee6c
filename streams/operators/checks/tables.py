"""Checks of what the sales database must have: tables, columns, rights, indexes and primary keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from streams.documents.document import DocumentType
from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.stores import schema
from streams.stores.schema import SALE_ACTION, SALE_SYNC, Table

_ABOUT = "sales database"
_LOGINS = "connectors/sql/40_worker_login.sql"
_SCRIPTS = {SALE_SYNC: "connectors/sql/sale_sync.sql", SALE_ACTION: "connectors/sql/sale_action.sql"}


def judge_table(name: str, table: Table) -> Finding:
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


def judge_rights(rights: Mapping[tuple[str, str, str | None], bool | None]) -> Iterator[Finding]:
    """Judge for each right, table and column whether the login has it; None: the server has no rights."""
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


def judge_indexes(
    found: Collection[tuple[str, tuple[str, ...]]], tables: Mapping[str, Table], document_type: DocumentType
) -> Iterator[Finding]:
    """Judge the indexes that were found: table and columns of each, in lower case."""
    about = f"{_ABOUT}: indexes"
    wanted = [(table, columns) for table, columns in schema.indexes(document_type) if tables[table].is_there]
    missing = [
        (table, columns)
        for table, columns in wanted
        if not any(name == table.lower() and has[: len(columns)] == columns for name, has in found)
    ]
    for table, columns in missing:
        script = _SCRIPTS.get(table, "connectors/sql/30_indexes.sql")
        yield warning(
            about, f"none of dbo.{table} begins with {', '.join(columns)}", f"Run {script}, outside opening hours."
        )
    if not missing:
        yield ok(about, f"all {len(wanted)} that the queries need exist")


def judge_keys(without_key: Collection[str], document_type: DocumentType) -> Iterator[Finding]:
    """Judge the tables that have no primary key, by their names in lower case."""
    for table in (document_type.table, document_type.lines_table):
        if table.lower() in without_key:
            what = "has no primary key: two rows may have the same id, and then one of them is not sent"
            action = "Ask the vendor of the sales software for a primary key on id."
            yield warning(f"{_ABOUT}: primary key of dbo.{table}", what, action)
