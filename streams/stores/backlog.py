"""What waits in the sales database: counted, by why it waits."""

from __future__ import annotations

from dataclasses import dataclass

from streams.documents.document import DocumentType
from streams.stores.sales_db import SalesDb, Transaction


@dataclass(frozen=True, slots=True)
class BacklogPart:
    """Of one kind of document and one reason."""

    reason: str | None
    """None: it was not told yet, as at the first attempt."""
    documents: int
    due: int
    """Of those: whose time has come."""
    shops: int
    oldest_ms: int
    """Since when the oldest of them waits, in UTC milliseconds of the database's clock."""


async def read_backlog(db: SalesDb, document_type: DocumentType) -> tuple[int, list[BacklogPart]]:
    """Now, by the database's clock, and what waits. Reads every waiting row once: not to be asked every second.

    Raises `StoreError`.
    """
    now = await db.now_ms()

    def ask(tx: Transaction) -> list[BacklogPart]:
        rows = tx.rows(_WAITING.format(table=document_type.table), [now, document_type.name])
        return [BacklogPart(row[0], int(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in rows]

    return now, await db.transaction(ask)


# name: what waits, by why; whoever was asked for again and not seen since has no beginning but its due time.
# A text, as SQLite's driver cuts computed numbers down to 32 bits.
_WAITING = (
    "SELECT s.reason_code, COUNT(*), COUNT(CASE WHEN s.next_attempt_at <= ? THEN 1 END), "
    "COUNT(DISTINCT d.shop_pharmacy_code), "
    "CAST(MIN(CASE WHEN s.attempts_since IS NULL THEN s.next_attempt_at ELSE s.attempts_since END) AS VARCHAR(20)) "
    "FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.next_attempt_at IS NOT NULL AND d.status = 'PENDING_SYNC' GROUP BY s.reason_code"
)
