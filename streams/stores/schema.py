"""What this application needs in a sales database, and how much of it is there: tables, columns, rights, indexes and
keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.documents.document import DocumentType
from streams.stores.catalogues import Catalogue
from streams.stores.sales_db import SalesDb, StoreError

SALE_SYNC = "SaleSync"
SALE_ACTION = "SaleAction"
_OWN_TABLES = {
    SALE_SYNC: (
        *("document_type", "id", "attempt", "owner", "lease_until", "sent_hash", "ever_accepted", "published_attempt"),
        *("next_attempt_at", "attempts_since", "tries", "sent_at", "requested_at", "reason_code", "http_status"),
        *("refused_attempt", "refused_body", "refused_text"),
        *("is_withdrawal", "stored_facility_code", "stored_document_code"),
        *("sent_rows", "changed_at"),
    ),
    SALE_ACTION: ("document_type", "id", "request", "action", "actor", "acted_at", "reason_code"),
}
_ACCOUNT_COLUMNS = ("shop_pharmacy_code", "account", "password", "shop_name", "status")


def tables(document_type: DocumentType) -> dict[str, tuple[str, ...]]:
    """Return every table that is read or written, with its columns."""
    common = (
        "id",
        document_type.document_code_column,
        "pharmacy_code",
        "shop_pharmacy_code",
        "status",
        *written(document_type)[1:],
    )
    return {
        document_type.table: (*common, "created_at", *document_type.header_columns),
        document_type.lines_table: ("id", document_type.lines_parent_column, *document_type.line_columns),
        "AccountShop": _ACCOUNT_COLUMNS,
        **_OWN_TABLES,
    }


def written(document_type: DocumentType) -> tuple[str, ...]:
    """Return the columns of the sales software's table that the write-back sets."""
    return ("status", document_type.national_id_column, "sync_response_message", "updated_at")


def rights(document_type: DocumentType) -> list[tuple[str, str, str | None]]:
    """Return each right that is needed in addition to reading all of `tables`, as right, table and column.

    A right without a column is one on the whole table. 40_worker_login.sql grants them.
    """
    on_rows = [("UPDATE", document_type.table, column) for column in written(document_type)]
    return [*on_rows, ("INSERT", SALE_SYNC, None), ("UPDATE", SALE_SYNC, None), ("INSERT", SALE_ACTION, None)]


def indexes(document_type: DocumentType) -> list[tuple[str, tuple[str, ...]]]:
    """Return each table with the columns that an index of it must begin with."""
    return [
        (document_type.lines_table, (document_type.lines_parent_column,)),
        (document_type.table, ("status", "updated_at")),
        (document_type.table, ("shop_pharmacy_code", "status")),
        ("AccountShop", ("shop_pharmacy_code",)),
        (SALE_SYNC, ("document_type", "id")),
        (SALE_SYNC, ("document_type", "next_attempt_at")),
        (SALE_SYNC, ("document_type", "reason_code")),
        (SALE_SYNC, ("document_type", "changed_at")),
    ]


@dataclass(frozen=True, slots=True)
class Table:
    is_there: bool = True
    missing: Sequence[str] = ()
    """The columns that do not exist."""
    refused: Sequence[str] = ()
    """The columns that this login may not read."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a database lacks of a document type's needs; nothing: the type can be carried."""

    parts: tuple[str, ...]
    """In words for operators."""
    is_absent: bool
    """Whether it has neither the table of the documents nor that of their lines."""


async def missing(db: SalesDb, document_type: DocumentType) -> Missing:
    """Return which tables, columns and rights are missing. Raises `StoreError` if the database is unreachable, or
    keeps a table locked.
    """
    catalogue = await db.transaction(lambda tx: tx.dialect.catalogue)
    found = {name: await check_table(db, name, columns) for name, columns in tables(document_type).items()}
    parts: list[str] = []
    for name, table in found.items():
        if not table.is_there:
            parts.append(f"dbo.{name} is missing")
            continue
        parts += [f"dbo.{name} has no column {column}" for column in table.missing]
        parts += [f"no SELECT on dbo.{name} ({column})" for column in table.refused]
    for right, name, written_column in rights(document_type):
        if not found[name].is_there or written_column in found[name].missing:
            continue
        if await has_right(db, catalogue, right, name, written_column) is False:
            parts.append(f"no {right} on dbo.{name}{f' ({written_column})' if written_column else ''}")
    own = (document_type.table, document_type.lines_table)
    return Missing(tuple(parts), is_absent=not any(found[name].is_there for name in own))


class OutdatedTables(Exception):
    """Our own tables are those of an earlier version."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"these columns are missing: {', '.join(missing)}")


async def outdated_columns(db: SalesDb) -> list[str]:
    """Return the columns that our own tables lack, as in a database that was made for an earlier version. A table that
    does not exist lacks none. Raises `StoreError`.
    """
    found = {name: await check_table(db, name, columns) for name, columns in _OWN_TABLES.items()}
    return [f"dbo.{name}.{column}" for name, table in found.items() if table.is_there for column in table.missing]


async def check_table(db: SalesDb, table: str, columns: Sequence[str]) -> Table:
    """Return which of `columns` are missing or may not be read.

    Raises `StoreError` if the database is unreachable or keeps the table locked.
    """
    if await _select_error(db, table, ", ".join(columns)) is None:
        return Table()
    errors = {column: await _select_error(db, table, column) for column in columns}
    refused = [column for column, error in errors.items() if error is not None and error.is_refused]
    missing = [column for column, error in errors.items() if error is not None and not error.is_refused]
    return Table(is_there=len(missing) < len(columns), missing=missing, refused=refused)


async def has_right(db: SalesDb, catalogue: Catalogue, right: str, table: str, column: str | None) -> bool | None:
    """Return whether the login has the right; None: the server has no rights. Raises `StoreError`."""
    template = catalogue.may if column is None else catalogue.may_column
    if template is None:
        return None
    rows = await _rows(db, template.format(right=right, table=table, column=column))
    return bool(rows and rows[0][0])


async def index_columns(db: SalesDb, catalogue: Catalogue) -> set[tuple[str, tuple[str, ...]]]:
    """Return the table and the columns of every index, in lower case. Raises `StoreError`."""
    columns: Mapping[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for table, index, column, position in await _rows(db, catalogue.indexes):
        columns[table.lower(), index][int(position)] = column.lower()
    return {(table, tuple(name for _, name in sorted(names.items()))) for (table, _), names in columns.items()}


async def tables_without_key(db: SalesDb, catalogue: Catalogue) -> set[str]:
    """Return the tables without a primary key, in lower case. Raises `StoreError`."""
    return {name.lower() for (name,) in await _rows(db, catalogue.tables_without_key)}


async def _select_error(db: SalesDb, table: str, columns: str) -> StoreError | None:
    """Return the error that selecting `columns` meets; raises it if the cause is a lock or the connection."""
    try:
        await _rows(db, _NO_ROW.format(table=table, columns=columns))
    except StoreError as error:
        if error.is_of_connection or error.is_lock:
            raise
        return error
    return None


async def _rows(db: SalesDb, sql: str) -> list[tuple[Any, ...]]:
    return await db.transaction(lambda tx: tx.rows(sql))


# name: no row; it fails if a column is missing or may not be read
_NO_ROW = "SELECT {columns} FROM dbo.{table} WHERE 1 = 0"
