"""Tests that a lock, a refusal or an unexpected error of one row affects no other row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from streams.stores.isolation import Failed, bisect_failures, run_isolated
from streams.stores.sales_db import StoreError, StoreUnavailable
from streams.stores.wait_for_database import until_available

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
    """Doubles each row; a statement with a row of `poison` raises its error, and the first statements fail while
    the server is away.
    """

    def __init__(self, poison: Mapping[int, Exception], *, away: int = 0) -> None:
        self.poison = poison
        self.away = away
        self.statements: list[list[int]] = []

    async def double(self, items: Sequence[int]) -> Sequence[int]:
        self.statements.append(list(items))
        if self.away:
            self.away -= 1
            raise AWAY
        for item in items:
            if item in self.poison:
                raise self.poison[item]
        return [2 * item for item in items]

    async def run(self, items: Iterable[int]) -> Sequence[int | Failed]:
        return await run_isolated(self.double, list(items), "read", locked=-1, no_item=NOBODY)


async def test_rows_without_a_problem_need_one_statement() -> None:
    rows = Rows({})
    assert await rows.run([1, 2, 3]) == [2, 4, 6]
    assert rows.statements == [[1, 2, 3]]


async def test_a_locked_row_delays_no_other_row() -> None:
    rows = Rows({2: LOCK})
    with capture_logs() as logs:
        assert await rows.run([1, 2, 3]) == [2, -1, 6]
    assert sorted(rows.statements) == [[1], [1, 2, 3], [2], [3]]
    assert [(entry["event"], entry["row"]) for entry in logs] == [("sales_database.locked", 2)]


async def test_isolation_waits_for_a_server_that_goes_away_meanwhile() -> None:
    rows = Rows({1: LOCK}, away=2)
    with capture_logs() as logs:
        assert await rows.run([1, 3]) == [-1, 6]
    assert [entry["event"] for entry in logs].count("sales_database.waiting") == 2


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
async def test_any_error_of_one_row_affects_only_that_row(error: Exception) -> None:
    """Promise 5. Broken by: an error that nobody thought of takes its whole batch with it."""
    rows = Rows({17: error})
    with capture_logs() as logs:
        found = await rows.run(range(1, 61))
    assert [each for each in found if isinstance(each, Failed)] == [Failed(error)]
    assert found[16] == Failed(error)
    assert [each for each in found if not isinstance(each, Failed)] == [2 * i for i in range(1, 61) if i != 17]
    assert len(rows.statements) < 20, "found by halving"
    assert NAME not in str(logs)


async def test_several_bad_rows_are_isolated_despite_a_lock_and_an_absent_server() -> None:
    poison: dict[int, Exception] = {1: ODD[0], 2: LOCK, 40: ODD[1], 60: REFUSED}
    rows = Rows(poison, away=1)
    found = await rows.run(range(1, 61))
    assert {i: each for i, each in enumerate(found, 1) if each != 2 * i} == {
        1: Failed(ODD[0]),
        2: -1,
        40: Failed(ODD[1]),
        60: Failed(REFUSED),
    }


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
async def test_an_error_that_comes_without_any_row_is_not_blamed_on_the_rows(error: Exception) -> None:
    """Promise 5. Broken by: a missing right is blamed on each row."""
    rows = Rows(dict.fromkeys(range(61), error))
    with pytest.raises(type(error)):
        await rows.run(range(1, 61))
    assert len(rows.statements) == 2, "not asked sixty times"


async def test_bisecting_keeps_the_order_of_the_rows() -> None:
    rows = Rows({5: REFUSED, 1: ODD[2]})
    assert await bisect_failures(rows.double, [5, 4, 3, 2, 1]) == [Failed(REFUSED), 8, 6, 4, Failed(ODD[2])]
    assert await bisect_failures(rows.double, [5]) == [Failed(REFUSED)]


async def test_a_statement_waits_until_a_lock_is_released() -> None:
    rows = Rows({1: LOCK})

    async def until_released() -> Sequence[int]:
        try:
            return await rows.double([1])
        finally:
            rows.poison = {}

    assert await until_available(until_released, "keep a refusal") == [2]
