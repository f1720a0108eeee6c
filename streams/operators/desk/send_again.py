"""Send again: failed sales become pending, and their change events request them like those of a point of sale.

The person who requested it is recorded in `dbo.SaleAction` in the same transaction. Nothing else is changed: like every
sale that is requested again, one that the national system has possibly stored is looked up before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.local_time import local_time
from streams.operators.desk.action import BatchResult, BulkAction, PassedOver, Why, recorded_ids
from streams.operators.desk.search import DocumentState
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import chunks, one_of


class SendAgain(BulkAction):
    name = "send_again"
    required_status: ClassVar[DocumentState] = "SYNC_FAILED"
    _why: ClassVar[Mapping[int, Why | None]] = {0: None, 1: Why.ACCEPTED, 2: Why.WAITS_ALREADY, 3: Why.NOT_OURS}
    """Why a sale is passed over, by the state that `_current_state` returns."""
    _status: ClassVar[str] = "SYNC_FAILED"
    """The status that the row must have."""

    def __init__(self, db: SalesDb, document_type: DocumentType, zone: ZoneInfo) -> None:
        super().__init__(db, document_type)
        self._zone = zone

    async def _batch(self, ids: Sequence[int], request: str, actor: str) -> BatchResult:
        document_type = self.document_type
        now_ms = await self._db.now_ms()
        placeholders, parameters = one_of(ids)

        def act(tx: Transaction) -> BatchResult:
            rows = self._current_state(tx, placeholders, parameters)
            result: dict[int, PassedOver | None] = {id_: PassedOver(id_, Why.VANISHED) for id_ in ids}
            result |= {id_: PassedOver(id_, why) if (why := self._why[int(state)]) else None for id_, state in rows}
            failed = [id_ for id_, passed in result.items() if passed is None]
            if failed:
                some, values = one_of(failed)
                for part in chunks(failed, tx.rows_per_update):
                    these, values_of_update = one_of(part)
                    sql = _SET_PENDING.format(table=document_type.table, ids=these, status=self._status)
                    tx.execute(sql, [local_time(now_ms, self._zone), *values_of_update])
                # The rows that were changed are pending now and stay locked until the commit.
                action = [document_type.name, request, self.name, actor, now_ms, document_type.name, *values]
                tx.execute(_RECORD.format(table=document_type.table, ids=some), action)
                recorded = recorded_ids(tx, document_type, request, failed)
                result |= {id_: PassedOver(id_, Why.NOT_OURS) for id_ in failed if id_ not in recorded}
            return result

        return await self._db.transaction(act)

    def _current_state(self, tx: Transaction, ids: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        return tx.rows(_CURRENT_STATE.format(table=self.document_type.table, ids=ids), parameters)


# name: the state of each
_CURRENT_STATE = (
    "SELECT d.id, CASE d.status WHEN 'SYNC_FAILED' THEN 0 WHEN 'SYNC_SUCCESS' THEN 1 WHEN 'PENDING_SYNC' THEN 2 "
    "ELSE 3 END AS state FROM dbo.{table} d WHERE d.id IN ({ids})"
)
# name: pending again
_SET_PENDING = (
    "UPDATE dbo.{table} SET status = 'PENDING_SYNC', updated_at = ? WHERE id IN ({ids}) AND status = '{status}'"
)
# name: who requested it, and why they had failed
_RECORD = (
    "INSERT INTO dbo.SaleAction (document_type, id, request, action, actor, acted_at, reason_code) "
    "SELECT ?, d.id, ?, ?, ?, CAST(? AS BIGINT), s.reason_code FROM dbo.{table} d "
    "LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id "
    "WHERE d.id IN ({ids}) AND d.status = 'PENDING_SYNC'"
)
