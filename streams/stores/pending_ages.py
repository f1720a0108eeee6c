"""How many documents are pending, by the time since the point of sale created them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.local_time import local_time
from streams.stores.sales_db import SalesDb, Transaction

_UP_TO = (timedelta(hours=1), timedelta(days=1), timedelta(days=3))


@dataclass(frozen=True, slots=True)
class PendingAges:
    """Each document is counted once."""

    under_an_hour: int = 0
    under_a_day: int = 0
    under_3_days: int = 0
    older: int = 0


async def read_pending_ages(db: SalesDb, document_type: DocumentType, zone: ZoneInfo) -> PendingAges:
    """Return the numbers of all pending documents. `zone`: of the point of sale's local times.

    The query reads every pending row once, so do not run it every second. Raises `StoreError`.
    """
    now = local_time(await db.now_ms(), zone)

    def read(tx: Transaction) -> PendingAges:
        rows = tx.rows(_AGES.format(table=document_type.table), [now - age for age in _UP_TO])
        counts = {int(age): int(count) for age, count in rows}
        return PendingAges(*(counts.get(age, 0) for age in range(len(_UP_TO) + 1)))

    return await db.transaction(read)


# name: how many pending documents are of which age
_AGES = (
    "SELECT q.age, COUNT(*) FROM (SELECT CASE WHEN d.created_at >= ? THEN 0 WHEN d.created_at >= ? THEN 1 "
    "WHEN d.created_at >= ? THEN 2 ELSE 3 END AS age FROM dbo.{table} d WHERE d.status = 'PENDING_SYNC') q "
    "GROUP BY q.age"
)
