"""The first screen: how many were sent, failed and wait, why, how fast, and since when the oldest one waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.local_time import day_of, edges, local_time, read_moment, to_ms
from streams.domain.reasons import FAILURES
from streams.stores.sales_db import SalesDb, Transaction

_MINUTES = 5


@dataclass(frozen=True, slots=True)
class FinalCount:
    """How many ended in a stretch of time, and stand so."""

    begins: datetime
    """Wall clock."""
    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Oldest:
    """Of those that wait, the one that was asked for first."""

    id: int
    document_code: str
    shop: str
    since_ms: int
    """UTC milliseconds: when it was captured or first seen; of what nobody has seen yet, its `updated_at`."""
    reason: str | None
    """None: it was not tried yet."""


@dataclass(frozen=True, slots=True)
class Now:
    at_ms: int
    """UTC milliseconds of the database's clock: ages count to here."""
    day: date
    of_day: FinalCount
    """What ended on that day. A sale that was asked for again since then is waiting and no more in it."""
    waiting: Mapping[str | None, int]
    """All that wait now, by reason; None: not tried yet."""
    failed: Mapping[str | None, int]
    """All that stand as failed, of whatever day, by reason; None: failed before this system saw it."""
    sent_per_minute: float
    """Over the last whole minutes."""
    oldest: Oldest | None

    @property
    def waiting_total(self) -> int:
        return sum(self.waiting.values())

    @property
    def failed_total(self) -> int:
        return sum(self.failed.values())


def waits_for(code: str | None) -> str | None:
    """Asked for again, a sale keeps the reason of its failure until it is tried: that is not why it waits."""
    return None if code in FAILURES else code


class Figures:
    def __init__(self, db: SalesDb, document_type: DocumentType, zone: ZoneInfo) -> None:
        self._db = db
        self._document_type = document_type
        self._zone = zone

    async def now(self, day: date | None = None) -> Now:
        """`day`: the pharmacy's local date, today if none is named. Raises `StoreError`."""
        at_ms = await self._db.now_ms()
        here = local_time(at_ms, self._zone)
        today = day or here.date()
        minutes = edges(here, timedelta(minutes=1), _MINUTES + 1)[:-1]

        def ask(tx: Transaction) -> Now:
            [of_day] = self._ended(tx, day_of(today))
            lately = self._ended(tx, minutes)
            waiting, failed = self._by_reason(tx)
            oldest = self._oldest(tx)
            return Now(at_ms, today, of_day, waiting, failed, sum(m.sent for m in lately) / _MINUTES, oldest)

        return await self._db.transaction(ask)

    async def last_day(self) -> list[FinalCount]:
        """The last 24 hours, oldest first; the last of them is running. Raises `StoreError`."""
        here = local_time(await self._db.now_ms(), self._zone)

        def ask(tx: Transaction) -> list[FinalCount]:
            return self._ended(tx, edges(here, timedelta(hours=1), 24))

        return await self._db.transaction(ask)

    def _ended(self, tx: Transaction, edges: Sequence[datetime]) -> list[FinalCount]:
        """Between each edge and the next."""
        inner = edges[-2:0:-1]
        place = " ".join(f"WHEN d.updated_at >= ? THEN {len(inner) - i}" for i in range(len(inner)))
        sql = _ENDED.format(table=self._document_type.table, place=f"CASE {place} ELSE 0 END" if place else "0")
        rows = tx.rows(sql, [*inner, edges[0], edges[-1]])
        counts = {(int(place), int(sent)): int(count) for place, sent, count in rows}
        return [
            FinalCount(begins, counts.get((place, 1), 0), counts.get((place, 0), 0))
            for place, begins in enumerate(edges[:-1])
        ]

    def _by_reason(self, tx: Transaction) -> tuple[dict[str | None, int], dict[str | None, int]]:
        waiting: Counter[str | None] = Counter()
        failed: Counter[str | None] = Counter()
        for pending, count in tx.rows(_STANDING.format(table=self._document_type.table)):
            (waiting if int(pending) else failed)[None] += int(count)
        for pending, code, count in tx.rows(
            _BY_REASON.format(table=self._document_type.table), [self._document_type.name]
        ):
            of, why = (waiting, waits_for(code)) if int(pending) else (failed, code)
            of[why] += int(count)
            of[None] -= int(count)
        return dict(+waiting), dict(+failed)

    def _oldest(self, tx: Transaction) -> Oldest | None:
        first = tx.dialect.limit.format(n=1)
        names = {"table": self._document_type.table, "code": self._document_type.document_code_column}
        found = [
            Oldest(id_, code, shop, int(since), waits_for(reason))
            for id_, code, shop, since, reason in tx.rows(
                f"{_OLDEST_SEEN.format(**names)} {first}", [self._document_type.name]
            )
        ]
        for id_, code, shop, changed in tx.rows(
            f"{_OLDEST_UNSEEN.format(**names)} {first}", [self._document_type.name]
        ):
            found.append(Oldest(id_, code, shop, to_ms(read_moment(changed), self._zone), None))
        return min(found, key=lambda oldest: oldest.since_ms, default=None)


# name: how many ended when; updated_at is written with each end
_ENDED = (
    "SELECT q.place, q.sent, COUNT(*) FROM (SELECT {place} AS place, "
    "CASE WHEN d.status = 'SYNC_SUCCESS' THEN 1 ELSE 0 END AS sent FROM dbo.{table} d "
    "WHERE d.status IN ('SYNC_SUCCESS', 'SYNC_FAILED') AND d.updated_at >= ? AND d.updated_at < ?) q "
    "GROUP BY q.place, q.sent"
)
# name: how many have no good end
_STANDING = (
    "SELECT q.pending, COUNT(*) FROM (SELECT CASE WHEN d.status = 'PENDING_SYNC' THEN 1 ELSE 0 END AS pending "
    "FROM dbo.{table} d WHERE d.status IN ('PENDING_SYNC', 'SYNC_FAILED')) q GROUP BY q.pending"
)
# name: and why; an outer join would read all of dbo.SaleSync, of which few rows have a reason
_BY_REASON = (
    "SELECT q.pending, q.reason_code, COUNT(*) FROM (SELECT s.reason_code, "
    "CASE WHEN d.status = 'PENDING_SYNC' THEN 1 ELSE 0 END AS pending "
    "FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id WHERE s.document_type = ? AND s.reason_code > '' "
    "AND d.status IN ('PENDING_SYNC', 'SYNC_FAILED')) q GROUP BY q.pending, q.reason_code"
)
# name: the oldest of those that somebody has seen
_OLDEST_SEEN = (
    "SELECT d.id, d.{code} AS code, d.shop_pharmacy_code, s.attempts_since, s.reason_code "
    "FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.next_attempt_at > 0 AND s.attempts_since > 0 AND d.status = 'PENDING_SYNC' "
    "ORDER BY s.attempts_since, s.id"
)
# name: the oldest of the others: just committed, or asked for again
_OLDEST_UNSEEN = (
    "SELECT d.id, d.{code} AS code, d.shop_pharmacy_code, d.updated_at FROM dbo.{table} d "
    "WHERE d.status = 'PENDING_SYNC' AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s "
    "WHERE s.document_type = ? AND s.id = d.id AND s.next_attempt_at > 0 AND s.attempts_since > 0) "
    "ORDER BY d.updated_at, d.id"
)
