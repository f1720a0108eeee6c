"""Send again: failed sales become pending.

Like every sale that is requested again, one that the national system has possibly stored is looked up before it is
sent. A sale that was withdrawn, or whose withdrawal failed, is sent again only if that is asked for expressly.
"""

from __future__ import annotations

from typing import ClassVar
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.document_status import Operation
from streams.operators.desk.action import Why
from streams.operators.desk.search import DocumentState
from streams.operators.desk.status_request import StatusRequest
from streams.stores.sales_db import SalesDb


class SendAgain(StatusRequest):
    name = "send_again"
    operation = Operation.SEND
    whys: ClassVar = {
        "SYNC_FAILED": Why.FAILED_TO_BE_SENT,
        "SYNC_SUCCESS": Why.ACCEPTED,
        "PENDING_SYNC": Why.WAITS_ALREADY,
        "CANCEL_FAILED": Why.NOT_WITHDRAWN,
        "CANCELLED": Why.WITHDRAWN,
        "PENDING_CANCEL": Why.BEING_WITHDRAWN,
    }

    def __init__(
        self, db: SalesDb, document_type: DocumentType, zone: ZoneInfo, status: DocumentState = "SYNC_FAILED"
    ) -> None:
        """`status`: of the sales that are sent again, and no others."""
        super().__init__(db, document_type, zone, required_status=status, from_statuses=(status,))
