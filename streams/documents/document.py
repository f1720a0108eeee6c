"""What every document type has: the tables that its rows are read from, and how it is sent to the national system."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias
from urllib.parse import quote

from streams.domain.nouns import Nouns
from streams.domain.outcome import BrokenRule
from streams.runtime.frozen import frozen

Row: TypeAlias = Mapping[str, Any]
"""A row as the ODBC driver returns it: column name -> value. Decimals may be `Decimal` or text."""


class BrokenRules(Exception):
    """The document breaks rules of the national system; `rules` names every one of them."""

    def __init__(self, rules: Sequence[BrokenRule]) -> None:
        super().__init__("; ".join(f"{rule.field}: {rule.rule}" for rule in rules))
        self.rules = tuple(rules)


@frozen
class Body:
    """A document in its wire form, serialized once."""

    content: bytes = field(repr=False)
    """JSON, UTF-8."""
    facility_code: str
    """The facility's code in the national system (ma_co_so)."""
    document_code: str
    """The pharmacy's own code of the document (ma_hoa_don)."""
    hash: str = field(init=False)
    """SHA-256 of the content, 64 hex digits: the value of `dbo.SaleSync.sent_hash`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", hashlib.sha256(self.content).hexdigest())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a document type lives in the national API (source: the published interface description)."""

    path: str
    document_code_field: str
    """Wire field of our document code in a look-up's answer. In a POST's answer it may carry the national id."""
    national_id_field: str
    """Wire field in which servers seen in the field return the national id."""
    bare_id: bool = False
    """Whether the documented answer to a POST is the national id as a bare JSON string, not an object."""
    look_up_is_known: bool = True
    """Whether a look-up under this path has been seen in the field. Where it has not, "not found" may mean the look-up
    itself."""

    def document_path(self, facility_code: str, document_code: str) -> str:
        """Return the path of one document, for look-up and withdrawal."""
        return f"{self.path}/{quote(facility_code, safe='')}/{quote(document_code, safe='')}"


@dataclass(frozen=True, slots=True)
class DocumentType:
    """Everything that defines a document type. A new one takes a file in this folder and a table in the connector."""

    name: str
    """The name in `sale-status` and `dbo.SaleSync.document_type`."""
    table: str
    document_code_column: str
    national_id_column: str
    header_columns: tuple[str, ...]
    """Columns read in addition to those that every document type has."""
    lines_table: str
    lines_parent_column: str
    line_columns: tuple[str, ...]
    lines_field: str
    """Wire field of the list of lines."""
    endpoint: Endpoint
    transform: Callable[[Row, Sequence[Row], date], Body]
    """Turns the header, its lines and the pharmacy's local date of today into the body. Raises `BrokenRules`."""
    labels: Mapping[str, tuple[str, str]]
    """Wire field -> its name for pharmacists, Vietnamese and English."""
    nouns: Nouns
    column_labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Column -> its name on the page, Vietnamese and English: of columns that only this document type has."""

    @property
    def sent_columns(self) -> tuple[str, ...]:
        """The header columns that go into the body."""
        return (self.document_code_column, "pharmacy_code", *self.header_columns)
