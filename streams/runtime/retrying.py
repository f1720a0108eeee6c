"""Lets work that nearly always succeeds be tried once without tenacity, whose overhead is as large as the work itself.
Only work that failed is handed to tenacity, with its first result replayed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

R = TypeVar("R")


def replayed(first: R | BaseException, work: Callable[[], Awaitable[R]]) -> Callable[[], Awaitable[R]]:
    """Return `work` with its first call replaced by `first`: that call returns the value, or raises the exception, that
    an earlier call of `work` produced. Later calls run `work`.
    """
    is_replayed = False

    async def call() -> R:
        nonlocal is_replayed
        if is_replayed:
            return await work()
        is_replayed = True
        if isinstance(first, BaseException):
            raise first
        return first

    return call
