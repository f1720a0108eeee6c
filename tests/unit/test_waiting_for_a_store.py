"""A store that is away is waited for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.stores.sales_db import StoreUnavailable
from streams.stores.wait_for_database import until_available

LOCK = StoreUnavailable("42000", 1222)
AWAY = StoreUnavailable("08S01", None)


class Rows:
    """Answers twice each; a statement that meets a locked row, or the first ones while the server is away, fail."""

    def __init__(self, *, locked: Iterable[int] = (), away: int = 0) -> None:
        self.locked = set(locked)
        self.away = away
        self.asked: list[list[int]] = []

    async def double(self, items: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(items))
        if self.away:
            self.away -= 1
            raise AWAY
        if self.locked.intersection(items):
            raise LOCK
        return [2 * item for item in items]


async def test_alone_a_lock_is_waited_for() -> None:
    rows = Rows(locked={1})

    async def until_released() -> Sequence[int]:
        try:
            return await rows.double([1])
        finally:
            rows.locked = set()

    assert await until_available(until_released, "keep a refusal") == [2]
