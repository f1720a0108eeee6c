"""What a person looks for among the sales that failed or wait, as conditions of a statement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from streams.documents.document import DocumentType
from streams.domain.local_time import day_of

DocumentState = Literal["SYNC_FAILED", "PENDING_SYNC"]


@dataclass(frozen=True, slots=True)
class Search:
    """All that is named must be so."""

    document_code: str | None = None
    """Part of the invoice's code, in either case."""
    shop: str | None = None
    """shop_pharmacy_code, whole."""
    reason: str | None = None
    """A `Code`."""
    day: date | None = None
    """Local date of `updated_at`."""
    since: datetime | None = None
    """Wall clock, without a zone: `updated_at` is not before."""


def containing(part: str) -> str:
    """A pattern for ``LOWER(column) LIKE ? ESCAPE '!'``; what is special there, on SQL Server too, is itself."""
    return "%" + re.sub(r"([!%_\[])", r"!\1", part.strip().lower()) + "%"


def conditions(document_type: DocumentType, standing: DocumentState, search: Search) -> tuple[str, list[Any]]:
    """Of ``dbo.<table> d`` and ``dbo.SaleSync s``, and their parameters."""
    texts, parameters = [f"d.status = '{standing}'"], list[Any]()
    if search.document_code:
        texts.append(f"LOWER(d.{document_type.document_code_column}) LIKE ? ESCAPE '!'")
        parameters.append(containing(search.document_code))
    if search.shop:
        texts.append("d.shop_pharmacy_code = ?")
        parameters.append(search.shop)
    if search.reason:
        texts.append("s.reason_code = ?")
        parameters.append(search.reason)
    if search.day:
        texts.append("d.updated_at >= ? AND d.updated_at < ?")
        parameters += day_of(search.day)
    if search.since:
        texts.append("d.updated_at >= ?")
        parameters.append(search.since)
    return " AND ".join(texts), parameters
