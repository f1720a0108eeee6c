"""Send a correction: accepted sales that were changed since become pending, and replace what the national system has.

Like sales that are sent again, they are recorded with the person who requested it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from streams.operators.desk.action import Why
from streams.operators.desk.search import DocumentState
from streams.operators.desk.send_again import SendAgain
from streams.stores.sales_db import Transaction


class SendChanged(SendAgain):
    name = "send_changed"
    required_status: ClassVar[DocumentState] = "CHANGED"
    _why: ClassVar[Mapping[int, Why | None]] = {
        **{0: None, 1: Why.AS_ACCEPTED, 2: Why.WAITS_ALREADY},
        **{3: Why.NOT_OURS, 4: Why.FAILED},
    }
    _status: ClassVar[str] = "SYNC_SUCCESS"

    def _current_state(self, tx: Transaction, ids: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        sql = _CURRENT_STATE.format(table=self.document_type.table, ids=ids)
        return tx.rows(sql, [self.document_type.name, *parameters])


# name: the state of each, and whether it was changed after it was accepted
_CURRENT_STATE = (
    "SELECT d.id, CASE WHEN d.status = 'SYNC_SUCCESS' AND s.changed_at > 0 THEN 0 "
    "WHEN d.status = 'SYNC_SUCCESS' THEN 1 WHEN d.status = 'PENDING_SYNC' THEN 2 "
    "WHEN d.status = 'SYNC_FAILED' THEN 4 ELSE 3 END AS state "
    "FROM dbo.{table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id WHERE d.id IN ({ids})"
)
