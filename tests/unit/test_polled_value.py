"""Tests that a caller need not wait for a slow polled value, and that the next caller gets it."""

from __future__ import annotations

import asyncio

from streams.monitoring.polled_value import PolledValue


async def test_a_refresh_without_timeout_does_not_wait_for_a_slow_answer() -> None:
    answers = asyncio.Event()

    async def request() -> str:
        await answers.wait()
        return "an answer"

    polled = PolledValue("a question", request, 30)
    async with asyncio.timeout(1):
        await polled.refresh(0)
    assert polled.answer is None
    answers.set()
    await polled.refresh()
    assert polled.answer == "an answer"
