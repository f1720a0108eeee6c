"""What a sales database has of what this application needs: tables, columns, rights, indexes, change capture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.documents.document import DocumentType
from streams.stores.dialects import Catalogue
from streams.stores.sales_db import SalesDb, StoreError

SALE_SYNC = "SaleSync"
SALE_ACTION = "SaleAction"
_OURS = {
    SALE_SYNC: (
        *("document_type", "id", "attempt", "owner", "lease_until", "sent_hash", "ever_accepted", "published_attempt"),
        *("next_attempt_at", "attempts_since", "tries", "sent_at", "requested_at", "reason_code", "http_status"),
        *("refused_attempt", "refused_body", "refused_text"),
    ),
    SALE_ACTION: ("document_type", "id", "request", "action", "actor", "acted_at", "reason_code"),
}
_ACCOUNTS = ("shop_pharmacy_code", "account", "password", "shop_name", "status")


def tables(document_type: DocumentType) -> dict[str, tuple[str, ...]]:
    """Every table and column that is read or written."""
    every = (
        "id",
        document_type.document_code_column,
        "pharmacy_code",
        "shop_pharmacy_code",
        "status",
        *written(document_type)[1:],
    )
    return {
        document_type.table: (*every, "created_at", *document_type.header_columns),
        document_type.lines_table: ("id", document_type.lines_parent_column, *document_type.line_columns),
        "AccountShop": _ACCOUNTS,
        **_OURS,
    }


def written(document_type: DocumentType) -> tuple[str, ...]:
    """The columns of the till's table that the write-back sets."""
    return ("status", document_type.national_id_column, "sync_response_message", "updated_at")


def rights(document_type: DocumentType) -> list[tuple[str, str, str | None]]:
    """Right, table, column, beside reading all of `tables`; as 40_logins.sql gives them."""
    on_rows = [("UPDATE", document_type.table, column) for column in written(document_type)]
    return [*on_rows, ("INSERT", SALE_SYNC, None), ("UPDATE", SALE_SYNC, None), ("INSERT", SALE_ACTION, None)]


def indexes(document_type: DocumentType) -> list[tuple[str, tuple[str, ...]]]:
    """Table, and the columns with which some index of it must begin."""
    return [
        (document_type.lines_table, (document_type.lines_parent_column,)),
        (document_type.table, ("status", "updated_at")),
        (document_type.table, ("shop_pharmacy_code", "status")),
        ("AccountShop", ("shop_pharmacy_code",)),
        (SALE_SYNC, ("document_type", "id")),
        (SALE_SYNC, ("document_type", "next_attempt_at")),
        (SALE_SYNC, ("document_type", "reason_code")),
    ]


@dataclass(frozen=True, slots=True)
class Table:
    is_there: bool = True
    missing: Sequence[str] = ()
    """Columns."""
    refused: Sequence[str] = ()
    """Columns that this login may not read."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Of SQL Server's change data capture. None: this login may not see it."""

    database: bool | None
    snapshots: bool | None
    table: bool | None
    job: bool | None
    """False: it does not run, or there is none."""
    kept_days: float | None


async def look_at_table(db: SalesDb, table: str, columns: Sequence[str]) -> Table:
    """Raises `StoreError` for what is no table's or right's trouble."""
    whole = await _trouble(db, table, ", ".join(columns))
    if whole is None:
        return Table()
    alone = {column: await _trouble(db, table, column) for column in columns}
    refused = [column for column, trouble in alone.items() if trouble is not None and trouble.is_refused]
    missing = [column for column, trouble in alone.items() if trouble is not None and not trouble.is_refused]
    return Table(is_there=len(missing) < len(columns), missing=missing, refused=refused)


async def may(db: SalesDb, catalogue: Catalogue, right: str, table: str, column: str | None) -> bool | None:
    """None: the server knows no rights. Raises `StoreError`."""
    form = catalogue.may if column is None else catalogue.may_column
    if form is None:
        return None
    rows = await _rows(db, form.format(right=right, table=table, column=column))
    return bool(rows and rows[0][0])


async def begins(db: SalesDb, catalogue: Catalogue) -> set[tuple[str, tuple[str, ...]]]:
    """Table and columns of every index, in lower case. Raises `StoreError`."""
    columns: Mapping[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for table, index, column, place in await _rows(db, catalogue.indexes):
        columns[table.lower(), index][int(place)] = column.lower()
    return {(table, tuple(name for _, name in sorted(of.items()))) for (table, _), of in columns.items()}


async def capture(db: SalesDb, catalogue: Catalogue, table: str) -> Capture | None:
    """None: this server captures changes in its own way."""
    if catalogue.captures_database is None:
        return None
    database = await _answer(db, catalogue.captures_database)
    tracked = await _answer(db, (catalogue.captures_table or "").format(table=table))
    job = await _answer(db, catalogue.capture_job or "")
    kept = await _answer(db, catalogue.kept_minutes or "")
    return Capture(
        database=None if database is None else bool(database and database[0][0]),
        snapshots=None if database is None else bool(database and database[0][1] == 1),
        table=None if tracked is None else bool(tracked and tracked[0][0]),
        job=None if job is None else bool(job and job[0][0]),
        kept_days=kept[0][0] / 1440 if kept else None,
    )


async def _trouble(db: SalesDb, table: str, columns: str) -> StoreError | None:
    try:
        await _rows(db, _NOTHING_OF.format(table=table, columns=columns))
    except StoreError as error:
        if error.state.startswith(("08", "HYT")) or error.is_lock:
            raise
        return error
    return None


async def _answer(db: SalesDb, sql: str) -> list[tuple[Any, ...]] | None:
    """None: it may not be asked."""
    try:
        return await _rows(db, sql)
    except StoreError as error:
        if error.state.startswith(("08", "HYT")):
            raise
        return None


async def _rows(db: SalesDb, sql: str) -> list[tuple[Any, ...]]:
    return await db.transaction(lambda tx: tx.rows(sql))


# name: no row, but every column is looked for
_NOTHING_OF = "SELECT {columns} FROM dbo.{table} WHERE 1 = 0"
