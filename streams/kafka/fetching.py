"""Pause a partition that the broker itself cannot read, instead of fetching it in a busy loop.

With a segment on a broken disk the broker answers at once, with an error that does not name the position. aiokafka
(0.14.0) fetches again at once, 560 times a second, and only logs it. Here such a partition is reported like one whose
batch cannot be unpacked (`streams.kafka.unpacking`), and consumers leave it out of their requests for a while.
"""

from __future__ import annotations

from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import consumer, fetcher
from aiokafka.errors import CorruptRecordException, KafkaStorageError, NoError, UnknownError, for_code
from aiokafka.protocol.fetch import FetchRequest

from streams.kafka.unpacking import UNREADABLE

_OF_A_DISK = (CorruptRecordException, KafkaStorageError, UnknownError)
"""The errors of a broken disk. Others pass by themselves once the leader of the partition is looked up again."""


class _Listening:
    """Wraps a Kafka client and notes what brokers answer to its fetch requests."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any) -> Any:
        response = await self._client.send(node_id, request)
        if isinstance(request, FetchRequest):
            note_refused_partitions(request, response)
        return response


def note_refused_partitions(request: FetchRequest, response: Any) -> None:
    """Record the partitions that the broker could not read, and those that it could."""
    requested = {(topic, number): offset for topic, parts in request.topics for number, offset, _ in parts}
    for topic, parts in response.topics:
        for number, code, *_ in parts:
            partition, error = TopicPartition(topic, number), for_code(code)
            if error in _OF_A_DISK:
                UNREADABLE.note(partition, requested[partition], error(), by_broker=True)
            elif error is NoError:
                UNREADABLE.given(partition)


class _Fetcher(fetcher.Fetcher):  # type: ignore[misc]
    def __init__(self, client: Any, *others: Any, **options: Any) -> None:
        super().__init__(_Listening(client), *others, **options)

    def _get_actions_per_node(self, assignment: Any) -> Any:
        requests, *others = super()._get_actions_per_node(assignment)
        return [(node, request) for node, request in requests if leave_out_paused_partitions(request)], *others


def leave_out_paused_partitions(request: FetchRequest) -> bool:
    """Remove paused partitions from a fetch request. Returns whether any partition is left."""
    places = {(topic, number) for topic, parts in request.topics for number, _, _ in parts}
    ready = UNREADABLE.ready(places)
    if len(ready) < len(places):
        kept = [(topic, [part for part in parts if (topic, part[0]) in ready]) for topic, parts in request.topics]
        request.topics[:] = [(topic, parts) for topic, parts in kept if parts]
    return bool(request.topics)


def pause_unreadable_partitions() -> None:
    """Install this fetcher for all consumers of this process. aiokafka creates it itself and offers no other hook."""
    consumer.Fetcher = _Fetcher
