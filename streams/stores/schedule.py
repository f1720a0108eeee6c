"""What is due in `dbo.SaleSync`, fairly over shops; and the pending rows that nothing waits for.

All times are UTC milliseconds of the database's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from streams.documents.document import DocumentType
from streams.stores.isolation import Failed, class_and_state, halved, is_away
from streams.stores.retention import forget_old_refusals
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import by_id, chunks, one_of
from streams.stores.sync_state import ANY_VERSION, again_where_others_made_rows

log = structlog.get_logger(__name__)

_IN_THE_WAY_FOR_MS = 45_000

ENQUEUED = "due"
"""`owner` of what was put on `sale-retry` and is not claimed yet."""


@dataclass(frozen=True, slots=True)
class DueDocument:
    id: int
    attempt: int
    """0: nobody ever was at it, its past is not known."""
    since: int
    """Beginning of this asking: when it was captured or first seen."""
    document_code: str
    pharmacy_code: str
    shop: str


class Schedule:
    def __init__(self, db: SalesDb, document_type: DocumentType) -> None:
        self._db = db
        self._document_type = document_type

    async def enqueued_and_unclaimed(self) -> int:
        now = await self._db.now_ms()

        def ask(tx: Transaction) -> int:
            rows = tx.rows(_FED_AND_UNCLAIMED, [self._document_type.name, ENQUEUED, now])
            return int(rows[0][0])

        return await self._db.transaction(ask)

    async def due(self, most: int, unseen_before: int, of_a_shop: int = 2**31 - 1) -> list[DueDocument]:
        """What is due now, the shops in turn. `unseen_before`: of those that nobody was ever at, only such as
        became due before this moment. `of_a_shop`: of one shop's no more than this, with what is fed of it already."""
        sql = _DUE.format(table=self._document_type.table, code=self._document_type.document_code_column)
        now = await self._db.now_ms()

        def ask(tx: Transaction) -> list[DueDocument]:
            rows = tx.rows(
                f"{sql} {tx.dialect.limit.format(n=most)}",
                [
                    self._document_type.name,
                    now,
                    now,
                    min(now, unseen_before),
                    self._document_type.name,
                    ENQUEUED,
                    now,
                    of_a_shop,
                ],
            )
            return [DueDocument(row[0], row[1], row[2] or now, row[3], row[4], row[5]) for row in rows]

        try:
            return await self._db.transaction(ask)
        except Exception as error:
            if is_away(error):
                raise
            log.warning("due.one_by_one", document=self._document_type.name, error=class_and_state(error))
        return await self.due_one_by_one(most, now, min(now, unseen_before))

    async def due_one_by_one(self, most: int, now: int, unseen_before: int) -> list[DueDocument]:
        """Where a row is in the way (a till keeps it locked, or it cannot be read): what is due by our own table alone,
        the oldest first, and of each row by itself whose it is. What is in the way is looked at again a while later."""

        def ask(tx: Transaction) -> dict[int, tuple[int, int]]:
            sql = f"{_DUE_OF_OURS} {tx.dialect.limit.format(n=most)}"
            return {
                row[0]: (row[1], row[2] or now)
                for row in tx.rows(sql, [self._document_type.name, now, now, unseen_before])
            }

        async def codes(ids: Sequence[int]) -> Sequence[tuple[Any, ...] | None]:
            marks, parameters = one_of(ids)
            sql = _CODES.format(
                table=self._document_type.table, code=self._document_type.document_code_column, ids=marks
            )
            rows = await self._db.transaction(lambda tx: {row[0]: row[1:] for row in tx.rows(sql, parameters)})
            return [rows.get(id_) for id_ in ids]

        known = await self._db.transaction(ask)
        apart = [each for part in chunks(list(known)) for each in await halved(codes, part)]
        due = {}
        for id_, found in zip(known, apart, strict=True):
            if isinstance(found, Failed):
                log.warning(
                    "due.in_the_way", document=self._document_type.name, id=id_, error=class_and_state(found.error)
                )
            elif found is not None:
                due[id_] = DueDocument(id_, *known[id_], *found)
        await self._pass_over([id_ for id_ in known if id_ not in due], now)
        return list(due.values())

    async def _pass_over(self, ids: Sequence[int], now: int) -> None:
        async def write(part: Sequence[int]) -> Sequence[None]:
            marks, parameters = one_of(part)
            sql, values = _LOOK_LATER.format(ids=marks), [now + _IN_THE_WAY_FOR_MS, self._document_type.name, now, now]
            await self._db.transaction(lambda tx: tx.execute(sql, [*values, *parameters]))
            return [None] * len(part)

        for part in chunks(ids):
            await halved(write, part)

    async def defer(self, attempts: Mapping[int, int], ms: int) -> set[int]:
        """They are about to be fed: not due again until `ms` from now, should nobody claim them. `attempts`: as read
        with them; where somebody has claimed it since (two schedulers, a slow database), what was left then stands.

        Gives the ids that could be asked about: not those that somebody keeps locked, or that are refused."""

        async def defer(part: Sequence[int]) -> Sequence[int]:
            now = await self._db.now_ms()
            marks, parameters = one_of(part)
            attempt, of_attempts = by_id({i: attempts[i] for i in part}, otherwise="-1", cast="INT")
            sql = _PUT_OFF.format(ids=marks, attempt=attempt)
            values = [now + ms, ENQUEUED, self._document_type.name, now, *parameters, *of_attempts]

            await self._db.transaction(lambda tx: tx.execute(sql, values))
            return part

        done: set[int] = set()
        for part in chunks(list(attempts)):
            for result in await halved(defer, part):
                if isinstance(result, Failed):
                    log.warning(
                        "due.not_deferred", document=self._document_type.name, error=class_and_state(result.error)
                    )
                else:
                    done.add(result)
        return done

    async def enroll(self, after_ms: int, most: int) -> int:
        """Pending rows that nothing waits for get a due time `after_ms` from now; gives how many were new.

        Whoever is captured meanwhile is claimed long before: of a row that was asked for again only its event knows
        since when, so that is not written down here. Rows that are not pending any more leave.
        Committed bit by bit: who claims meanwhile waits for a few rows, not for all.
        """
        now = await self._db.now_ms()

        asked = (
            _ASKED_UNSEEN.format(table=self._document_type.table),
            [now + after_ms, ANY_VERSION, self._document_type.name, now],
        )
        leaving = _LEAVE.format(table=self._document_type.table), [self._document_type.name, now, now]

        async def run(statements: Sequence[tuple[str, list[Any]]]) -> Sequence[None]:
            for statement, parameters in statements:

                def write(tx: Transaction, sql: str = statement, values: Sequence[Any] = parameters) -> None:
                    tx.execute(sql, values)

                await self._db.transaction(write)
            return [None] * len(statements)

        def look(tx: Transaction) -> list[int]:
            unseen = _UNSEEN.format(table=self._document_type.table)
            rows = tx.rows(f"{unseen} {tx.dialect.limit.format(n=most)}", [self._document_type.name])
            return [row[0] for row in rows]

        async def make(part: Sequence[int]) -> Sequence[None]:
            marks, parameters = one_of(part)
            values = [self._document_type.name, now + after_ms, now, *parameters, self._document_type.name]
            sql = _ENROLL.format(table=self._document_type.table, ids=marks)
            await again_where_others_made_rows(lambda tx: tx.execute(sql, values), self._db)
            return [None] * len(part)

        # Each by itself: a row of ours that is locked keeps no new one from being seen.
        results = [*await halved(run, [asked]), *await halved(run, [leaving])]
        ids = await self._db.transaction(look)
        for part in chunks(ids):
            results += await halved(make, part)
        if failed := [result.error for result in results if isinstance(result, Failed)]:
            raise failed[0]
        return len(ids)

    async def forget_old_refusals(self, keep_ms: int, most: int) -> int:
        """Gives how many there were."""
        return await forget_old_refusals(self._db, self._document_type.name, keep_ms, most)

    async def shops_waiting_for_accounts(self, reasons: Sequence[str], most: int) -> list[str]:
        marks, parameters = one_of(reasons)
        sql = _SHOPS_WAITING.format(table=self._document_type.table, reasons=marks)
        now = await self._db.now_ms()

        def ask(tx: Transaction) -> list[str]:
            rows = tx.rows(
                f"{sql} {tx.dialect.limit.format(n=most)}", [self._document_type.name, now, *parameters, ENQUEUED]
            )
            return [row[0] for row in rows]

        return await self._db.transaction(ask)

    async def release(self, shop: str, reasons: Sequence[str]) -> None:
        """What waits at this shop for these reasons is due now."""
        marks, parameters = one_of(reasons)
        now = await self._db.now_ms()

        def write(tx: Transaction) -> None:
            sql = _RELEASE.format(table=self._document_type.table, reasons=marks)
            tx.execute(sql, [now, self._document_type.name, now, *parameters, ENQUEUED, shop])

        await self._db.transaction(write)


