"""Sends to the topics of our own, and returns when the broker has confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError
from faust.types import TopicT

from streams.runtime.cancellation import is_cancelled


class Producers:
    """Where results go. Each returns when the broker has confirmed."""

    def __init__(self, statuses: TopicT, retries: TopicT, dead_letters: TopicT) -> None:
        self._statuses = statuses
        self._retries = retries
        self._dead_letters = dead_letters

    async def status(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        await _send(self._statuses, key, value, headers)

    async def retry(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        await _send(self._retries, key, value, headers)

    async def dead_letter(self, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
        await _send(self._dead_letters, key, value, headers)


async def _send(topic: TopicT, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
    """Past what Faust keeps of each message that is sent: it took half of the sending, and leaves a message pending
    whose sending was cancelled."""
    producer = await topic.app.maybe_start_producer()
    try:
        await (await producer.send(topic.get_topic_name(), key, value, None, None, dict(headers)))
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise KafkaError("the producer has given it up") from None
    except ProducerSendError as error:
        if isinstance(error.__cause__, MessageSizeTooLargeError):  # which never passes
            raise MessageSizeTooLargeError from None
        raise
