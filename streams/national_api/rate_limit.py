"""No more calls a second than asked for: of all shops together, and of each. Off unless set.

Whoever begins an attempt waits for its turn *before* its claim is taken: the wait costs no deadline and no lease.
Within an attempt nothing waits: what it calls beyond its first (a log-in, a look-up) is borrowed from those who come
after. A bucket that a caller waits at, as libraries offer it, would make the calls themselves wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

BURST = 1.0
"""Seconds' worth of calls that may be ahead."""


class RateLimit:
    """`rate`: calls a second; 0: as many as you like."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = 1 / rate if rate else 0.0
        self._clock = clock
        self._turns = asyncio.Lock()
        self._next_turn = 0.0
        self._paid_until = 0.0
        """Every call made takes a step of time."""
        self._waiting = 0

    @property
    def wait(self) -> float:
        """Seconds until one who comes now has its turn, about."""
        now = self._clock()
        owed = self._paid_until - now - BURST
        return max(0.0, self._next_turn - now, owed) + self._waiting * self._every

    @property
    def is_idle(self) -> bool:
        return not self._waiting and max(self._next_turn, self._paid_until) <= self._clock()

    def count(self) -> None:
        """A call is made."""
        self._paid_until = max(self._paid_until, self._clock()) + self._every

    async def acquire(self) -> None:
        if not self._every:
            return
        self._waiting += 1
        try:
            async with self._turns:  # first come, first served
                while (wait := self._until_turn()) > 0:  # noqa: ASYNC110 - calls made meanwhile put it off
                    await asyncio.sleep(wait)
                self._next_turn = max(self._next_turn, self._clock()) + self._every
        finally:
            self._waiting -= 1

    def _until_turn(self) -> float:
        now = self._clock()
        return max(self._next_turn - now, self._paid_until - now - BURST)


class RateLimits:
    def __init__(
        self, rate: float, rate_per_shop: float, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`patience`: seconds that an attempt waits for its shop's turn, in a place that others could use."""
        self._all = RateLimit(rate, clock)
        self._rate_per_shop = rate_per_shop
        self._patience = patience
        self._clock = clock
        self._shops: dict[str, RateLimit] = {}

    async def acquire(self, shop: str) -> bool:
        """Waits. False: its shop has no turn in time; put it off."""
        own = self._of(shop)
        if own is not None:
            if own.wait > self._patience:
                return False
            await own.acquire()
        await self._all.acquire()
        return True

    def count(self, shop: str) -> None:
        """A call is made for this shop."""
        self._all.count()
        if (own := self._of(shop)) is not None:
            own.count()

    def _of(self, shop: str) -> RateLimit | None:
        if not self._rate_per_shop:
            return None
        pace = self._shops.get(shop)
        if pace is None:
            self._shops = {name: known for name, known in self._shops.items() if not known.is_idle}
            pace = self._shops[shop] = RateLimit(self._rate_per_shop, self._clock)
        return pace
