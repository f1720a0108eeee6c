"""Find due documents in `dbo.SaleSync`, fairly over the shops, and move their due times.

All times are UTC milliseconds of the database's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from streams.documents.document import DocumentType
from streams.stores.enrolment import enroll
from streams.stores.isolation import Failed, bisect_failures, class_and_state, is_unavailable
from streams.stores.retention import forget_old_refusals
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import PENDING_STATUSES, by_id, chunks, one_of

log = structlog.get_logger(__name__)

_RECHECK_AFTER_MS = 45_000

ENQUEUED = "due"
"""The `owner` of documents that were enqueued on `sale-retry` and are not claimed yet."""


@dataclass(frozen=True, slots=True)
class DueDocument:
    """A document to be enqueued on `sale-retry`."""

    id: int
    attempt: int
    """The last claimed attempt. 0: it was never claimed, and its past is not known."""
    since: int
    """Start of the current request: when the document was captured or first seen pending."""
    document_code: str
    pharmacy_code: str
    shop: str


class Schedule:
    """The due times of one document type."""

    def __init__(self, db: SalesDb, document_type: DocumentType) -> None:
        self._db = db
        self._document_type = document_type
        self.out_of_reach_total = 0
        """How often a due document was not read because others kept its row locked, or it could not be read."""

    async def enqueued_and_unclaimed(self) -> int:
        """Return how many documents are enqueued, not claimed yet, and not due again. Raises `StoreError`."""
        now = await self._db.now_ms()

        def read(tx: Transaction) -> int:
            rows = tx.rows(_ENQUEUED_AND_UNCLAIMED, [self._document_type.name, ENQUEUED, now])
            return int(rows[0][0])

        return await self._db.transaction(read)

    async def due(self, limit: int, unseen_before: int, limit_per_shop: int = 2**31 - 1) -> list[DueDocument]:
        """Return at most `limit` documents that are due now, round robin over the shops.

        `unseen_before`: of documents that were never claimed, only those due before this moment. `limit_per_shop`: the
        maximum for one shop, its documents that are already enqueued included.

        Raises `StoreError`; if only some rows cannot be read, `due_one_by_one` is used.
        """
        table, code = self._document_type.table, self._document_type.document_code_column
        sql = _DUE.format(table=table, code=code, pending=PENDING_STATUSES)
        now = await self._db.now_ms()

        def read(tx: Transaction) -> list[DueDocument]:
            rows = tx.rows(
                tx.dialect.first(sql, limit),
                [
                    self._document_type.name,
                    now,
                    now,
                    min(now, unseen_before),
                    self._document_type.name,
                    ENQUEUED,
                    now,
                    limit_per_shop,
                ],
            )
            return [DueDocument(row[0], row[1], row[2] or now, row[3], row[4], row[5]) for row in rows]

        try:
            return await self._db.transaction(read)
        except Exception as error:
            if is_unavailable(error):
                raise
            log.warning("due.one_by_one", document=self._document_type.name, error=class_and_state(error))
        return await self.due_one_by_one(limit, now, min(now, unseen_before))

    async def due_one_by_one(self, limit: int, now: int, unseen_before: int) -> list[DueDocument]:
        """Return the documents that are due now, oldest first, when some rows are locked or cannot be read.

        The due ids come from `dbo.SaleSync` alone; the codes of each document are read with those of others, and by
        bisection where that fails. Rows that cannot be read become due again 45 s later, and count as out of reach.
        Raises `StoreError`.
        """

        def read_due(tx: Transaction) -> dict[int, tuple[int, int]]:
            sql = tx.dialect.first(_DUE_IN_SYNC_STATE, limit)
            return {
                row[0]: (row[1], row[2] or now)
                for row in tx.rows(sql, [self._document_type.name, now, now, unseen_before])
            }

        async def codes(ids: Sequence[int]) -> Sequence[tuple[Any, ...] | None]:
            placeholders, parameters = one_of(ids)
            sql = _CODES.format(
                table=self._document_type.table,
                code=self._document_type.document_code_column,
                ids=placeholders,
                pending=PENDING_STATUSES,
                skip_locked="{skip_locked}",
            )

            def read(tx: Transaction) -> dict[int, tuple[Any, ...]]:
                # However many rows one point of sale keeps locked, nothing waits for them here.
                without_locked = sql.format(skip_locked=tx.dialect.skip_locked)
                return {row[0]: row[1:] for row in tx.rows(without_locked, parameters)}

            rows = await self._db.transaction(read)
            return [rows.get(id_) for id_ in ids]

        states = await self._db.transaction(read_due)
        results = [result for part in chunks(list(states)) for result in await bisect_failures(codes, part)]
        due = {}
        for id_, found in zip(states, results, strict=True):
            if isinstance(found, Failed):
                log.warning(
                    "due.in_the_way", document=self._document_type.name, id=id_, error=class_and_state(found.error)
                )
            elif found is not None:
                due[id_] = DueDocument(id_, *states[id_], *found)
        out_of_reach = [id_ for id_ in states if id_ not in due]
        self.out_of_reach_total += len(out_of_reach)
        if out_of_reach:
            log.warning("due.out_of_reach", document=self._document_type.name, documents=len(out_of_reach))
        await self._recheck_later(out_of_reach, now)
        return list(due.values())

    async def _recheck_later(self, ids: Sequence[int], now: int) -> None:
        async def write(part: Sequence[int]) -> Sequence[None]:
            placeholders, parameters = one_of(part)
            sql, values = (
                _RECHECK_LATER.format(ids=placeholders),
                [now + _RECHECK_AFTER_MS, self._document_type.name, now, now],
            )
            await self._db.transaction(lambda tx: tx.execute(sql, [*values, *parameters]))
            return [None] * len(part)

        for part in chunks(ids):
            await bisect_failures(write, part)

    async def defer(self, attempts: Mapping[int, int], ms: int) -> set[int]:
        """Defer documents that are about to be enqueued: unless claimed, they are due again in `ms`.

        `attempts`: id -> the attempt that was read. A document that was claimed since (two schedulers, a slow database)
        is left as it is. Returns the ids whose rows could be accessed: not those that are locked, or that raised an
        error.
        """

        async def defer_part(part: Sequence[int]) -> Sequence[int]:
            now = await self._db.now_ms()
            placeholders, parameters = one_of(part)
            attempt, attempt_parameters = by_id({i: attempts[i] for i in part}, otherwise="-1", cast="INT")
            sql = _DEFER.format(ids=placeholders, attempt=attempt)
            values = [now + ms, ENQUEUED, self._document_type.name, now, *parameters, *attempt_parameters]

            await self._db.transaction(lambda tx: tx.execute(sql, values))
            return part

        done: set[int] = set()
        for part in chunks(list(attempts)):
            for result in await bisect_failures(defer_part, part):
                if isinstance(result, Failed):
                    log.warning(
                        "due.not_deferred", document=self._document_type.name, error=class_and_state(result.error)
                    )
                else:
                    done.add(result)
        return done

    async def enroll(self, after_ms: int, limit: int, up_to: int = 2**62) -> int:
        """Give pending rows without a due time one, see `streams.stores.enrolment`. Return how many were new."""
        return await enroll(self._db, self._document_type, after_ms, limit, up_to)

    async def forget_old_refusals(self, keep_ms: int, limit: int) -> int:
        """Delete old refusals, see `streams.stores.retention`. Return how many there were."""
        return await forget_old_refusals(self._db, self._document_type.name, keep_ms, limit)

    async def shops_waiting_for_accounts(self, reasons: Sequence[str], limit: int) -> list[str]:
        """Return the shops whose documents wait for one of these reasons, at most `limit`. Raises `StoreError`."""
        placeholders, parameters = one_of(reasons)
        table = self._document_type.table
        sql = _SHOPS_WAITING.format(table=table, reasons=placeholders, pending=PENDING_STATUSES)
        now = await self._db.now_ms()

        def read(tx: Transaction) -> list[str]:
            rows = tx.rows(tx.dialect.first(sql, limit), [self._document_type.name, now, *parameters, ENQUEUED])
            return [row[0] for row in rows]

        return await self._db.transaction(read)

    async def release(self, shop: str, reasons: Sequence[str]) -> None:
        """Make the documents of this shop that wait for one of these reasons due now. Raises `StoreError`."""
        placeholders, parameters = one_of(reasons)
        now = await self._db.now_ms()

        def write(tx: Transaction) -> None:
            table = self._document_type.table
            sql = _RELEASE.format(table=table, reasons=placeholders, pending=PENDING_STATUSES)
            tx.execute(sql, [now, self._document_type.name, now, *parameters, ENQUEUED, shop])

        await self._db.transaction(write)


# name: how many documents are enqueued and not claimed yet
_ENQUEUED_AND_UNCLAIMED = (
    "SELECT COUNT(*) FROM dbo.SaleSync WHERE document_type = ? AND owner = ? AND next_attempt_at > ?"
)
# name: what is due, round robin over the shops, each shop's oldest first; what is already enqueued of a shop counts
_DUE = (
    "SELECT q.id, q.attempt, q.attempts_since, q.code, q.pharmacy_code, q.shop_pharmacy_code FROM ("
    "SELECT s.id, s.attempt, s.attempts_since, s.next_attempt_at, d.{code} AS code, d.pharmacy_code, "
    "d.shop_pharmacy_code, "
    "ROW_NUMBER() OVER (PARTITION BY d.shop_pharmacy_code ORDER BY s.next_attempt_at, s.id) AS place "
    "FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.next_attempt_at <= ? AND s.lease_until <= ? AND d.status IN {pending} "
    "AND (s.attempt > 0 OR s.next_attempt_at <= ?)) q "
    "LEFT JOIN (SELECT d.shop_pharmacy_code AS shop, COUNT(*) AS enqueued FROM dbo.SaleSync s JOIN dbo.{table} d "
    "ON d.id = s.id WHERE s.document_type = ? AND s.owner = ? AND s.next_attempt_at > ? "
    "GROUP BY d.shop_pharmacy_code) e "
    "ON e.shop = q.shop_pharmacy_code WHERE q.place + COALESCE(e.enqueued, 0) <= ? "
    "ORDER BY q.place + COALESCE(e.enqueued, 0), q.next_attempt_at, q.id"
)
# name: what is due, from dbo.SaleSync alone
_DUE_IN_SYNC_STATE = (
    "SELECT s.id, s.attempt, s.attempts_since FROM dbo.SaleSync s WHERE s.document_type = ? AND s.next_attempt_at <= ? "
    "AND s.lease_until <= ? AND (s.attempt > 0 OR s.next_attempt_at <= ?) ORDER BY s.next_attempt_at, s.id"
)
# name: the codes of documents that are pending
_CODES = (
    "SELECT d.id, d.{code}, d.pharmacy_code, d.shop_pharmacy_code FROM dbo.{table} d{skip_locked} "
    "WHERE d.id IN ({ids}) AND d.status IN {pending}"
)
# name: check documents later that could not be read
_RECHECK_LATER = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ? WHERE document_type = ? AND next_attempt_at <= ? AND lease_until <= ? "
    "AND id IN ({ids})"
)
# name: defer what is being enqueued
_DEFER = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ?, owner = ? WHERE document_type = ? AND lease_until <= ? "
    "AND id IN ({ids}) AND attempt = {attempt}"
)
# name: shops whose documents wait for an account, without those already enqueued
_SHOPS_WAITING = (
    "SELECT d.shop_pharmacy_code FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.next_attempt_at > ? AND s.reason_code IN ({reasons}) "
    "AND d.status IN {pending} AND (s.owner IS NULL OR s.owner <> ?) "
    "GROUP BY d.shop_pharmacy_code ORDER BY d.shop_pharmacy_code"
)
# name: make a shop's documents due now
_RELEASE = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ? "
    "WHERE document_type = ? AND next_attempt_at > ? AND reason_code IN ({reasons}) AND (owner IS NULL OR owner <> ?) "
    "AND id IN (SELECT d.id FROM dbo.{table} d WHERE d.shop_pharmacy_code = ? AND d.status IN {pending})"
)
