"""Ctrl-C ends `tail`, whatever the client's waits make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from streams.operators.commands.tail import follow_topic
from streams.operators.topic_reader import TopicReader, TopicRecord

pytestmark = pytest.mark.timeout(30)


class AnswersAsItIsCancelled(TopicReader):
    """As `asyncio.wait_for` of Python 3.11 does: an answer that is there already wins, and the cancellation is lost."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def read_new(self, seconds: float) -> Sequence[TopicRecord]:
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(seconds)
        return []


async def test_a_ctrl_c_that_is_swallowed_ends_it_all_the_same() -> None:
    def tell(_: TopicRecord) -> Any:
        raise AssertionError

    reader = AnswersAsItIsCancelled()
    task = asyncio.create_task(follow_topic(reader, tell, None, "broker:9092"))
    await reader.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
