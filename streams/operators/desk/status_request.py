"""What sending again and withdrawing share: a row gets the status that asks for it, and its change event requests it
like that of a point of sale.

The person who requested it is recorded in `dbo.SaleAction` in the same transaction. Nothing else is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.document_status import PENDING, Operation, Status
from streams.domain.local_time import local_time
from streams.operators.desk.action import BatchResult, BulkAction, PassedOver, Why, recorded_ids
from streams.operators.desk.search import DocumentState
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import chunks, literals, one_of


class StatusRequest(BulkAction):
    operation: ClassVar[Operation]
    whys: ClassVar[Mapping[Status, Why]]
    """Why a document with this status is passed over."""

    def __init__(
        self,
        db: SalesDb,
        document_type: DocumentType,
        zone: ZoneInfo,
        *,
        required_status: DocumentState,
        from_statuses: Collection[DocumentState],
    ) -> None:
        """`required_status`: of the documents that a search finds. `from_statuses`: of those that may be changed."""
        super().__init__(db, document_type)
        self.required_status = required_status
        self._from = from_statuses
        self._zone = zone

    @property
    def from_statuses(self) -> Collection[DocumentState]:
        return self._from

    async def _batch(self, ids: Sequence[int], request: str, actor: str) -> BatchResult:
        document_type = self.document_type
        pending = PENDING[self.operation]
        now_ms = await self._db.now_ms()

        def act(tx: Transaction) -> BatchResult:
            result = self._judged(tx, ids)
            chosen = [id_ for id_, passed in result.items() if passed is None]
            if chosen:
                some, values = one_of(chosen)
                for part in chunks(chosen, tx.rows_per_update):
                    these, values_of_update = one_of(part)
                    sql = _SET_PENDING.format(
                        table=document_type.table, pending=f"'{pending}'", ids=these, statuses=literals(self._from)
                    )
                    tx.execute(sql, [local_time(now_ms, self._zone), *values_of_update])
                # The rows that were changed are pending now and stay locked until the commit.
                action = [document_type.name, request, self.name, actor, now_ms, document_type.name, *values]
                tx.execute(_RECORD.format(table=document_type.table, ids=some, pending=f"'{pending}'"), action)
                recorded = recorded_ids(tx, document_type, request, chosen)
                result |= {id_: PassedOver(id_, Why.NOT_OURS) for id_ in chosen if id_ not in recorded}
            return result

        return await self._db.transaction(act)

    def _judged(self, tx: Transaction, ids: Sequence[int]) -> dict[int, PassedOver | None]:
        """Return for each id why it is passed over; None: it is changed."""
        placeholders, parameters = one_of(ids)
        rows = tx.rows(_CURRENT_STATE.format(table=self.document_type.table, ids=placeholders), parameters)
        vanished: dict[int, PassedOver | None] = {id_: PassedOver(id_, Why.VANISHED) for id_ in ids}
        return vanished | {id_: self._judge(id_, int(state)) for id_, state in rows}

    def _judge(self, id_: int, state: int) -> PassedOver | None:
        """Return why a row of `_CURRENT_STATE` is passed over; None: it is changed."""
        status = _STATUSES[state] if state >= 0 else None
        if status is None:
            return PassedOver(id_, Why.NOT_OURS)
        return None if status in self._from else PassedOver(id_, self.whys[status])


_STATUSES: Sequence[Status] = (
    *("SYNC_FAILED", "SYNC_SUCCESS", "PENDING_SYNC"),
    *("CANCEL_FAILED", "CANCELLED", "PENDING_CANCEL"),
)
"""By their places in `_CURRENT_STATE`."""
# name: the state of each
_CURRENT_STATE = (
    "SELECT d.id, CASE d.status WHEN 'SYNC_FAILED' THEN 0 WHEN 'SYNC_SUCCESS' THEN 1 WHEN 'PENDING_SYNC' THEN 2 "
    "WHEN 'CANCEL_FAILED' THEN 3 WHEN 'CANCELLED' THEN 4 WHEN 'PENDING_CANCEL' THEN 5 ELSE -1 END AS state "
    "FROM dbo.{table} d WHERE d.id IN ({ids})"
)
# name: pending again
_SET_PENDING = "UPDATE dbo.{table} SET status = {pending}, updated_at = ? WHERE id IN ({ids}) AND status IN {statuses}"
# name: who requested it, and the reason that they had
_RECORD = (
    "INSERT INTO dbo.SaleAction (document_type, id, request, action, actor, acted_at, reason_code) "
    "SELECT ?, d.id, ?, ?, ?, CAST(? AS BIGINT), s.reason_code FROM dbo.{table} d "
    "LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id "
    "WHERE d.id IN ({ids}) AND d.status = {pending}"
)
