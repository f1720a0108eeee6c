"""The figures of the first screen: how many documents were sent, have failed and are waiting, for which reasons, at
which rate, and how long the oldest one has been waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.local_time import bucket_edges, day_bounds, local_time, read_timestamp, to_ms
from streams.domain.reasons import FAILURES
from streams.stores.corrections import count_changed
from streams.stores.sales_db import SalesDb, Transaction

_RATE_MINUTES = 5


@dataclass(frozen=True, slots=True)
class FinalCount:
    """How many documents reached a final status in an interval and still have it."""

    starts: datetime
    """The start of the interval, in local time without a zone."""
    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class OldestWaiting:
    """The pending document that has been waiting longest."""

    id: int
    document_code: str
    shop: str
    since_ms: int
    """UTC milliseconds: when it was captured or first seen by a worker, or else its `updated_at`."""
    reason: str | None
    """A `Code`. None: there has been no attempt yet."""


@dataclass(frozen=True, slots=True)
class CurrentFigures:
    at_ms: int
    """UTC milliseconds by the database's clock; ages are measured up to this moment."""
    day: date
    of_day: FinalCount
    """The final statuses of that day. A sale that was requested again since then is pending and no longer counted."""
    waiting: Mapping[str | None, int]
    """All pending documents, by reason code; None: there has been no attempt yet."""
    failed: Mapping[str | None, int]
    """All failed documents of any day, by reason code; None: it failed before this system saw it."""
    sent_per_minute: float
    """The average of the last five complete minutes."""
    oldest: OldestWaiting | None
    changed: int = 0
    """How many accepted documents of any day were changed since and not sent again."""

    @property
    def waiting_total(self) -> int:
        return sum(self.waiting.values())

    @property
    def failed_total(self) -> int:
        return sum(self.failed.values())


def waiting_reason(code: str | None) -> str | None:
    """Return the reason why a pending document waits: `code`, or None if it is the reason of an earlier failure.

    A sale that was requested again keeps the reason of its failure until the next attempt; it does not wait for that.
    """
    return None if code in FAILURES else code


class Figures:
    def __init__(self, db: SalesDb, document_type: DocumentType, zone: ZoneInfo) -> None:
        self._db = db
        self._document_type = document_type
        self._zone = zone

    async def now(self, day: date | None = None) -> CurrentFigures:
        """Return the present figures, and those of `day`: a local date, by default today. Raises `StoreError`."""
        at_ms = await self._db.now_ms()
        local_now = local_time(at_ms, self._zone)
        today = day or local_now.date()
        minutes = bucket_edges(local_now, timedelta(minutes=1), _RATE_MINUTES + 1)[:-1]

        def query(tx: Transaction) -> CurrentFigures:
            [of_day] = self._final_counts(tx, day_bounds(today))
            recent = self._final_counts(tx, minutes)
            waiting, failed = self._by_reason(tx)
            oldest = self._oldest(tx)
            sent_per_minute = sum(minute.sent for minute in recent) / _RATE_MINUTES
            changed = count_changed(tx, self._document_type)
            return CurrentFigures(at_ms, today, of_day, waiting, failed, sent_per_minute, oldest, changed)

        return await self._db.transaction(query)

    async def last_day(self) -> list[FinalCount]:
        """Return the counts of the last 24 hours, oldest first; the last hour is not over yet. Raises `StoreError`."""
        local_now = local_time(await self._db.now_ms(), self._zone)

        def query(tx: Transaction) -> list[FinalCount]:
            return self._final_counts(tx, bucket_edges(local_now, timedelta(hours=1), 24))

        return await self._db.transaction(query)

    def _final_counts(self, tx: Transaction, bounds: Sequence[datetime]) -> list[FinalCount]:
        """Return the counts of each interval between one of `bounds` and the next."""
        inner = bounds[-2:0:-1]
        cases = " ".join(f"WHEN d.updated_at >= ? THEN {len(inner) - i}" for i in range(len(inner)))
        sql = _FINAL.format(table=self._document_type.table, bucket=f"CASE {cases} ELSE 0 END" if cases else "0")
        rows = tx.rows(sql, [*inner, bounds[0], bounds[-1]])
        counts = {(int(bucket), int(sent)): int(count) for bucket, sent, count in rows}
        return [
            FinalCount(starts, counts.get((bucket, 1), 0), counts.get((bucket, 0), 0))
            for bucket, starts in enumerate(bounds[:-1])
        ]

    def _by_reason(self, tx: Transaction) -> tuple[dict[str | None, int], dict[str | None, int]]:
        """Return the numbers of pending and of failed documents, each by reason code."""
        waiting: Counter[str | None] = Counter()
        failed: Counter[str | None] = Counter()
        for pending, count in tx.rows(_UNSENT.format(table=self._document_type.table)):
            (waiting if int(pending) else failed)[None] += int(count)
        for pending, code, count in tx.rows(
            _BY_REASON.format(table=self._document_type.table), [self._document_type.name]
        ):
            counts, reason = (waiting, waiting_reason(code)) if int(pending) else (failed, code)
            counts[reason] += int(count)
            counts[None] -= int(count)
        return dict(+waiting), dict(+failed)

    def _oldest(self, tx: Transaction) -> OldestWaiting | None:
        names = {"table": self._document_type.table, "code": self._document_type.document_code_column}
        found = [
            OldestWaiting(id_, code, shop, int(since), waiting_reason(reason))
            for id_, code, shop, since, reason in tx.rows(
                tx.dialect.first(_OLDEST_SEEN.format(**names), 1), [self._document_type.name]
            )
        ]
        for id_, code, shop, changed in tx.rows(
            tx.dialect.first(_OLDEST_UNSEEN.format(**names), 1), [self._document_type.name]
        ):
            found.append(OldestWaiting(id_, code, shop, to_ms(read_timestamp(changed), self._zone), None))
        return min(found, key=lambda oldest: oldest.since_ms, default=None)


