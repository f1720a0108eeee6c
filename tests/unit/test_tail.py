"""Tests that Ctrl-C ends `tail` even when a client swallows the cancellation."""

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
    """Loses a cancellation as `asyncio.wait_for` of Python 3.11 does when an answer is already there."""

    def __init__(self) -> None:
        self.reading = asyncio.Event()

    async def read_new(self, seconds: float) -> Sequence[TopicRecord]:
        self.reading.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(seconds)
        return []


async def test_a_swallowed_ctrl_c_still_ends_tail() -> None:
    def show(_: TopicRecord) -> Any:
        raise AssertionError

    reader = AnswersAsItIsCancelled()
    task = asyncio.create_task(follow_topic(reader, show, None, "broker:9092"))
    await reader.reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
