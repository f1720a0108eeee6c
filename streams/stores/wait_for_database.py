"""Wait for a database that is unavailable. The caller keeps its slot meanwhile, and that is what stops the intake."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from streams.runtime.outages import OUTAGES, Outages
from streams.runtime.retrying import Backoff, retry
from streams.stores.sales_db import StoreUnavailable

log = structlog.get_logger(__name__)

R = TypeVar("R")

ACTION = "start the database, or correct the SALES_DB settings; the SQLSTATE says which"
"""What an operator should do about it."""
_BACKOFF = Backoff(0.1, 10)


async def until_available(
    work: Callable[[], Awaitable[R]], what: str, *, locked_for: float = math.inf, outages: Outages = OUTAGES
) -> R:
    """Repeat `work` until it succeeds, with growing pauses of 10 s at most. Returns its result.

    `what`: what it does, for operators and the log. Raises all errors but `StoreUnavailable`, and lock timeouts that
    are more than `locked_for` seconds after the start.
    """
    clock = asyncio.get_running_loop().time
    started_at = clock()

    def report(error: StoreUnavailable, tries: int) -> None:
        outage.report(f"{what}: {error}")
        log.warning("sales_database.waiting", doing=what, tries=tries, error=str(error))

    def is_retried(error: StoreUnavailable) -> bool:
        return not error.is_lock or clock() - started_at < locked_for

    with outages.reporter("sales_database", ACTION) as outage:
        return await retry(work, StoreUnavailable, _BACKOFF, report, retry_if=is_retried)
