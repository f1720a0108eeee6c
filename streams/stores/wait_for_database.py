"""Wait for a database that is unavailable. The caller keeps its slot meanwhile, and that is what stops the intake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from streams.runtime.outages import OUTAGES, Outages
from streams.runtime.retrying import replayed
from streams.stores.sales_db import StoreUnavailable

log = structlog.get_logger(__name__)

R = TypeVar("R")

ACTION = "start the database, or correct SALES_DB_DSN; the SQLSTATE says which"
"""What an operator should do about it."""


async def until_available(
    work: Callable[[], Awaitable[R]], what: str, *, through_locks: bool = True, outages: Outages = OUTAGES
) -> R:
    """Repeat `work` until it succeeds, with growing pauses of 10 s at most. Returns its result.

    `what`: what it does, for operators and the log. Raises all errors but `StoreUnavailable`, and without
    `through_locks` also lock timeouts.
    """

    try:
        return await work()
    except StoreUnavailable as error:
        first = error

    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        outage.report(f"{what}: {error}")
        log.warning("sales_database.waiting", doing=what, tries=state.attempt_number, error=str(error))

    def is_retried(error: BaseException) -> bool:
        return isinstance(error, StoreUnavailable) and (through_locks or not error.is_lock)

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_retried),
        wait=wait_exponential_jitter(multiplier=0.05, max=10, jitter=0.1),
        before_sleep=report,
    )
    with outages.reporter("sales_database", ACTION) as outage:
        return await retrying(replayed(first, work))
