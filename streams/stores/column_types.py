"""The types of the columns that are read and written, as the server declares them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from streams.runtime.frozen import frozen
from streams.stores.sales_db import SalesDb

_DECLARED = re.compile(r"([^(]*?) *(?:\((\d+|max)[^)]*\))?")
_NO_LIMIT = 1_000_000_000
"""Servers give a text without a limit a length of about this, or of more, or one below 1."""


@frozen
class Column:
    type: str
    """In lower case, without its length."""
    length: int | None = None
    """In UTF-16 code units; bytes if the column has a code page. None: without a limit, or not a text."""
    code_page: int | None = None
    """The Windows code page of a text that is not Unicode; 65001 is UTF-8."""

    def __str__(self) -> str:
        length = f"({self.length})" if self.length is not None else ""
        page = f" in code page {self.code_page}" if self.code_page is not None else ""
        return f"{self.type.upper()}{length}{page}"


ColumnTypes: TypeAlias = Mapping[tuple[str, str], Column]
"""By table and column, both in lower case. Columns that the login may not use can be absent."""


async def read_column_types(db: SalesDb) -> ColumnTypes:
    """Return the types of all columns. Raises `StoreError`."""
    rows = await db.transaction(lambda tx: tx.rows(tx.dialect.catalogue.columns))
    return {(table.lower(), name.lower()): _column(*declared) for table, name, *declared in rows}


def column_of(types: ColumnTypes, table: str, name: str) -> Column | None:
    return types.get((table.lower(), name.lower()))


def _column(declared: str, length: Any, code_page: Any) -> Column:
    parts = _DECLARED.fullmatch(declared.lower())
    type_, in_type = parts.groups() if parts else (declared.lower(), None)
    number = int(length) if length is not None else int(in_type) if in_type and in_type.isdigit() else 0
    is_text = type_ in TEXTS
    return Column(type_, number if is_text and 0 < number < _NO_LIMIT else None, code_page)


TEXTS = frozenset({"char", "varchar", "nchar", "nvarchar", "text", "ntext", "character", "character varying"})
PADDED = frozenset({"char", "nchar", "character"})
INTEGERS = frozenset({"tinyint", "smallint", "int", "integer", "bigint"})
EXACT = frozenset({"decimal", "numeric", "money", "smallmoney"})
BINARY_NUMBERS = frozenset({"float", "real", "double precision"})
DAYS = frozenset({"date", "smalldatetime", "datetime", "datetime2", "timestamp without time zone"})
