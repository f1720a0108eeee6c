"""Repeats work that fails, with growing pauses. Nothing is repeated silently: every failure is reported."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from streams.runtime.frozen import frozen

E = TypeVar("E", bound=Exception)
R = TypeVar("R")


@frozen
class Backoff:
    """Pauses that double from `first` to `longest` seconds, each shortened at random by up to half: what many workers
    wait for is not requested by all of them at the same moment.
    """

    first: float
    longest: float

    def pause(self, tries: int) -> float:
        """Return the seconds to wait after this many tries."""
        doublings = min(tries - 1, 64)  # a float has no room for those of a month
        return min(self.longest, self.first * 2.0**doublings) * random.uniform(0.5, 1)


def any_error(_: Exception) -> bool:
    """Whether an error is worth a retry: each is."""
    return True


async def retry(
    work: Callable[[], Awaitable[R]],
    on: type[E] | tuple[type[E], ...],
    backoff: Backoff,
    report: Callable[[E, int], None],
    *,
    retry_if: Callable[[E], bool] = any_error,
    seconds: float = math.inf,
) -> R:
    """Run `work` until it succeeds, and return its result.

    Errors of the classes `on` for which `retry_if` holds are reported, as ``report(error, tries)`` before each pause.
    All others are raised, as is the first one after which the pause would end more than `seconds` after the start.
    """
    clock = asyncio.get_running_loop().time
    started_at, tries = clock(), 0
    while True:
        try:
            return await work()
        except on as error:
            tries += 1
            pause = backoff.pause(tries)
            if not retry_if(error) or clock() + pause - started_at > seconds:
                raise
            report(error, tries)
        await asyncio.sleep(pause)
