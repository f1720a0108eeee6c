"""Tests that a statement is repeated until its store is available."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.stores.sales_db import StoreUnavailable
from streams.stores.wait_for_database import until_available

LOCK = StoreUnavailable("42000", 1222)
AWAY = StoreUnavailable("08S01", None)


class Rows:
    """Doubles each row; a statement with a locked row fails, and so do the first ones while the server is away."""

    def __init__(self, *, locked: Iterable[int] = (), away: int = 0) -> None:
        self.locked = set(locked)
        self.away = away
        self.statements: list[list[int]] = []

    async def double(self, items: Sequence[int]) -> Sequence[int]:
        self.statements.append(list(items))
        if self.away:
            self.away -= 1
            raise AWAY
        if self.locked.intersection(items):
            raise LOCK
        return [2 * item for item in items]


async def test_a_statement_waits_until_a_lock_is_released() -> None:
    rows = Rows(locked={1})

    async def until_released() -> Sequence[int]:
        try:
            return await rows.double([1])
        finally:
            rows.locked = set()

    assert await until_available(until_released, "keep a refusal") == [2]
