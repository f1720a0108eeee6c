"""The search among the failed, the pending or the changed sales, as conditions of an SQL statement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from streams.documents.document import DocumentType
from streams.domain.local_time import day_bounds

DocumentState = Literal[
    "SYNC_FAILED", "PENDING_SYNC", "SYNC_SUCCESS", "CANCEL_FAILED", "CANCELLED", "PENDING_CANCEL", "CHANGED"
]
"""A status, or CHANGED: accepted, and changed by the point of sale since (`streams.stores.corrections`)."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search that a sale must match in every field that is given."""

    document_code: str | None = None
    """A part of the invoice's code, in upper or lower case."""
    shop: str | None = None
    """The complete `shop_pharmacy_code`."""
    reason: str | None = None
    """The value of a `Code`."""
    day: date | None = None
    """The local date of `updated_at`."""
    since: datetime | None = None
    """The earliest `updated_at`, in local time without a zone."""


def containing(part: str) -> str:
    """Return a pattern for ``LOWER(column) LIKE ? ESCAPE '!'`` that matches values containing `part`.

    Characters that are special in a pattern, on SQL Server too, match only themselves.
    """
    return "%" + re.sub(r"([!%_\[])", r"!\1", part.strip().lower()) + "%"


def conditions(document_type: DocumentType, status: DocumentState, search: Search) -> tuple[str, list[Any]]:
    """Return the condition on ``dbo.<table> d`` and ``dbo.SaleSync s`` as SQL, and its parameters."""
    changed = ["d.status = 'SYNC_SUCCESS'", "s.changed_at > 0"]
    texts, parameters = changed if status == "CHANGED" else [f"d.status = '{status}'"], list[Any]()
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
        parameters += day_bounds(search.day)
    if search.since:
        texts.append("d.updated_at >= ?")
        parameters.append(search.since)
    return " AND ".join(texts), parameters