# name: how many reached a final status when; updated_at is written with each final decision
_FINAL = (
    "SELECT q.bucket, q.sent, COUNT(*) FROM (SELECT {bucket} AS bucket, "
    "CASE WHEN d.status = 'SYNC_SUCCESS' THEN 1 ELSE 0 END AS sent FROM dbo.{table} d "
    "WHERE d.status IN ('SYNC_SUCCESS', 'SYNC_FAILED') AND d.updated_at >= ? AND d.updated_at < ?) q "
    "GROUP BY q.bucket, q.sent"
)
# name: how many are pending or failed
_UNSENT = (
    "SELECT q.pending, COUNT(*) FROM (SELECT CASE WHEN d.status = 'PENDING_SYNC' THEN 1 ELSE 0 END AS pending "
    "FROM dbo.{table} d WHERE d.status IN ('PENDING_SYNC', 'SYNC_FAILED')) q GROUP BY q.pending"
)
# name: how many have which reason; an outer join would read all of dbo.SaleSync, of which few rows have one
_BY_REASON = (
    "SELECT q.pending, q.reason_code, COUNT(*) FROM (SELECT s.reason_code, "
    "CASE WHEN d.status = 'PENDING_SYNC' THEN 1 ELSE 0 END AS pending "
    "FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id WHERE s.document_type = ? AND s.reason_code > '' "
    "AND d.status IN ('PENDING_SYNC', 'SYNC_FAILED')) q GROUP BY q.pending, q.reason_code"
)
# name: the oldest pending one that a worker has seen
_OLDEST_SEEN = (
    "SELECT d.id, d.{code} AS code, d.shop_pharmacy_code, s.attempts_since, s.reason_code "
    "FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.next_attempt_at > 0 AND s.attempts_since > 0 AND d.status = 'PENDING_SYNC' "
    "ORDER BY s.attempts_since, s.id"
)
# name: the oldest pending one that no worker has seen: just committed, or requested again
_OLDEST_UNSEEN = (
    "SELECT d.id, d.{code} AS code, d.shop_pharmacy_code, d.updated_at FROM dbo.{table} d "
    "WHERE d.status = 'PENDING_SYNC' AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s "
    "WHERE s.document_type = ? AND s.id = d.id AND s.next_attempt_at > 0 AND s.attempts_since > 0) "
    "ORDER BY d.updated_at, d.id"
)
