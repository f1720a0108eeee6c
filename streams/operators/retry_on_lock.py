"""A point of sale may keep a row locked for a moment: the query is repeated, because a lock seldom lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from streams.stores.sales_db import StoreError

T = TypeVar("T")


async def retry_on_lock(query: Callable[[], Awaitable[T]], attempts: int = 3) -> T:
    """Run `query`, up to `attempts` times if a row is locked. Raises `StoreError`."""
    for _ in range(attempts - 1):
        try:
            return await query()
        except StoreError as error:
            if not error.is_lock:
                raise
    return await query()
