"""What the sales database says about how its changes are captured, in queries that need no right of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streams.documents.document import DocumentType
from streams.domain.local_time import read_timestamp
from streams.stores.sales_db import SalesDb, Transaction

_MB = 1024 * 1024
_NEARLY_FULL = 0.7


@dataclass(frozen=True, slots=True)
class LogUse:
    """The transaction log of the sales database."""

    waits_for: str
    """What kept its space from being used again at the last checkpoint; REPLICATION: changes are not captured."""
    size: int
    used: int
    limit: int | None
    """Bytes, like the other two. None: it grows until the disk is full."""

    @property
    def waits_for_capture(self) -> bool:
        return self.waits_for == "REPLICATION"

    @property
    def is_nearly_full(self) -> bool:
        return self.limit is not None and self.used > _NEARLY_FULL * self.limit


@dataclass(frozen=True, slots=True)
class NewestRow:
    id: int
    created_at: datetime
    """Local time without a zone."""


async def read_log_use(db: SalesDb) -> LogUse | None:
    """Return the use of the transaction log; None: the server has none that can fill for want of capture.

    Raises `StoreError`.
    """

    def read(tx: Transaction) -> LogUse | None:
        if tx.dialect.log_use is None:
            return None
        [(waits_for, size, used, limit)] = tx.rows(tx.dialect.log_use)
        return LogUse(waits_for, int(size) * _MB, int(used) * _MB, int(limit) * _MB if limit else None)

    return await db.transaction(read)


async def highest_id(db: SalesDb, document_type: DocumentType) -> int:
    """Return the highest id that is committed; 0: there is none. Raises `StoreError`."""

    def read(tx: Transaction) -> int:
        sql = _HIGHEST.format(table=document_type.table, skip_locked=tx.dialect.skip_locked)
        return int(tx.rows(sql)[0][0] or 0)

    return await db.transaction(read)


async def newest_row(db: SalesDb, document_type: DocumentType) -> NewestRow | None:
    """Return the row with the highest id; None: there is none. Raises `StoreError`."""

    def read(tx: Transaction) -> NewestRow | None:
        sql = _NEWEST.format(table=document_type.table, skip_locked=tx.dialect.skip_locked)
        rows = tx.rows(tx.dialect.first(sql, 1))
        return NewestRow(rows[0][0], read_timestamp(rows[0][1])) if rows and rows[0][1] is not None else None

    return await db.transaction(read)


# name: the highest id
_HIGHEST = "SELECT MAX(d.id) AS highest FROM dbo.{table} d{skip_locked}"
# name: the row with the highest id
_NEWEST = "SELECT d.id, d.created_at FROM dbo.{table} d{skip_locked} ORDER BY d.id DESC"
