"""Send now: the due time of a pending sale is set to the present, and the scheduler enqueues it as it would have later.
So one that waits to be withdrawn is withdrawn now.

A sale with an unexpired lease is left unchanged: a worker is processing it, or a look-up that finds no sale would prove
nothing yet.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from streams.documents.document import DocumentType
from streams.operators.desk.action import BatchResult, BulkAction, PassedOver, Why, recorded_ids
from streams.operators.desk.search import DocumentState
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.schedule import ENQUEUED
from streams.stores.sql_fragments import PENDING_STATUSES, one_of


class SendNow(BulkAction):
    name = "send_now"

    def __init__(self, db: SalesDb, document_type: DocumentType, status: DocumentState = "PENDING_SYNC") -> None:
        """`status`: of the sales that a search finds."""
        super().__init__(db, document_type)
        self.required_status = status

    @property
    def from_statuses(self) -> Collection[DocumentState]:
        return ("PENDING_SYNC", "PENDING_CANCEL")

    async def _batch(self, ids: Sequence[int], request: str, actor: str) -> BatchResult:
        document_type = self.document_type
        now_ms = await self._db.now_ms()
        placeholders, parameters = one_of(ids)

        def act(tx: Transaction) -> BatchResult:
            sql = _CURRENT_STATE.format(table=document_type.table, ids=placeholders)
            rows = tx.rows(sql, [document_type.name, *parameters])
            result: dict[int, PassedOver | None] = {id_: PassedOver(id_, Why.VANISHED) for id_ in ids}
            result |= {row[0]: _judge(*row, now_ms=now_ms) for row in rows}
            movable = [id_ for id_, passed in result.items() if passed is None]
            if movable:
                some, values = one_of(movable)
                tx.execute(
                    _SET_DUE.format(table=document_type.table, ids=some, pending=PENDING_STATUSES),
                    [now_ms, document_type.name, now_ms, now_ms, *values, ENQUEUED],
                )
                action = [document_type.name, request, self.name, actor, now_ms, document_type.name, now_ms, *values]
                tx.execute(_RECORD.format(ids=some), action)
                recorded = recorded_ids(tx, document_type, request, movable)
                # A sale that is not recorded was taken by a worker between our SELECT and our UPDATE.
                result |= {id_: PassedOver(id_, Why.BEING_SENT) for id_ in movable if id_ not in recorded}
            return result

        return await self._db.transaction(act)


def _judge(
    id_: int,
    state: int | str,
    attempt: int | None,
    published_attempt: int | None,
    lease_until: int | None,
    next_attempt_at: int | None,
    owner: str | None,
    *,
    now_ms: int,
) -> PassedOver | None:
    """Return why a row of `_CURRENT_STATE` is passed over; None: its due time can be set."""
    if why := _WHY[int(state)]:
        return PassedOver(id_, why)
    if attempt and lease_until and lease_until > now_ms:
        return PassedOver(id_, Why.IN_DOUBT if published_attempt == attempt else Why.BEING_SENT, lease_until)
    if not attempt or next_attempt_at is None:  # its change event is under way, or the scheduler will find it
        return PassedOver(id_, Why.NOT_SEEN_YET)
    if next_attempt_at <= now_ms or owner == ENQUEUED:
        return PassedOver(id_, Why.DUE_ALREADY)
    return None


_WHY = {0: None, 1: Why.ACCEPTED, 2: Why.FAILED, 3: Why.NOT_OURS, 4: Why.WITHDRAWN_ALREADY, 5: Why.NOT_WITHDRAWN}

# name: the state of each, and what it is waiting for
_CURRENT_STATE = (
    "SELECT d.id, CASE d.status WHEN 'PENDING_SYNC' THEN 0 WHEN 'PENDING_CANCEL' THEN 0 WHEN 'SYNC_SUCCESS' THEN 1 "
    "WHEN 'SYNC_FAILED' THEN 2 WHEN 'CANCELLED' THEN 4 WHEN 'CANCEL_FAILED' THEN 5 "
    "ELSE 3 END AS state, s.attempt, s.published_attempt, s.lease_until, s.next_attempt_at, s.owner "
    "FROM dbo.{table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id WHERE d.id IN ({ids})"
)
# name: due now, unless a worker is processing it or it is enqueued
_SET_DUE = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ? WHERE document_type = ? AND next_attempt_at > ? AND lease_until <= ? "
    "AND id IN ({ids}) AND attempt > 0 AND (owner IS NULL OR owner <> ?) "
    "AND EXISTS (SELECT 1 FROM dbo.{table} d WHERE d.id = SaleSync.id AND d.status IN {pending})"
)
# name: who requested it, and why they were waiting
_RECORD = (
    "INSERT INTO dbo.SaleAction (document_type, id, request, action, actor, acted_at, reason_code) "
    "SELECT ?, s.id, ?, ?, ?, CAST(? AS BIGINT), s.reason_code FROM dbo.SaleSync s "
    "WHERE s.document_type = ? AND s.next_attempt_at = ? AND s.id IN ({ids})"
)
