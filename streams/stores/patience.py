"""A store that is away is waited for: the caller keeps its place, which is what holds intake back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from streams.first_try import replayed
from streams.stores.sales_db import StoreUnavailable
from streams.waits import WAITS, Waits

log = structlog.get_logger(__name__)

K = TypeVar("K")
R = TypeVar("R")
V = TypeVar("V")


REMEDY = "start the database, or correct SALES_DB_DSN; the SQLSTATE says which"


async def patiently(
    work: Callable[[], Awaitable[R]], what: str, *, through_locks: bool = True, waits: Waits = WAITS
) -> R:
    """Until it is done, with growing pauses of 10 s at most. Other errors than `StoreUnavailable` are raised, and
    without `through_locks` a lock that was waited for in vain."""

    try:
        return await work()
    except StoreUnavailable as error:
        first = error

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        waiting.say(f"{what}: {error}")
        log.warning("sales_database.waiting", doing=what, tries=state.attempt_number, error=str(error))

    def passes(error: BaseException) -> bool:
        return isinstance(error, StoreUnavailable) and (through_locks or not error.is_lock)

    retrying = AsyncRetrying(
        retry=retry_if_exception(passes),
        wait=wait_exponential_jitter(multiplier=0.05, max=10, jitter=0.1),
        before_sleep=say,
    )
    with waits.waiting("sales_database", REMEDY) as waiting:
        return await retrying(replayed(first, work))


async def past_locks(
    work: Callable[[Sequence[K]], Awaitable[Sequence[V]]], items: Sequence[K], what: str, *, locked: V
) -> Sequence[V]:
    """All in one statement; where a lock is in the way, each by itself, and `locked` in the place of what it is on.

    A till that keeps a transaction open holds up its own rows, not those that were asked for together with them.
    """
    try:
        return await patiently(lambda: work(items), what, through_locks=False)
    except StoreUnavailable as error:
        if not error.is_lock:
            raise
        if len(items) == 1:
            log.warning("sales_database.locked", doing=what, row=items[0], error=str(error))
            return [locked]
    apart = await asyncio.gather(*(past_locks(work, [item], what, locked=locked) for item in items))
    return [found for [found] in apart]
