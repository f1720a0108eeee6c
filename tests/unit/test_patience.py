"""A store that is away is waited for; a row that is locked holds up nobody but itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from structlog.testing import capture_logs

from streams.stores.patience import past_locks, patiently
from streams.stores.sales_db import StoreError, StoreUnavailable

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


async def test_without_locks_all_is_one_statement() -> None:
    rows = Rows()
    assert await past_locks(rows.double, [1, 2, 3], "read", locked=-1) == [2, 4, 6]
    assert rows.asked == [[1, 2, 3]]


async def test_a_locked_row_holds_up_nobody_else() -> None:
    rows = Rows(locked={2})
    with capture_logs() as logs:
        assert await past_locks(rows.double, [1, 2, 3], "read", locked=-1) == [2, -1, 6]
    assert sorted(rows.asked) == [[1], [1, 2, 3], [2], [3]]
    assert [(entry["event"], entry["row"]) for entry in logs] == [("sales_database.locked", 2)]


async def test_a_server_that_is_away_is_waited_for_in_between() -> None:
    rows = Rows(locked={1}, away=2)
    with capture_logs() as logs:
        assert await past_locks(rows.double, [1, 3], "read", locked=-1) == [-1, 6]
    assert [entry["event"] for entry in logs].count("sales_database.waiting") == 2


async def test_another_error_is_raised() -> None:
    async def refuse(_: Sequence[int]) -> Sequence[int]:
        raise StoreError("42000", 208)

    with pytest.raises(StoreError, match="208"):
        await past_locks(refuse, [1, 2], "read", locked=-1)


async def test_alone_a_lock_is_waited_for() -> None:
    rows = Rows(locked={1})

    async def until_released() -> Sequence[int]:
        try:
            return await rows.double([1])
        finally:
            rows.locked = set()

    assert await patiently(until_released, "keep a refusal") == [2]
