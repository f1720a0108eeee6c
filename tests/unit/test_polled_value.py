"""Tests that a value is requested seldom, delays nobody, and expires."""

from __future__ import annotations

import asyncio

from streams.monitoring.polled_value import PolledValue


class Question:
    def __init__(self) -> None:
        self.now = 0.0
        self.takes = 0.0
        self.requests = 0
        self.error: Exception | None = None
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.polled = PolledValue[int]("it", self._request, 30, timeout=0.01, clock=lambda: self.now)

    async def _request(self) -> int:
        self.requests += 1
        self.now += self.takes
        await self.goes_on.wait()
        if self.error:
            raise self.error
        return self.requests

    async def look(self) -> int | None:
        await self.polled.refresh()
        return self.polled.answer


async def test_a_polled_value_is_requested_on_demand_and_then_cached() -> None:
    question = Question()
    assert [await question.look() for _ in range(3)] == [1, 1, 1]
    question.now += 31
    assert await question.look() == 2


async def test_a_slow_polled_value_delays_nobody_and_is_there_later() -> None:
    question = Question()
    question.goes_on.clear()
    assert await question.look() is None
    async with asyncio.timeout(1):
        await question.polled.refresh(0)
    assert question.polled.answer is None
    question.goes_on.set()
    assert await question.look() == 1
    assert question.requests == 1


async def test_a_slow_polled_value_is_requested_less_often() -> None:
    question = Question()
    question.takes = 10
    await question.look()
    question.now += 150
    await question.look()
    assert question.requests == 1
    question.now += 51
    await question.look()
    assert question.requests == 2


async def test_a_polled_value_is_unknown_after_an_error_until_the_next_request() -> None:
    question = Question()
    await question.look()
    question.error = ConnectionError("a value")
    question.now += 31
    assert await question.look() is None
    question.error = None
    question.now += 31
    assert await question.look() == 3


async def test_a_polled_value_expires() -> None:
    question = Question()
    await question.look()
    question.goes_on.clear()
    question.now += 151
    assert await question.look() is None
    await question.polled.close()
