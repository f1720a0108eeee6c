"""Publishes decisions on `sale-status`. A decision counts as published only when the broker has confirmed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from streams.documents.document import DocumentType
from streams.domain.change_event import SendRequest
from streams.domain.document_status import Operation, operation_of
from streams.domain.sale_status import SaleStatus, Version, event_id, status_reason, utc_from_ms
from streams.pipeline.retry_policy import Decision
from streams.runtime.outages import OUTAGES
from streams.runtime.retrying import Backoff, retry
from streams.stores.sync_state import Claim

log = structlog.get_logger(__name__)

Publish = Callable[[bytes, bytes, Mapping[str, bytes]], Awaitable[None]]
"""Publishes a message (key, value, headers). Returns when the broker has confirmed it."""
_ACTION = "check the broker; the decision is kept and published once it answers"
_BACKOFF = Backoff(0.2, 10)


class StatusPublisher:
    """Turns decisions into messages and publishes them."""

    def __init__(self, publish: Publish, document_types: Mapping[str, DocumentType], now_ms: Callable[[], int]) -> None:
        self._publish = publish
        self._document_types = document_types
        self._now_ms = now_ms

    async def publish(self, request: SendRequest, claim: Claim, decision: Decision, version: Version | None) -> None:
        """Publish a decision, trying until it is confirmed: a decision that is not published would be made again."""
        status = self._message(request, claim, decision)
        headers = version.headers() if version else {}
        value = status.model_dump_json().encode()

        def report(error: Exception, tries: int) -> None:
            outage.report(f"sale-status is not confirmed: {type(error).__name__}")
            log.warning("sale_status.waiting", tries=tries, error=type(error).__name__)

        with OUTAGES.reporter("kafka", _ACTION) as outage:
            await retry(lambda: self._publish(status.key, value, headers), Exception, _BACKOFF, report)

    def _message(self, request: SendRequest, claim: Claim, decision: Decision) -> SaleStatus:
        reason, document_type = decision.reason, self._document_types[request.document_type]
        labels, nouns = document_type.labels, document_type.nouns
        withdrawal = operation_of(decision.status) is Operation.WITHDRAW
        return SaleStatus(
            event_id=event_id(request.document_type, request.database, request.id, claim.attempt, decision.status),
            document=request.document_type,
            source_database=request.database,
            id=request.id,
            attempt=claim.attempt,
            local_invoice_id=request.document_code,
            pharmacy_code=request.pharmacy_code,
            shop_pharmacy_code=request.shop,
            status=decision.status,
            national_invoice_id=decision.national_id,
            reason=status_reason(reason, labels, nouns, withdrawal=withdrawal) if reason else None,
            next_attempt_at=utc_from_ms(decision.next_attempt_at) if decision.next_attempt_at is not None else None,
            captured_at=utc_from_ms(request.captured_at_ms),
            decided_at=utc_from_ms(self._now_ms()),
        )
