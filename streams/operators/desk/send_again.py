"""Send again: failed sales become pending, and their change events ask for them as any till's do.

Who asked stands in `dbo.SaleAction`, in the same transaction. Nothing else is touched: what may be held is looked up
before it is sent, as of every sale that was asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.local_time import local_time
from streams.operators.desk.action import BulkAction, Judged, PassedOver, Why, recorded
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import one_of


class SendAgain(BulkAction):
    name = "send_again"
    standing = "SYNC_FAILED"

    def __init__(self, db: SalesDb, document_type: DocumentType, zone: ZoneInfo) -> None:
        super().__init__(db, document_type)
        self._zone = zone

    async def _batch(self, ids: Sequence[int], request: str, actor: str) -> Judged:
        document_type = self._document_type
        now_ms = await self._db.now_ms()
        marks, parameters = one_of(ids)

        def act(tx: Transaction) -> Judged:
            rows = tx.rows(_STANDING.format(table=document_type.table, ids=marks), parameters)
            judged: dict[int, PassedOver | None] = {id_: PassedOver(id_, Why.VANISHED) for id_ in ids}
            judged |= {id_: PassedOver(id_, why) if (why := _WHY[int(standing)]) else None for id_, standing in rows}
            failed = [id_ for id_, passed in judged.items() if passed is None]
            if failed:
                some, values = one_of(failed)
                tx.execute(_TURN.format(table=document_type.table, ids=some), [local_time(now_ms, self._zone), *values])
                # Whatever we have turned is pending now and stays locked until this is committed.
                action = [document_type.name, request, self.name, actor, now_ms, document_type.name, *values]
                tx.execute(_RECORD.format(table=document_type.table, ids=some), action)
                there = recorded(tx, document_type, request, failed)
                judged |= {id_: PassedOver(id_, Why.NOT_OURS) for id_ in failed if id_ not in there}
            return judged

        return await self._db.transaction(act)


_WHY = {0: None, 1: Why.ACCEPTED, 2: Why.WAITS_ALREADY, 3: Why.NOT_OURS}

# name: how they stand
_STANDING = (
    "SELECT d.id, CASE d.status WHEN 'SYNC_FAILED' THEN 0 WHEN 'SYNC_SUCCESS' THEN 1 WHEN 'PENDING_SYNC' THEN 2 "
    "ELSE 3 END AS standing FROM dbo.{table} d WHERE d.id IN ({ids})"
)
# name: pending again
_TURN = "UPDATE dbo.{table} SET status = 'PENDING_SYNC', updated_at = ? WHERE id IN ({ids}) AND status = 'SYNC_FAILED'"
# name: who asked, and why they had failed
_RECORD = (
    "INSERT INTO dbo.SaleAction (document_type, id, request, action, actor, acted_at, reason_code) "
    "SELECT ?, d.id, ?, ?, ?, CAST(? AS BIGINT), s.reason_code FROM dbo.{table} d "
    "LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id WHERE d.id IN ({ids}) AND d.status = 'PENDING_SYNC'"
)
