"""Ctrl-C ends `tail`, whatever the client's waits make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from streams.operators.commands.tail import as_they_come
from streams.operators.topic_reader import Reader, TopicRecord

pytestmark = pytest.mark.timeout(30)


class AnswersAsItIsCancelled(Reader):
    """As `asyncio.wait_for` of Python 3.11 does: an answer that is there already wins, and the cancellation is lost."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def more(self, seconds: float) -> Sequence[TopicRecord]:
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(seconds)
        return []


async def test_a_ctrl_c_that_is_swallowed_ends_it_all_the_same() -> None:
    def tell(_: TopicRecord) -> Any:
        raise AssertionError

    reader = AnswersAsItIsCancelled()
    task = asyncio.create_task(as_they_come(reader, tell, None, "broker:9092"))
    await reader.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
