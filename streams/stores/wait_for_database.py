"""A store that is away is waited for: the caller keeps its place, which is what holds intake back."""

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


REMEDY = "start the database, or correct SALES_DB_DSN; the SQLSTATE says which"


async def until_available(
    work: Callable[[], Awaitable[R]], what: str, *, through_locks: bool = True, waits: Outages = OUTAGES
) -> R:
    """Until it is done, with growing pauses of 10 s at most. Other errors than `StoreUnavailable` are raised, and
    without `through_locks` a lock that was waited for in vain."""

    try:
        return await work()
    except StoreUnavailable as error:
        first = error

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        waiting.report(f"{what}: {error}")
        log.warning("sales_database.waiting", doing=what, tries=state.attempt_number, error=str(error))

    def passes(error: BaseException) -> bool:
        return isinstance(error, StoreUnavailable) and (through_locks or not error.is_lock)

    retrying = AsyncRetrying(
        retry=retry_if_exception(passes),
        wait=wait_exponential_jitter(multiplier=0.05, max=10, jitter=0.1),
        before_sleep=say,
    )
    with waits.reporter("sales_database", REMEDY) as waiting:
        return await retrying(replayed(first, work))
