"""Questions that are asked seldom: who only glances does not wait for a slow answer, and the next to look has it."""

from __future__ import annotations

import asyncio

from streams.monitoring.polled_value import PolledValue


async def test_who_only_glances_does_not_wait() -> None:
    answers = asyncio.Event()

    async def ask() -> str:
        await answers.wait()
        return "an answer"

    seldom = PolledValue("a question", ask, 30)
    async with asyncio.timeout(1):
        await seldom.refresh(0)
    assert seldom.answer is None
    answers.set()
    await seldom.refresh()
    assert seldom.answer == "an answer"
