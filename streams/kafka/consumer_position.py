"""The position of a consumer, as it knows it itself. For some of it aiokafka and Faust have no public API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted

from streams.kafka.faust_overrides.transport import NextToRead
from streams.kafka.lag import Offsets

_POSITION_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """The position in one partition. A field is None where it is unknown."""

    fetched: int | None
    """The next offset to fetch from the broker. It lies beyond offsets that hold no records, such as transaction
    markers.
    """
    delivered: int | None
    """The offset after the last record that was passed to the agent since the partition was assigned; None if none was.
    """

    def lag(self, offsets: Offsets) -> int:
        """Return how many records are unread, or delivered and not committed."""
        unread = offsets.end - (offsets.committed if self.fetched is None else self.fetched)
        unfinished = (self.delivered or 0) - offsets.committed
        return max(0, unread) + max(0, unfinished)


@dataclass(frozen=True, slots=True)
class ConsumerPosition:
    """The position of a consumer in all its partitions."""

    member: bool
    """Whether it is a member of its group."""
    partitions: Mapping[TopicPartition, PartitionPosition]
    """The partitions that are assigned to it."""

    def fetched(self, partition: TopicPartition) -> int | None:
        """Return the next offset to fetch from `partition`; None if that is unknown."""
        at = self.partitions.get(partition)
        return at.fetched if at else None


NO_POSITION = ConsumerPosition(member=False, partitions={})
"""The position of a consumer that has not started yet."""


async def position_of(consumer: AIOKafkaConsumer | None, delivered: Mapping[TopicPartition, int]) -> ConsumerPosition:
    """Return the position of an aiokafka consumer. `delivered`: for each partition from which records were delivered,
    the offset after the last one.
    """
    if consumer is None:
        return NO_POSITION
    assigned = list(consumer.assignment())
    fetched = await asyncio.gather(*(_position(consumer, partition) for partition in assigned))
    return ConsumerPosition(
        _is_member(consumer),
        {p: PartitionPosition(at, delivered.get(p)) for p, at in zip(assigned, fetched, strict=True)},
    )


async def position_of_app(app: faust.App) -> ConsumerPosition:
    """Return the position of the consumer of a Faust app."""
    consumer: Any = app.consumer
    if not is_member(app):
        return NO_POSITION
    assigned = list(consumer.assignment())
    fetched = await asyncio.gather(*(_position(consumer, partition) for partition in assigned))
    delivered = [_delivered(consumer._read_offset.get(partition)) for partition in assigned]
    return ConsumerPosition(
        member=True,
        partitions={
            TopicPartition(*partition): PartitionPosition(at, after)
            for partition, at, after in zip(assigned, fetched, delivered, strict=True)
        },
    )


def _delivered(read: int | None) -> int | None:
    return None if read is None or isinstance(read, NextToRead) else read + 1


def is_member(app: faust.App) -> bool:
    """Return whether the app's consumer is a member of its group."""
    consumer: Any = app.consumer
    try:
        return _is_member(consumer._thread._ensure_consumer())
    except ConsumerNotStarted:
        return False


async def _position(consumer: Any, partition: Any) -> int | None:
    try:
        async with asyncio.timeout(_POSITION_TIMEOUT):
            position: int | None = await consumer.position(partition)
            return position
    except (TimeoutError, KafkaError):  # the call hangs, or the partition was revoked meanwhile
        return None


def _is_member(consumer: AIOKafkaConsumer) -> bool:
    return bool(consumer._coordinator.generation > 0)
