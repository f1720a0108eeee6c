"""A store that is away is waited for: the caller keeps its place, which is what holds intake back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from streams.stores.sales_db import StoreUnavailable

log = structlog.get_logger(__name__)

R = TypeVar("R")


async def patiently(work: Callable[[], Awaitable[R]], what: str) -> R:
    """Until it is done, with growing pauses of 10 s at most. Other errors than `StoreUnavailable` are raised."""

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("sales_database.waiting", doing=what, tries=state.attempt_number, error=str(error))

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_exponential_jitter(multiplier=0.05, max=10, jitter=0.1),
        before_sleep=say,
    )

    async def attempt() -> R:  # tenacity awaits coroutine functions only
        return await work()

    return await retrying(attempt)
