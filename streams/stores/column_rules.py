"""What the types of the point of sale's columns mean for its documents: which ones cannot be used, and which lose
something. docs/column-types.md has the rules as a table."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from streams.documents.document import DocumentType
from streams.domain.document_status import PENDING, Operation
from streams.runtime.frozen import frozen
from streams.stores.column_types import (
    BINARY_NUMBERS,
    DAYS,
    EXACT,
    INTEGERS,
    PADDED,
    TEXTS,
    Column,
    ColumnTypes,
    column_of,
)
from streams.stores.message_fit import SHORTEST_MESSAGE, holds_vietnamese

_STATUS = len(PENDING[Operation.SEND])
_WITHDRAWAL_STATUS = len(PENDING[Operation.WITHDRAW])
_NATIONAL_ID = 100
_AMOUNTS = {"quantity", "unit_price", "line_total", "conversion_ratio"}
_ACCOUNT_TEXTS = ("shop_pharmacy_code", "account", "password", "shop_name")
_OWN_IDS = (("SaleSync", "connectors/sql/sale_sync.sql"), ("SaleAction", "connectors/sql/sale_action.sql"))
_CODES = ("_code", "_id", "_number", "status", "account", "password", "unit", "shop_name")
"""How the names of columns end whose texts are no Vietnamese prose."""
_VENDOR = "Ask the vendor of the sales software"


class Use(Enum):
    KEY = auto()
    TEXT = auto()
    AMOUNT = auto()
    NUMBER = auto()
    DAY = auto()
    FLAG = auto()
    """1 means yes."""
    MOMENT = auto()
    """Not sent; compared with the clock."""


@frozen
class ColumnProblem:
    column: str
    what: str
    """Without a subject ('is ...')."""
    action: str
    is_unusable: bool = False
    """Whether every document would fail, so that a worker does not start."""


def use_of(column: str) -> Use:
    """Return what a column of a document is used for, which its name tells."""
    if column in _AMOUNTS:
        return Use.AMOUNT
    if column.endswith("_date"):
        return Use.DAY
    if column in {"created_at", "updated_at"}:
        return Use.MOMENT
    return Use.NUMBER if column.endswith("_type") else Use.TEXT


_USABLE = {
    Use.KEY: INTEGERS,
    Use.TEXT: TEXTS,
    Use.AMOUNT: INTEGERS | EXACT | BINARY_NUMBERS | TEXTS,
    Use.NUMBER: INTEGERS | EXACT | TEXTS,
    Use.FLAG: INTEGERS | EXACT | {"bit"},
    Use.DAY: DAYS | TEXTS,
    Use.MOMENT: DAYS - {"date"},
}
_NEEDED = {
    Use.KEY: "a key must be INT or BIGINT: claims, messages and pages carry it as a whole number",
    Use.TEXT: "a text must be NVARCHAR or VARCHAR: of another type, the national rules refuse every document",
    Use.AMOUNT: "an amount must be DECIMAL, MONEY, FLOAT, REAL or a whole number",
    Use.NUMBER: "a number of a list must be a whole number",
    Use.FLAG: "a flag must be a number, 1 for an active account",
    Use.DAY: "a day must be DATE, DATETIME or DATETIME2 without an offset: no time zone is converted",
    Use.MOMENT: "a time must be DATETIME or DATETIME2 without an offset: it is compared with the tills' clock",
}


def column_problems(types: ColumnTypes, document_type: DocumentType) -> list[ColumnProblem]:
    """Return what is wrong with the types of this document type's columns, the worst first."""
    problems = [
        *_unusable(types, document_type),
        *_own_tables(types, document_type),
        *_written(types, document_type),
        *_read(types, document_type),
    ]
    return sorted(problems, key=lambda problem: not problem.is_unusable)


def digested_columns(document_type: DocumentType) -> list[tuple[str, str]]:
    """Return table and name of each column that a digest covers."""
    return [
        *((document_type.table, name) for name in document_type.sent_columns),
        *((document_type.lines_table, name) for name in document_type.line_columns),
    ]


def _uses(document_type: DocumentType) -> Iterator[tuple[str, str, Use]]:
    table, lines = document_type.table, document_type.lines_table
    yield table, "id", Use.KEY
    yield lines, document_type.lines_parent_column, Use.KEY
    written = ("status", document_type.national_id_column, "sync_response_message")
    for name in (*document_type.sent_columns, "shop_pharmacy_code", *written, "created_at", "updated_at"):
        yield table, name, use_of(name)
    for name in document_type.line_columns:
        yield lines, name, use_of(name)
    for name in _ACCOUNT_TEXTS:
        yield "AccountShop", name, Use.TEXT
    yield "AccountShop", "status", Use.FLAG


