"""A decision -> `sale-status`. Told is told only when the broker has confirmed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from streams.documents.document import DocumentType
from streams.domain.change_event import SendRequest
from streams.domain.sale_status import SaleStatus, Version, as_text, at_ms, event_id
from streams.pipeline.retry_policy import Decision
from streams.runtime.outages import OUTAGES
from streams.runtime.retrying import replayed
from streams.stores.sync_state import Claim

log = structlog.get_logger(__name__)

Publish = Callable[[bytes, bytes, Mapping[str, bytes]], Awaitable[None]]
"""Key, value, headers. Returns when the broker has confirmed."""


class StatusPublisher:
    def __init__(self, publish: Publish, document_types: Mapping[str, DocumentType], now_ms: Callable[[], int]) -> None:
        self._publish = publish
        self._document_types = document_types
        self._now_ms = now_ms

    async def tell(self, ask: SendRequest, claim: Claim, decision: Decision, version: Version | None) -> None:
        """Tries until it is confirmed: an untold decision would be made again."""
        status = self._message(ask, claim, decision)
        headers = version.headers() if version else {}
        value = status.model_dump_json().encode()

        async def publish() -> None:
            await self._publish(status.key, value, headers)

        try:
            await publish()
        except Exception as error:
            first = error
        else:
            return

        def say(state: RetryCallState) -> None:
            error = type(state.outcome.exception()).__name__ if state.outcome else None
            waiting.report(f"sale-status is not confirmed: {error}")
            log.warning("sale_status.waiting", tries=state.attempt_number, error=error)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential_jitter(multiplier=0.1, max=10, jitter=0.5),
            before_sleep=say,
        )
        with OUTAGES.reporter("kafka", "see to the broker; the decision is kept and told once it answers") as waiting:
            await retrying(replayed(first, publish))

    def _message(self, ask: SendRequest, claim: Claim, decision: Decision) -> SaleStatus:
        reason = decision.reason
        return SaleStatus(
            event_id=event_id(ask.document_type, ask.database, ask.id, claim.attempt, decision.status),
            document=ask.document_type,
            source_database=ask.database,
            id=ask.id,
            attempt=claim.attempt,
            local_invoice_id=ask.document_code,
            pharmacy_code=ask.pharmacy_code,
            shop_pharmacy_code=ask.shop,
            status=decision.status,
            national_invoice_id=decision.national_id,
            reason=as_text(reason, self._document_types[ask.document_type].labels) if reason else None,
            next_attempt_at=at_ms(decision.next_attempt_at) if decision.next_attempt_at is not None else None,
            captured_at=at_ms(ask.captured_at_ms),
            decided_at=at_ms(self._now_ms()),
        )
