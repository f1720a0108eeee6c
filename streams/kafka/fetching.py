"""What a broker itself cannot read is the trouble of one partition too, and is not asked for without a pause.

A segment on a broken disk: the broker answers at once, with an error and no word of the place. aiokafka (0.14.0) asks
again at once, 560 times a second, and says so in its log alone. Here such a partition is named like one whose batch
cannot be unpacked (`streams.kafka.unpacking`), and whoever reads leaves it out until it may be asked again.
"""

from __future__ import annotations

from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import consumer, fetcher
from aiokafka.errors import CorruptRecordException, KafkaStorageError, NoError, UnknownError, for_code
from aiokafka.protocol.fetch import FetchRequest

from streams.kafka.unpacking import UNREADABLE

_OF_A_DISK = (CorruptRecordException, KafkaStorageError, UnknownError)
"""Others pass by themselves, with the next look at who leads the partition."""


class _Listening:
    """A client; hears what brokers answer to its fetches."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any) -> Any:
        response = await self._client.send(node_id, request)
        if isinstance(request, FetchRequest):
            note_what_is_refused(request, response)
        return response


def note_what_is_refused(request: FetchRequest, response: Any) -> None:
    asked = {(topic, number): offset for topic, parts in request.topics for number, offset, _ in parts}
    for topic, parts in response.topics:
        for number, code, *_ in parts:
            partition, error = TopicPartition(topic, number), for_code(code)
            if error in _OF_A_DISK:
                UNREADABLE.note(partition, asked[partition], error(), by_broker=True)
            elif error is NoError:
                UNREADABLE.given(partition)


class _Fetcher(fetcher.Fetcher):  # type: ignore[misc]
    def __init__(self, client: Any, *others: Any, **options: Any) -> None:
        super().__init__(_Listening(client), *others, **options)

    def _get_actions_per_node(self, assignment: Any) -> Any:
        requests, *others = super()._get_actions_per_node(assignment)
        return [(node, request) for node, request in requests if leave_out_what_is_not_ready(request)], *others


def leave_out_what_is_not_ready(request: FetchRequest) -> bool:
    """Whether anything is left to be asked for."""
    places = {(topic, number) for topic, parts in request.topics for number, _, _ in parts}
    ready = UNREADABLE.ready(places)
    if len(ready) < len(places):
        kept = [(topic, [part for part in parts if (topic, part[0]) in ready]) for topic, parts in request.topics]
        request.topics[:] = [(topic, parts) for topic, parts in kept if parts]
    return bool(request.topics)


def leave_out_what_a_broker_cannot_read() -> None:
    """For all consumers of this process. aiokafka makes their fetchers itself, and offers no other way."""
    consumer.Fetcher = _Fetcher
