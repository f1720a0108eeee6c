"""Where a consumer stands, as it sees itself. Some of it aiokafka and Faust offer no public way to ask."""

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

_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """In one partition. None: it does not say."""

    fetched: int | None
    """The next to ask the broker for: beyond what has no records, like the ends of transactions."""
    delivered: int | None
    """The next after the last that was handed on since the partition was assigned. None also where nothing was."""

    def behind(self, known: Offsets) -> int:
        unread = known.end - (known.committed if self.fetched is None else self.fetched)
        undone = (self.delivered or 0) - known.committed
        return max(0, unread) + max(0, undone)


@dataclass(frozen=True, slots=True)
class ConsumerPosition:
    member: bool
    """Of its group."""
    partitions: Mapping[TopicPartition, PartitionPosition]
    """Those that it was given."""

    def fetched(self, partition: TopicPartition) -> int | None:
        at = self.partitions.get(partition)
        return at.fetched if at else None


NO_POSITION = ConsumerPosition(member=False, partitions={})
"""It is not there yet."""


async def position_of(consumer: AIOKafkaConsumer | None, delivered: Mapping[TopicPartition, int]) -> ConsumerPosition:
    """`delivered`: as in `PartitionPosition`, of the partitions from which anything was handed on."""
    if consumer is None:
        return NO_POSITION
    assigned = list(consumer.assignment())
    fetched = await asyncio.gather(*(_position(consumer, partition) for partition in assigned))
    return ConsumerPosition(
        _is_member(consumer),
        {p: PartitionPosition(at, delivered.get(p)) for p, at in zip(assigned, fetched, strict=True)},
    )


async def position_of_app(app: faust.App) -> ConsumerPosition:
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
    """Of the workers' group."""
    consumer: Any = app.consumer
    try:
        return _is_member(consumer._thread._ensure_consumer())
    except ConsumerNotStarted:
        return False


async def _position(consumer: Any, partition: Any) -> int | None:
    try:
        async with asyncio.timeout(_WITHIN):
            position: int | None = await consumer.position(partition)
            return position
    except (TimeoutError, KafkaError):  # it hangs, or the partition was taken away meanwhile
        return None


def _is_member(consumer: AIOKafkaConsumer) -> bool:
    return bool(consumer._coordinator.generation > 0)
