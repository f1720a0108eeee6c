"""What Kafka carried, read afterwards, and where a peer's group starts, so that each gets only its own sales."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.local.processes import NotReady
from streams.local.stack import CHANGE_TOPIC

Offsets = Mapping[int, int]
"""By partition: the next to be read."""
_POLL_S = 0.2
_A_MEMBER_IS_UP = {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION}


class Kafka:
    """The topics of one broker."""

    def __init__(self, address: str) -> None:
        self._address = address

    def make(self, topic: str, partitions: int) -> None:
        """Create the topic unless it exists."""
        admin = AdminClient({"bootstrap.servers": self._address})
        making = admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
        if (error := making[topic].exception(timeout=30)) is not None and not _is_there(error):
            raise NotReady(f"making {topic}: {error}")

    def ends(self, topic: str) -> Offsets:
        """Return the end offsets; empty where the topic does not exist."""
        with closing(self._consumer("bench-looks")) as consumer:
            return self._ends(consumer, topic)

    def read(self, topic: str, since: Offsets) -> Iterator[Any]:
        """Return all messages with a value from there to the end."""
        with closing(self._consumer("bench-looks")) as consumer:
            ends = self._ends(consumer, topic)
            left = {p for p, end in ends.items() if since.get(p, 0) < end}
            consumer.assign([TopicPartition(topic, p, since.get(p, 0)) for p in left])
            while left:
                for message in consumer.consume(1000, timeout=_POLL_S):
                    if message.error():
                        raise NotReady(f"reading {topic}: {message.error()}")
                    if message.offset() + 1 >= ends[message.partition()]:
                        left.discard(message.partition())
                    if message.value() is not None:
                        yield message

    def begin_at(self, group: str, topic: str, offsets: Offsets, *, within_s: float = 90) -> None:
        """Commit these offsets for a group without members, after waiting for the session of one that the broker
        still counts. Raises `NotReady`.
        """
        deadline = time.monotonic() + within_s
        places = [TopicPartition(topic, p, offset) for p, offset in offsets.items()]
        with closing(self._consumer(group)) as consumer:
            while True:
                try:
                    consumer.commit(offsets=places, asynchronous=False)
                    return
                except KafkaException as error:
                    if error.args[0].code() not in _A_MEMBER_IS_UP or time.monotonic() > deadline:
                        raise NotReady(f"setting the offsets of {group}: {error}") from None
                time.sleep(_POLL_S)

    def _ends(self, consumer: Any, topic: str) -> Offsets:
        described = consumer.list_topics(topic, timeout=10).topics[topic]
        if described.error is not None:
            return {}
        return {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in described.partitions
        }

    def _consumer(self, group: str) -> Any:
        return Consumer(
            {
                "bootstrap.servers": self._address,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
            }
        )


def _is_there(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS


class Captured:
    """The change events of some sales, in the order of their commits in each partition."""

    def __init__(self, kafka: Kafka, since: Offsets, ids: Sequence[int]) -> None:
        self._kafka = kafka
        self._since = since
        self._ids = frozenset(ids)

    def inserted(self, *, within_s: float = 180) -> Offsets:
        """Wait until all are captured, and return where their events start. Raises `NotReady`."""
        deadline = time.monotonic() + within_s
        while True:
            seen: set[int] = set()
            begins: dict[int, int] = dict(self._kafka.ends(CHANGE_TOPIC))
            first: dict[int, int] = {}
            for message, event in self._events("c"):
                seen.add(event["after"]["id"])
                first.setdefault(message.partition(), message.offset())
            if seen == self._ids:
                return begins | first
            if time.monotonic() > deadline:
                raise NotReady(f"Debezium has captured {len(seen)} of {len(self._ids)} sales in {within_s:g} s")
            time.sleep(_POLL_S)

    def committed_ms(self) -> dict[int, int]:
        """Return, by sale, when it was committed, in milliseconds since the epoch, as the database says."""
        return {event["after"]["id"]: event["source"]["ts_ms"] for _, event in self._events("c")}

    def capture_took_ms(self) -> list[int]:
        """Return the time from each sale's commit until Kafka had it, which no peer that waits for change events
        can beat.
        """
        return [message.timestamp()[1] - event["source"]["ts_ms"] for message, event in self._events("c")]

    def updated_ms(self, *, within_s: float = 120) -> dict[int, int]:
        """Return, by sale, when its decision was committed. Raises `NotReady`."""
        deadline = time.monotonic() + within_s
        while True:
            moments: dict[int, int] = {}
            for _, event in self._events("u"):
                moments.setdefault(event["after"]["id"], event["source"]["ts_ms"])
            if moments.keys() == self._ids:
                return moments
            if time.monotonic() > deadline:
                raise NotReady(f"Debezium has captured {len(moments)} of {len(self._ids)} updates in {within_s:g} s")
            time.sleep(_POLL_S)

    def _events(self, operation: str) -> Iterator[tuple[Any, Any]]:
        for message in self._kafka.read(CHANGE_TOPIC, self._since):
            event = json.loads(message.value())
            if event["op"] == operation and event["after"]["id"] in self._ids:
                yield message, event
