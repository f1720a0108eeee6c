"""Send a correction: accepted sales that were changed since become pending, and replace what the national system has.

Like sales that are sent again, they are recorded with the person who requested it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.document_status import Operation
from streams.operators.desk.action import PassedOver, Why
from streams.operators.desk.search import DocumentState
from streams.operators.desk.send_again import SendAgain
from streams.operators.desk.status_request import StatusRequest
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import one_of


class SendChanged(StatusRequest):
    name = "send_changed"
    operation = Operation.SEND
    whys: ClassVar = {**SendAgain.whys, "SYNC_FAILED": Why.FAILED}

    def __init__(self, db: SalesDb, document_type: DocumentType, zone: ZoneInfo) -> None:
        accepted: DocumentState = "SYNC_SUCCESS"
        super().__init__(db, document_type, zone, required_status="CHANGED", from_statuses=(accepted,))

    def _judged(self, tx: Transaction, ids: Sequence[int]) -> dict[int, PassedOver | None]:
        result = super()._judged(tx, ids)
        placeholders, parameters = one_of(ids)
        rows = tx.rows(_CHANGED.format(ids=placeholders), [self.document_type.name, *parameters])
        changed = {row[0] for row in rows}
        return {
            id_: PassedOver(id_, Why.AS_ACCEPTED) if passed is None and id_ not in changed else passed
            for id_, passed in result.items()
        }


# name: which were changed after they were accepted
_CHANGED = "SELECT s.id FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id IN ({ids}) AND s.changed_at > 0"
