"""What every document type has: the tables that its rows are read from, and how it is sent to the national system."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self, TypeAlias
from urllib.parse import quote

from streams.domain.nouns import Nouns
from streams.domain.outcome import BrokenRule
from streams.runtime.frozen import frozen
from streams.settings import Settings

Row: TypeAlias = Mapping[str, Any]
"""A row as the ODBC driver returns it: column name -> value. Decimals may be `Decimal` or text."""


class BrokenRules(Exception):
    """The document breaks rules of the national system; `rules` names every one of them."""

    def __init__(self, rules: Sequence[BrokenRule]) -> None:
        super().__init__("; ".join(f"{rule.field}: {rule.rule}" for rule in rules))
        self.rules = tuple(rules)


@frozen
class BodyOptions:
    """What the settings say about values of which it is not known whether the national API takes them."""

    empty_dosage: str | None = None
    """What is sent in place of an empty dosage. None: an empty dosage breaks a rule."""
    fractions: bool = True
    """Whether fractional quantities are sent. False: they break a rule."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.empty_dosage, settings.fractional_quantities == "send")


@frozen
class Body:
    """A document in its wire form, serialized once."""

    content: bytes = field(repr=False)
    """JSON, UTF-8."""
    facility_code: str
    """The facility's code in the national system (ma_co_so)."""
    document_code: str
    """The pharmacy's own code of the document (ma_hoa_don)."""
    replaced: tuple[BrokenRule, ...] = ()
    """Fields that are sent with another value than that of the row, for which `BodyOptions` ask."""
    doubtful: tuple[BrokenRule, ...] = ()
    """Fields whose values the national API may not take: its refusal names them."""
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
    day_column: str
    """The header column that says which day the document is about."""
    lines_table: str
    lines_parent_column: str
    line_columns: tuple[str, ...]
    lines_field: str
    """Wire field of the list of lines."""
    endpoint: Endpoint
    make_body: Callable[[Row, Sequence[Row], date, BodyOptions], Body]
    """Turns the header and its lines into the body, see `transform`."""
    labels: Mapping[str, tuple[str, str]]
    """Wire field -> its name for pharmacists, Vietnamese and English."""
    nouns: Nouns
    column_labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Column -> its name on the page, Vietnamese and English: of columns that only this document type has."""
    sent_after: tuple[str, ...] = ()
    """The names of the types of which a shop's documents of a day are sent before its documents of this type, where the
    settings ask for an order."""
    options: BodyOptions = field(default_factory=BodyOptions)

    def transform(self, header: Row, lines: Sequence[Row], today: date) -> Body:
        """Turn the header and its lines into the body. `today`: the pharmacy's local date. Raises `BrokenRules`, which
        names every rule that the document breaks.
        """
        return self.make_body(header, lines, today, self.options)

    @property
    def sent_columns(self) -> tuple[str, ...]:
        """The header columns that go into the body."""
        return (self.document_code_column, "pharmacy_code", *self.header_columns)
