"""`sale-status` -> the till's tables. A batch is a transaction; what cannot be written stands aside by itself."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from streams.domain.status_message import StatusMessage
from streams.pipeline.batching import Batcher, ConcurrencyLimit
from streams.runtime.outages import OUTAGES
from streams.stores.decisions import DecisionWriter
from streams.stores.isolation import Failed, class_and_state, halved
from streams.stores.sales_db import StoreError, StoreUnavailable
from streams.stores.wait_for_database import REMEDY

log = structlog.get_logger(__name__)

_BATCH = 100
_ASIDE_FOR = 600.0
"""Seconds that a decision which cannot be written is tried by itself. After that its claim's end brings the
document back through the scheduler, which tells it anew."""


class WriteBackMeter(Protocol):
    def wrote_back(self, decisions: int, seconds: float) -> None: ...
    def write_given_up(self) -> None: ...


class WriteBack:
    def __init__(
        self,
        ends: DecisionWriter,
        document_types: Sequence[str],
        *,
        wait: float = 0.02,
        quarantined_for: float = _ASIDE_FOR,
        meter: WriteBackMeter | None = None,
        turnstile: ConcurrencyLimit | None = None,
    ) -> None:
        self._ends = ends
        self._document_types = set(document_types)
        self._quarantined_for = quarantined_for
        self._meter = meter
        self.quarantined = 0
        self._write = Batcher(self._write_batch, size=_BATCH, wait=wait, at_once=2, turnstile=turnstile)

    async def write(self, told: StatusMessage) -> None:
        """Returns when it is written, is no news, or was given up for the scheduler to bring back."""
        if told.status.document not in self._document_types:
            log.error("write_back.unknown_kind", document=told.status.document, **_whose(told))
            return
        failure = await self._write(told)
        if failure is not None:
            await self._quarantine(told, failure)

    async def _write_batch(self, batch: Sequence[StatusMessage]) -> Sequence[Exception | None]:
        failures: dict[int, Exception] = {}
        by_kind: dict[str, list[StatusMessage]] = defaultdict(list)
        for told in batch:
            by_kind[told.status.document].append(told)
        for document_type, items in by_kind.items():
            results = await halved(partial(self._apply, document_type), items)
            failures |= {
                id(told): result.error
                for told, result in zip(items, results, strict=True)
                if isinstance(result, Failed)
            }
        return [failures.get(id(told)) for told in batch]

    async def _apply(self, document_type: str, items: Sequence[StatusMessage]) -> Sequence[None]:
        """A store that is away is waited for; a lock is waited for a few times, then it is one row's trouble, as a
        time-out is while others are answered."""
        began = time.monotonic()

        def passes(error: BaseException) -> bool:
            if not isinstance(error, StoreUnavailable):
                return False
            return not error.is_lock or time.monotonic() - began < 1

        def say(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            waiting.report(f"write back: {error}")
            log.warning("write_back.waiting", tries=state.attempt_number, error=str(error))

        retrying = AsyncRetrying(
            retry=_if(passes),
            wait=wait_exponential_jitter(multiplier=0.05, max=10, jitter=0.1),
            before_sleep=say,
            reraise=True,
        )
        with OUTAGES.reporter("sales_database", REMEDY) as waiting:
            news: set[int] = await retrying(self._try, document_type, items)
        if self._meter:
            self._meter.wrote_back(len(items), time.monotonic() - began)
        log.debug("write_back", document=document_type, written=len(news), repeats=len(items) - len(news))
        return [None] * len(items)

    async def _try(self, document_type: str, items: Sequence[StatusMessage]) -> set[int]:
        try:
            return await self._ends.apply(document_type, items)
        except StoreUnavailable as error:
            if error.is_time_out and await self._ends.answers():
                raise StoreError(error.state, error.native) from None
            raise

    async def _quarantine(self, told: StatusMessage, failure: Exception) -> None:
        action = "see what the database refuses for this row (a trigger, a constraint, a long lock)"
        log.error(
            "write_back.quarantined",
            **_whose(told),
            error=class_and_state(failure),
            action=action,
        )
        self.quarantined += 1
        waiting = OUTAGES.reporter("write_back", action, holds_up_sales=False)

        def say(_: RetryCallState) -> None:
            waiting.report(f"{self.quarantined} rows that the database refuses are tried by themselves")

        try:
            retrying = AsyncRetrying(
                retry=retry_if_exception_type(Exception),
                wait=wait_exponential_jitter(multiplier=1, max=60, jitter=1),
                stop=stop_after_delay(self._quarantined_for),
                before_sleep=say,
                reraise=True,
            )
            await retrying(self._ends.apply, told.status.document, [told])
        except Exception as error:
            log.error("write_back.given_up", **_whose(told), error=class_and_state(error))
            if self._meter:
                self._meter.write_given_up()
        finally:
            waiting.end()
            self.quarantined -= 1


def _whose(told: StatusMessage) -> dict[str, object]:
    """For a line of the log."""
    status = told.status
    return {
        "invoice": status.local_invoice_id,
        "pharmacy": status.pharmacy_code,
        "shop": status.shop_pharmacy_code,
        "attempt": status.attempt,
    }


def _if(passes: Callable[[BaseException], bool]) -> Callable[[RetryCallState], bool]:
    def check(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return error is not None and passes(error)

    return check
