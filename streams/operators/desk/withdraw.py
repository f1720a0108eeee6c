"""Withdraw: sales that were accepted, have failed, or could not be withdrawn get the status `PENDING_CANCEL`.

A failed sale may be stored too: in an older version, or by an earlier system.
"""

from __future__ import annotations

from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.document_status import Operation
from streams.operators.desk.action import Why
from streams.operators.desk.search import DocumentState
from streams.operators.desk.status_request import StatusRequest
from streams.stores.sales_db import SalesDb

WITHDRAWABLE: Final[tuple[DocumentState, ...]] = ("SYNC_SUCCESS", "SYNC_FAILED", "CANCEL_FAILED")


class Withdraw(StatusRequest):
    name = "withdraw"
    operation = Operation.WITHDRAW
    whys: ClassVar = {
        "PENDING_SYNC": Why.NOT_SENT_YET,
        "CANCELLED": Why.WITHDRAWN_ALREADY,
        "PENDING_CANCEL": Why.BEING_WITHDRAWN,
    }

    def __init__(
        self, db: SalesDb, document_type: DocumentType, zone: ZoneInfo, status: DocumentState = "SYNC_SUCCESS"
    ) -> None:
        """`status`: of the sales that a search finds."""
        super().__init__(db, document_type, zone, required_status=status, from_statuses=WITHDRAWABLE)
