"""Tests that the retry loop reports every failure, lengthens its pauses, and ends where it should."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from streams.runtime.retrying import Backoff, retry
from tests.unit.virtual_time import in_virtual_time

AWAY = OSError("away")


class Work:
    """Fails as often as there are errors, then returns 9."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.tried_at: list[float] = []

    async def __call__(self) -> int:
        self.tried_at.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return 9


@in_virtual_time
async def test_every_failure_is_reported_until_work_succeeds() -> None:
    """Promise 1. Broken by: what fails is tried again and again, and no line of the log says so."""
    work, reports = Work(AWAY, AWAY, AWAY), []
    assert await retry(work, OSError, Backoff(1, 10), lambda error, tries: reports.append((error, tries))) == 9
    assert reports == [(AWAY, 1), (AWAY, 2), (AWAY, 3)]


@in_virtual_time
async def test_pauses_double_up_to_the_longest() -> None:
    work = Work(*[AWAY] * 6)
    await retry(work, OSError, Backoff(1, 10), lambda *_: None)
    pauses = [later - earlier for earlier, later in pairwise(work.tried_at)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, [1, 2, 4, 8, 10, 10], strict=True))


def test_a_pause_after_a_month_of_tries_is_the_longest() -> None:
    assert 5 <= Backoff(1, 10).pause(1_000_000) <= 10


@in_virtual_time
async def test_errors_of_other_classes_are_raised_at_once() -> None:
    work = Work(ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        await retry(work, OSError, Backoff(1, 10), lambda *_: pytest.fail("reported"))
    assert len(work.tried_at) == 1


@in_virtual_time
async def test_errors_that_are_not_worth_a_retry_are_raised_at_once() -> None:
    work = Work(OSError("here to stay"))
    with pytest.raises(OSError, match="here to stay"):
        await retry(
            work, OSError, Backoff(1, 10), lambda *_: pytest.fail("reported"), retry_if=lambda error: error is AWAY
        )
    assert len(work.tried_at) == 1


@in_virtual_time
async def test_no_try_starts_after_the_time_allowed() -> None:
    """Promise 5. Broken by: a row that the database refuses is tried again forever, and its partition stalls."""
    work = Work(*[AWAY] * 20)
    with pytest.raises(OSError, match="away"):
        await retry(work, OSError, Backoff(1, 4), lambda *_: None, seconds=10)
    assert len(work.tried_at) >= 4
    assert work.tried_at[-1] <= 10


@in_virtual_time
async def test_a_cancelled_retry_ends_at_once() -> None:
    work = Work(*[AWAY] * 20)
    repeating = asyncio.create_task(retry(work, OSError, Backoff(1, 4), lambda *_: None))
    await asyncio.sleep(2)
    repeating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await repeating
    assert work.tried_at[-1] <= 2
