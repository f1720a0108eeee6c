"""What every kind of document has: where its rows stand, and how it is told to the national system."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias
from urllib.parse import quote

from streams.domain.outcome import BrokenRule
from streams.runtime.frozen import frozen

Row: TypeAlias = Mapping[str, Any]
"""A row as the ODBC driver gives it, by column name. Decimals may be `Decimal` or text."""


class BrokenRules(Exception):
    """The document breaks rules of the national system; `rules` names every one of them."""

    def __init__(self, rules: Sequence[BrokenRule]) -> None:
        super().__init__("; ".join(f"{rule.field}: {rule.rule}" for rule in rules))
        self.rules = tuple(rules)


@frozen
class Body:
    """A document as it goes over the wire, serialized once."""

    content: bytes = field(repr=False)
    """JSON, UTF-8."""
    facility_code: str
    """ma_co_so."""
    document_code: str
    """The pharmacy's own code of the document (ma_hoa_don)."""
    hash: str = field(init=False)
    """SHA-256 of the content, 64 hex digits: what `dbo.SaleSync.sent_hash` holds."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", hashlib.sha256(self.content).hexdigest())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a kind of document lives in the national API (source: the interface description)."""

    path: str
    document_code_field: str
    """Our code in a look-up's answer; in a POST's answer the same field may carry the national id."""
    national_id_field: str
    """Where field servers put the national id."""
    bare_id: bool = False
    """The documented answer to a POST is the national id as a bare JSON text, not an object."""

    def one(self, facility_code: str, document_code: str) -> str:
        """Path of one document, for look-up and withdrawal."""
        return f"{self.path}/{quote(facility_code, safe='')}/{quote(document_code, safe='')}"


@dataclass(frozen=True, slots=True)
class Nouns:
    """What people call such a document, in small letters."""

    vi: str
    one: str
    many: str
    """The last two English."""


@dataclass(frozen=True, slots=True)
class DocumentType:
    """All that belongs to one kind. A new kind is one file in this folder and one table in the connector."""

    name: str
    """As it stands in `sale-status` and `dbo.SaleSync.document_type`."""
    table: str
    document_code_column: str
    national_id_column: str
    header_columns: tuple[str, ...]
    """Read beside the columns that every kind has."""
    lines_table: str
    lines_parent_column: str
    line_columns: tuple[str, ...]
    endpoint: Endpoint
    transform: Callable[[Row, Sequence[Row], date], Body]
    """Header, its lines, the pharmacy's local date of today -> body. Raises `BrokenRules`."""
    labels: Mapping[str, tuple[str, str]]
    """Wire field -> its name for a pharmacist, Vietnamese and English."""
    nouns: Nouns

    @property
    def sent_columns(self) -> tuple[str, ...]:
        """Of the header: what goes into the body."""
        return (self.document_code_column, "pharmacy_code", *self.header_columns)
