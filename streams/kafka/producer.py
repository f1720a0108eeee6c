"""Publishes to the worker's own topics, each time until the broker has confirmed it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError
from faust.types import TopicT

from streams.runtime.cancellation import is_cancelled


class Producers:
    """Publishes to `sale-status`, `sale-retry` and `sale-dead-letter`, and to the change topics what a poll found. Each
    method returns when the broker has confirmed the message.
    """

    def __init__(self, statuses: TopicT, retries: TopicT, dead_letters: TopicT) -> None:
        self._statuses = statuses
        self._retries = retries
        self._dead_letters = dead_letters

    async def status(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        await _send(self._statuses, key, value, headers)

    async def retry(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        await _send(self._retries, key, value, headers)

    async def change(self, topic: str, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        await _send(self._retries, key, value, headers, name=topic)

    async def dead_letter(self, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
        await _send(self._dead_letters, key, value, headers)


async def _send(
    topic: TopicT, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes], *, name: str | None = None
) -> None:
    """Send one message and return when the broker has confirmed it. `name`: of another topic of the same app.

    The producer is used directly, not through ``topic.send``: the bookkeeping that Faust does for each sent message
    took half of the sending time, and it leaves a message pending when the task that sends it is cancelled. Raises
    `MessageSizeTooLargeError`, or another `KafkaError` or `ProducerSendError` that may be retried.
    """
    producer = await topic.app.maybe_start_producer()
    try:
        await (await producer.send(name or topic.get_topic_name(), key, value, None, None, dict(headers)))
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise KafkaError("the producer has given up the message") from None
    except ProducerSendError as error:
        if isinstance(error.__cause__, MessageSizeTooLargeError):  # which no retry can cure
            raise MessageSizeTooLargeError from None
        raise
