"""A value that is expensive for a server to compute: it is fetched only while somebody reads it, and then rarely."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

_MIN_PAUSE_FACTOR = 20
"""A new fetch starts no sooner than this many times the duration of the last one: a query that becomes slow takes at
most a twentieth of a connection.
"""


class PolledValue(Generic[T]):
    """Caches what `fetch` returns for `interval` seconds; one fetch runs at a time. If `fetch` raises, the error is
    logged and there is no answer until a fetch succeeds.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Awaitable[T | None]],
        interval: float,
        *,
        timeout: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name`: for the log. `timeout`: seconds that `refresh` waits for a new answer; a later answer is available
        from the next `refresh`.
        """
        self._name = name
        self._fetch = fetch
        self._interval = interval
        self._timeout = timeout
        self._clock = clock
        self._fetching: asyncio.Task[None] | None = None
        self._next_at = float("-inf")
        self._answered_at = float("-inf")
        self._answer: T | None = None

    @property
    def answer(self) -> T | None:
        """The last answer; None if there is none, or if it is older than five intervals."""
        return self._answer if self._clock() - self._answered_at < 5 * self._interval else None

    async def refresh(self, wait_s: float | None = None) -> None:
        """Start a fetch if one is due, and wait for it for at most `wait_s` seconds (None: the usual timeout). To be
        awaited before `answer` is read.
        """
        if self._fetching is None and self._clock() >= self._next_at:
            self._fetching = asyncio.create_task(self._fetch_once())
        if self._fetching is not None:
            await asyncio.wait([self._fetching], timeout=self._timeout if wait_s is None else wait_s)

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _fetch_once(self) -> None:
        started_at = self._clock()
        try:
            self._answer = await self._fetch()
            self._answered_at = self._clock()
        except Exception as error:
            self._answer = None
            log.warning("question.unanswered", question=self._name, error=type(error).__name__)
        finally:
            self._next_at = self._clock() + max(self._interval, _MIN_PAUSE_FACTOR * (self._clock() - started_at))
            self._fetching = None
