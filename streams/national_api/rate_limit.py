"""Limits on the calls per second: of all shops together, and of each shop. Off unless set.

An attempt waits for the rate limit *before* its claim is taken, so the wait uses up neither its deadline nor its lease.
Within an attempt nothing waits: its further calls (a log-in, a look-up) are charged to the attempts that come after it.
The token buckets of libraries would make the calls themselves wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

BURST = 1.0
"""By how many seconds' worth of calls the limit may be exceeded for a short time."""


class RateLimit:
    """One limit. `rate`: calls per second; 0 means no limit."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._clock = clock
        self._queue = asyncio.Lock()
        self._next_start = 0.0
        self._charged_until = 0.0
        """Every call moves this forward by one interval."""
        self._waiting = 0

    @property
    def wait(self) -> float:
        """The approximate seconds that an attempt arriving now would have to wait."""
        now = self._clock()
        debt = self._charged_until - now - BURST
        return max(0.0, self._next_start - now, debt) + self._waiting * self._interval

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and no calls are charged, so that the state can be dropped."""
        return not self._waiting and max(self._next_start, self._charged_until) <= self._clock()

    def count(self) -> None:
        """Charge one call."""
        self._charged_until = max(self._charged_until, self._clock()) + self._interval

    async def acquire(self) -> None:
        """Wait until an attempt may start."""
        if not self._interval:
            return
        self._waiting += 1
        try:
            async with self._queue:  # first come, first served
                while (wait := self._seconds_to_start()) > 0:  # noqa: ASYNC110 - charged calls prolong it
                    await asyncio.sleep(wait)
                self._next_start = max(self._next_start, self._clock()) + self._interval
        finally:
            self._waiting -= 1

    def _seconds_to_start(self) -> float:
        now = self._clock()
        return max(self._next_start - now, self._charged_until - now - BURST)


class RateLimits:
    """The limit of all shops together, and one for each shop."""

    def __init__(
        self, rate: float, rate_per_shop: float, timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`timeout`: the maximum seconds to wait for a shop's own limit. Meanwhile the attempt occupies a slot that
        other shops could use."""
        self._all = RateLimit(rate, clock)
        self._rate_per_shop = rate_per_shop
        self._timeout = timeout
        self._clock = clock
        self._shops: dict[str, RateLimit] = {}

    async def acquire(self, shop: str) -> bool:
        """Wait until an attempt of this shop may start. False when that takes longer than the timeout: defer it."""
        own = self._of(shop)
        if own is not None:
            if own.wait > self._timeout:
                return False
            await own.acquire()
        await self._all.acquire()
        return True

    def count(self, shop: str) -> None:
        """Charge one call of this shop."""
        self._all.count()
        if (own := self._of(shop)) is not None:
            own.count()

    def _of(self, shop: str) -> RateLimit | None:
        if not self._rate_per_shop:
            return None
        limit = self._shops.get(shop)
        if limit is None:
            self._shops = {name: other for name, other in self._shops.items() if not other.is_idle}
            limit = self._shops[shop] = RateLimit(self._rate_per_shop, self._clock)
        return limit
