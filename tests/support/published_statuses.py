"""Decisions in the form in which they are published on sale-status."""

from __future__ import annotations

from streams.domain.document_status import Status
from streams.domain.outcome import Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import SaleStatus, event_id, status_reason, utc_from_ms


def decision(id_: int, attempt: int, status: Status, code: Code | None = None) -> SaleStatus:
    return SaleStatus(
        event_id=event_id("sale", "chain", id_, attempt, status),
        document="sale",
        source_database="chain",
        id=id_,
        attempt=attempt,
        local_invoice_id=f"HD-{id_}",
        pharmacy_code="79-00001",
        shop_pharmacy_code="SHOP-01",
        status=status,
        national_invoice_id=f"HD_QG_{id_}" if status == "SYNC_SUCCESS" else None,
        reason=status_reason(Reason(code)) if code else None,
        next_attempt_at=utc_from_ms(1795400030000) if status.startswith("PENDING") else None,
        captured_at=utc_from_ms(1795400000001),
        decided_at=utc_from_ms(1795400000420),
    )


WAITING = decision(1, 1, "PENDING_SYNC", Code.TIMED_OUT)
ACCEPTED = decision(1, 2, "SYNC_SUCCESS")
REFUSED = decision(2, 1, "SYNC_FAILED", Code.API_REFUSED)
REQUESTED_AGAIN = decision(2, 2, "SYNC_SUCCESS")
WITHDRAWAL_WAITING = decision(1, 3, "PENDING_CANCEL", Code.TIMED_OUT)
WITHDRAWN = decision(1, 4, "CANCELLED")
NOT_WITHDRAWN = decision(2, 3, "CANCEL_FAILED", Code.API_REFUSED)
LAST = decision(3, 1, "SYNC_SUCCESS")
