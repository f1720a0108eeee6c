"""Whether somebody else may have sent a document before any worker saw it, as far as its row tells.

A document is new when its row was inserted as pending. But a sale may be entered on the national portal by hand while
no worker runs, and its row be set back to pending later: a poll sees the row as it is now, and the event of its
insertion comes late.
"""

from __future__ import annotations

from datetime import timedelta

from streams.documents.document import DocumentType, Row
from streams.domain.local_time import read_timestamp

NEW_FOR = timedelta(minutes=10)
"""A change so soon after the creation is the point of sale's own, which completes the row."""


def may_have_been_sent(row: Row, document_type: DocumentType) -> bool:
    """Return whether the row has a national id, or was changed some time after it was created."""
    if row[document_type.national_id_column]:
        return True
    created_at, updated_at = row["created_at"], row["updated_at"]
    if created_at is None or updated_at is None:
        return False
    try:
        return read_timestamp(updated_at) - read_timestamp(created_at) > NEW_FOR
    except (TypeError, ValueError):  # SQLite stores anything
        return True