def _unusable(types: ColumnTypes, document_type: DocumentType) -> Iterator[ColumnProblem]:
    for table, name, use in _uses(document_type):
        column = column_of(types, table, name)
        if column is None or column.type in _USABLE[use]:
            continue
        action = f"{_VENDOR} to change the column's type; docs/column-types.md says why."
        yield ColumnProblem(f"dbo.{table}.{name}", f"is {column}: {_NEEDED[use]}", action, is_unusable=True)


def _own_tables(types: ColumnTypes, document_type: DocumentType) -> Iterator[ColumnProblem]:
    key = column_of(types, document_type.table, "id")
    for table, script in _OWN_IDS:
        own = column_of(types, table, "id")
        if own is not None and own.type != "bigint" and key is not None and key.type == "bigint":
            what = f"is {own}, narrower than dbo.{document_type.table}.id, which is BIGINT"
            yield ColumnProblem(f"dbo.{table}.id", what, f"Stop the workers and run {script} again.", is_unusable=True)


def _written(types: ColumnTypes, document_type: DocumentType) -> Iterator[ColumnProblem]:
    table = document_type.table
    status = column_of(types, table, "status")
    if status is not None and status.length is not None and status.length < _STATUS:
        what = f"is {status}, too short for PENDING_SYNC and SYNC_SUCCESS"
        yield ColumnProblem(f"dbo.{table}.status", what, f"Make it at least {_STATUS} letters long.", is_unusable=True)
    elif status is not None and status.length is not None and status.length < _WITHDRAWAL_STATUS:
        what = f"is {status}, too short for PENDING_CANCEL: no document can be withdrawn"
        yield ColumnProblem(f"dbo.{table}.status", what, f"Make it at least {_WITHDRAWAL_STATUS} letters long.")
    national = column_of(types, table, document_type.national_id_column)
    if national is not None and national.length is not None and national.length < _NATIONAL_ID:
        what = f"is {national}: a longer national id is not cut, so its row would stay PENDING_SYNC"
        column = f"dbo.{table}.{document_type.national_id_column}"
        yield ColumnProblem(column, what, f"Make it {_NATIONAL_ID} letters long.")
    yield from _message(f"dbo.{table}.sync_response_message", column_of(types, table, "sync_response_message"))


def _message(name: str, message: Column | None) -> Iterator[ColumnProblem]:
    if message is None or message.type not in TEXTS:
        return
    if message.length is not None and message.length < SHORTEST_MESSAGE:
        what = f"is {message}: reasons are cut at a word"
        yield ColumnProblem(name, what, "Make it NVARCHAR(MAX), or read reasons on the page.")
    if not holds_vietnamese(message.code_page):
        what = f"is {message}, which lacks Vietnamese letters: reasons are written without their marks"
        yield ColumnProblem(name, what, "Make it NVARCHAR(MAX), or read reasons on the page.")


def _read(types: ColumnTypes, document_type: DocumentType) -> Iterator[ColumnProblem]:
    known = [
        (f"dbo.{table}.{name}", name, use, column)
        for table, name, use in _uses(document_type)
        if (column := column_of(types, table, name)) is not None and column.type in _USABLE[use]
    ]
    written = {document_type.national_id_column, "sync_response_message"}
    lossy = [
        name
        for name, bare, use, column in known
        if use is Use.TEXT
        and not holds_vietnamese(column.code_page)
        and not bare.endswith(_CODES)
        and bare not in written
    ]
    if lossy:
        what = "VARCHAR without Vietnamese letters: what the sales software wrote there may already have ? for them"
        yield ColumnProblem(_named(lossy), f"are {what}", f"{_VENDOR} to make them NVARCHAR.")
    if padded := [
        name for name, bare, use, column in known if use is Use.TEXT and column.type in PADDED and bare not in written
    ]:
        what = "are CHAR or NCHAR, which the server fills with blanks: they are sent with them"
        yield ColumnProblem(_named(padded), what, f"{_VENDOR} to make them NVARCHAR.")
    if reals := [name for name, _, use, column in known if use is Use.AMOUNT and column.type == "real"]:
        what = "are REAL, which holds seven digits: a larger amount was rounded before it is read"
        yield ColumnProblem(_named(reals), what, f"{_VENDOR} to make them DECIMAL(18,2).")
    if texts := [name for name, _, use, column in known if use is not Use.TEXT and column.type in TEXTS]:
        what = "are texts: taken where they are plain ('12.5', '2026-11-23'), else the document is refused"
        yield ColumnProblem(_named(texts), what, f"{_VENDOR} to use DECIMAL and DATE.")


def _named(columns: list[str]) -> str:
    return ", ".join(columns[:3]) + (f" and {len(columns) - 3} more" if len(columns) > 3 else "")
