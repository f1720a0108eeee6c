"""Writes decisions of `sale-status` back to the point of sale's tables. A batch is one transaction; a row that cannot
be written is quarantined and retried by itself.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import structlog

from streams.domain.status_message import StatusMessage
from streams.pipeline.batching import Batcher, ConcurrencyLimit
from streams.runtime.outages import OUTAGES
from streams.runtime.retrying import Backoff, retry
from streams.stores.decisions import DecisionWriter
from streams.stores.isolation import Failed, bisect_failures, class_and_state
from streams.stores.sales_db import StoreError, StoreUnavailable
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

_BATCH = 100
_QUARANTINED_FOR = 600.0
"""Seconds for which a quarantined decision is retried. After that the expiry of its claim lets the scheduler enqueue
the document again, whose decision is then published again.
"""
_LOCKED_FOR = 1.0
_BACKOFF = Backoff(1, 60)


class WriteBackMeter(Protocol):
    """Counts what is written and what is given up."""

    def wrote_back(self, decisions: int, seconds: float) -> None: ...
    def write_given_up(self) -> None: ...


class WriteBack:
    """Writes decisions in batches, at most two at once."""

    def __init__(
        self,
        decisions: DecisionWriter,
        document_types: Sequence[str],
        *,
        wait: float = 0.02,
        quarantined_for: float = _QUARANTINED_FOR,
        meter: WriteBackMeter | None = None,
        concurrency_limit: ConcurrencyLimit | None = None,
    ) -> None:
        self._decisions = decisions
        self._document_types = set(document_types)
        self._quarantined_for = quarantined_for
        self._meter = meter
        self.quarantined = 0
        self._write = Batcher(self._write_batch, size=_BATCH, wait=wait, at_once=2, concurrency_limit=concurrency_limit)

    async def write(self, message: StatusMessage) -> None:
        """Write a decision back; return when it is written, outdated, or given up and left to the scheduler."""
        if message.status.document not in self._document_types:
            log.error("write_back.unknown_document_type", document=message.status.document, **_identity(message))
            return
        failure = await self._write(message)
        if failure is not None:
            await self._quarantine(message, failure)

    async def _write_batch(self, batch: Sequence[StatusMessage]) -> Sequence[Exception | None]:
        failures: dict[int, Exception] = {}
        by_type: dict[str, list[StatusMessage]] = defaultdict(list)
        for message in batch:
            by_type[message.status.document].append(message)
        for document_type, items in by_type.items():
            results = await bisect_failures(partial(self._apply, document_type), items)
            failures |= {
                id(message): result.error
                for message, result in zip(items, results, strict=True)
                if isinstance(result, Failed)
            }
        return [failures.get(id(message)) for message in batch]

    async def _apply(self, document_type: str, items: Sequence[StatusMessage]) -> Sequence[None]:
        """Write decisions of one type in one transaction. While the database is unavailable this waits and retries. A
        lock is retried for about a second, after which it is the problem of one row, as is a statement that times out
        while the database answers others.
        """
        started_at = time.monotonic()
        applied = await until_available(partial(self._try, document_type, items), "write back", locked_for=_LOCKED_FOR)
        if self._meter:
            self._meter.wrote_back(len(items), time.monotonic() - started_at)
        log.debug("write_back", document=document_type, written=len(applied), repeats=len(items) - len(applied))
        return [None] * len(items)

    async def _try(self, document_type: str, items: Sequence[StatusMessage]) -> set[int]:
        """Write the decisions once, and return the ids of those that applied. Raises `StoreError` for a statement that
        timed out while the database answers, since that is a problem of its rows.
        """
        try:
            return await self._decisions.apply(document_type, items)
        except StoreUnavailable as error:
            if error.is_time_out and await self._decisions.is_available():
                raise StoreError(error.state, error.native) from None
            raise

    async def _quarantine(self, message: StatusMessage, failure: Exception) -> None:
        """Retry a decision by itself for a while, and then leave it to the scheduler."""
        action = "find out why the database refuses this row (a trigger, a constraint, a long lock)"
        log.error(
            "write_back.quarantined",
            **_identity(message),
            error=class_and_state(failure),
            action=action,
        )
        self.quarantined += 1
        outage = OUTAGES.reporter("write_back", action, holds_up_sales=False)

        def report(_error: Exception, _tries: int) -> None:
            outage.report(f"{self.quarantined} rows that the database refuses are retried by themselves")

        try:
            apply = partial(self._decisions.apply, message.status.document, [message])
            await retry(apply, Exception, _BACKOFF, report, seconds=self._quarantined_for)
        except Exception as error:
            log.error("write_back.given_up", **_identity(message), error=class_and_state(error))
            if self._meter:
                self._meter.write_given_up()
        finally:
            outage.end()
            self.quarantined -= 1


def _identity(message: StatusMessage) -> dict[str, object]:
    """Return the identifying fields of a decision, for the log."""
    status = message.status
    return {
        "invoice": status.local_invoice_id,
        "pharmacy": status.pharmacy_code,
        "shop": status.shop_pharmacy_code,
        "attempt": status.attempt,
    }
