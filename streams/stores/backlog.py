"""The backlog of waiting documents in the sales database, counted by reason."""

from __future__ import annotations

from dataclasses import dataclass

from streams.documents.document import DocumentType
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import PENDING_STATUSES


@dataclass(frozen=True, slots=True)
class BacklogPart:
    """The waiting documents of one document type that have the same reason."""

    reason: str | None
    """Reason code; None while no decision was published, as before the first attempt."""
    documents: int
    due: int
    """How many of `documents` are due."""
    shops: int
    oldest_ms: int
    """Since when the oldest of them has been waiting, in UTC milliseconds of the database's clock."""


async def read_backlog(db: SalesDb, document_type: DocumentType) -> tuple[int, list[BacklogPart]]:
    """Return the database's current time (UTC milliseconds) and the backlog.

    The query reads every waiting row once, so do not run it every second. Raises `StoreError`.
    """
    now = await db.now_ms()

    def read(tx: Transaction) -> list[BacklogPart]:
        sql = _WAITING.format(table=document_type.table, pending=PENDING_STATUSES)
        rows = tx.rows(sql, [now, document_type.name])
        return [BacklogPart(row[0], int(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in rows]

    return now, await db.transaction(read)


# name: the backlog by reason; a document that was requested again and not seen since has only its due time for a start.
# The minimum is cast to text, as SQLite's driver truncates computed numbers to 32 bits.
_WAITING = (
    "SELECT s.reason_code, COUNT(*), COUNT(CASE WHEN s.next_attempt_at <= ? THEN 1 END), "
    "COUNT(DISTINCT d.shop_pharmacy_code), "
    "CAST(MIN(CASE WHEN s.attempts_since IS NULL THEN s.next_attempt_at ELSE s.attempts_since END) AS VARCHAR(20)) "
    "FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.next_attempt_at IS NOT NULL AND d.status IN {pending} GROUP BY s.reason_code"
)