# name: how much was fed and is not claimed yet
_FED_AND_UNCLAIMED = "SELECT COUNT(*) FROM dbo.SaleSync WHERE document_type = ? AND owner = ? AND next_attempt_at > ?"
# name: what is due, each shop's oldest first, the shops in turn; what is fed of a shop already has had its turns
_DUE = (
    "SELECT q.id, q.attempt, q.attempts_since, q.code, q.pharmacy_code, q.shop_pharmacy_code FROM ("
    "SELECT s.id, s.attempt, s.attempts_since, s.next_attempt_at, d.{code} AS code, d.pharmacy_code, "
    "d.shop_pharmacy_code, "
    "ROW_NUMBER() OVER (PARTITION BY d.shop_pharmacy_code ORDER BY s.next_attempt_at, s.id) AS turn "
    "FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.next_attempt_at <= ? AND s.lease_until <= ? AND d.status = 'PENDING_SYNC' "
    "AND (s.attempt > 0 OR s.next_attempt_at <= ?)) q "
    "LEFT JOIN (SELECT d.shop_pharmacy_code AS shop, COUNT(*) AS fed FROM dbo.SaleSync s JOIN dbo.{table} d "
    "ON d.id = s.id WHERE s.document_type = ? AND s.owner = ? AND s.next_attempt_at > ? GROUP BY d.shop_pharmacy_code) f "
    "ON f.shop = q.shop_pharmacy_code WHERE q.turn + COALESCE(f.fed, 0) <= ? "
    "ORDER BY q.turn + COALESCE(f.fed, 0), q.next_attempt_at, q.id"
)
# name: what is due by our own table alone
_DUE_OF_OURS = (
    "SELECT s.id, s.attempt, s.attempts_since FROM dbo.SaleSync s WHERE s.document_type = ? AND s.next_attempt_at <= ? "
    "AND s.lease_until <= ? AND (s.attempt > 0 OR s.next_attempt_at <= ?) ORDER BY s.next_attempt_at, s.id"
)
# name: whose they are, where they are pending
_CODES = (
    "SELECT d.id, d.{code}, d.pharmacy_code, d.shop_pharmacy_code FROM dbo.{table} d "
    "WHERE d.id IN ({ids}) AND d.status = 'PENDING_SYNC'"
)
# name: look later at what is in the way
_LOOK_LATER = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ? WHERE document_type = ? AND next_attempt_at <= ? AND lease_until <= ? "
    "AND id IN ({ids})"
)
# name: put off what is being fed
_PUT_OFF = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ?, owner = ? WHERE document_type = ? AND lease_until <= ? AND id IN ({ids}) "
    "AND attempt = {attempt}"
)
# name: pending rows that nobody has seen, each shop's oldest first, the shops in turn
_UNSEEN = (
    "SELECT q.id FROM (SELECT d.id, ROW_NUMBER() OVER (PARTITION BY d.shop_pharmacy_code ORDER BY d.id) AS turn "
    "FROM dbo.{table} d WHERE d.status = 'PENDING_SYNC' "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = d.id)) q ORDER BY q.turn, q.id"
)
# name: enroll them
_ENROLL = (
    "INSERT INTO dbo.SaleSync (document_type, id, next_attempt_at, attempts_since) "
    "SELECT ?, d.id, CAST(? AS BIGINT), CAST(? AS BIGINT) FROM dbo.{table} d WHERE d.id IN ({ids}) "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = d.id)"
)
# name: asked for again, and nothing waits for it; what was accepted is held, else any version may be
_ASKED_UNSEEN = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ?, attempts_since = NULL, tries = 0, "
    "sent_hash = CASE WHEN ever_accepted = 1 AND sent_hash IS NOT NULL THEN sent_hash ELSE ? END "
    "WHERE document_type = ? AND next_attempt_at IS NULL AND lease_until <= ? "
    "AND EXISTS (SELECT 1 FROM dbo.{table} d WHERE d.id = SaleSync.id AND d.status = 'PENDING_SYNC')"
)
# name: not pending any more, nothing to wait for
_LEAVE = (
    "UPDATE dbo.SaleSync SET next_attempt_at = NULL WHERE document_type = ? AND next_attempt_at <= ? AND lease_until <= ? "
    "AND NOT EXISTS (SELECT 1 FROM dbo.{table} d WHERE d.id = SaleSync.id AND d.status = 'PENDING_SYNC')"
)
# name: shops whose documents wait for an account; what is fed already is on its way
_SHOPS_WAITING = (
    "SELECT d.shop_pharmacy_code FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.next_attempt_at > ? AND s.reason_code IN ({reasons}) AND d.status = 'PENDING_SYNC' "
    "AND (s.owner IS NULL OR s.owner <> ?) "
    "GROUP BY d.shop_pharmacy_code ORDER BY d.shop_pharmacy_code"
)
# name: a shop's documents are due now
_RELEASE = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ? "
    "WHERE document_type = ? AND next_attempt_at > ? AND reason_code IN ({reasons}) AND (owner IS NULL OR owner <> ?) "
    "AND id IN (SELECT d.id FROM dbo.{table} d WHERE d.shop_pharmacy_code = ? AND d.status = 'PENDING_SYNC')"
)
