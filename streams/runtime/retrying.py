"""What mostly succeeds is tried without tenacity, whose machinery costs as much as the work does; only what failed goes
through it, as if its first try had been made there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

R = TypeVar("R")


def replayed(first: R | BaseException, work: Callable[[], Awaitable[R]]) -> Callable[[], Awaitable[R]]:
    """`work`, of which one call was made already: the first call gives, or raises, what came of that."""
    made = False

    async def call() -> R:
        nonlocal made
        if made:
            return await work()
        made = True
        if isinstance(first, BaseException):
            raise first
        return first

    return call
