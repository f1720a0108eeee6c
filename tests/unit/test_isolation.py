"""Whatever one item raises stands alone: a lock, a refusal, a mistake of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from streams.stores.isolation import Failed, bisect_failures, run_isolated
from streams.stores.sales_db import StoreError, StoreUnavailable

LOCK = StoreUnavailable("42000", 1222)
AWAY = StoreUnavailable("08S01", None)
REFUSED = StoreError("42000", 208)
NAME = "Nguyễn Thị Bí Mật"
ODD: Sequence[Exception] = [
    UnicodeDecodeError("utf-16-le", NAME.encode(), 0, 2, "unexpected end of data"),
    ValueError(f"year 0 is out of range: {NAME}"),
    SystemError(NAME),
    OverflowError(NAME),
    KeyError(NAME),
    REFUSED,
    StoreError("22003", None),
]
NOBODY = 0


class Rows:
    """Answers twice each; a statement that meets a row of `poison` raises what stands there, and the first ones while
    the server is away fail."""

    def __init__(self, poison: Mapping[int, Exception], *, away: int = 0) -> None:
        self.poison = poison
        self.away = away
        self.asked: list[list[int]] = []

    async def double(self, items: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(items))
        if self.away:
            self.away -= 1
            raise AWAY
        for item in items:
            if item in self.poison:
                raise self.poison[item]
        return [2 * item for item in items]

    async def ask(self, items: Iterable[int]) -> Sequence[int | Failed]:
        return await run_isolated(self.double, list(items), "read", locked=-1, no_item=NOBODY)


async def test_without_trouble_all_is_one_statement() -> None:
    rows = Rows({})
    assert await rows.ask([1, 2, 3]) == [2, 4, 6]
    assert rows.asked == [[1, 2, 3]]


async def test_a_locked_row_holds_up_nobody_else() -> None:
    rows = Rows({2: LOCK})
    with capture_logs() as logs:
        assert await rows.ask([1, 2, 3]) == [2, -1, 6]
    assert sorted(rows.asked) == [[1], [1, 2, 3], [2], [3]]
    assert [(entry["event"], entry["row"]) for entry in logs] == [("sales_database.locked", 2)]


async def test_a_server_that_is_away_is_waited_for_in_between() -> None:
    rows = Rows({1: LOCK}, away=2)
    with capture_logs() as logs:
        assert await rows.ask([1, 3]) == [-1, 6]
    assert [entry["event"] for entry in logs].count("sales_database.waiting") == 2


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
async def test_whatever_one_row_raises_stands_alone(error: Exception) -> None:
    """Promise 5. Broken by: an error that nobody thought of takes its whole batch with it."""
    rows = Rows({17: error})
    with capture_logs() as logs:
        found = await rows.ask(range(1, 61))
    assert [each for each in found if isinstance(each, Failed)] == [Failed(error)]
    assert found[16] == Failed(error)
    assert [each for each in found if not isinstance(each, Failed)] == [2 * i for i in range(1, 61) if i != 17]
    assert len(rows.asked) < 20, "found by halving"
    assert NAME not in str(logs)


async def test_several_each_by_itself_beside_a_lock_and_a_server_that_is_away() -> None:
    poison: dict[int, Exception] = {1: ODD[0], 2: LOCK, 40: ODD[1], 60: REFUSED}
    rows = Rows(poison, away=1)
    found = await rows.ask(range(1, 61))
    assert {i: each for i, each in enumerate(found, 1) if each != 2 * i} == {
        1: Failed(ODD[0]),
        2: -1,
        40: Failed(ODD[1]),
        60: Failed(REFUSED),
    }


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
async def test_what_is_raised_for_no_row_too_is_no_rows_trouble(error: Exception) -> None:
    """Promise 5. Broken by: a right that is missing is taken for the trouble of each row."""
    rows = Rows(dict.fromkeys(range(61), error))
    with pytest.raises(type(error)):
        await rows.ask(range(1, 61))
    assert len(rows.asked) == 2, "not asked sixty times"


async def test_halving_keeps_the_order() -> None:
    rows = Rows({5: REFUSED, 1: ODD[2]})
    assert await bisect_failures(rows.double, [5, 4, 3, 2, 1]) == [Failed(REFUSED), 8, 6, 4, Failed(ODD[2])]
    assert await bisect_failures(rows.double, [5]) == [Failed(REFUSED)]
