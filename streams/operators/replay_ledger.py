"""The record of which dead letters were replayed: committed offsets of a consumer group that has no members.

The committed offset is that of the first dead letter that was not replayed; replayed ones beyond it (chosen by a
filter) are listed in the commit's metadata, like ``5-9,12``. So each dead letter is replayed once, from whichever
machine the command is run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from streams.kafka.connection import aiokafka_options
from streams.kafka.stop_consumer import stop_consumer
from streams.operators import Problem
from streams.settings import Settings

_MAX_METADATA = 4000
"""The longest metadata in characters; brokers accept 4,096 bytes."""


@dataclass(slots=True)
class ReplayedOffsets:
    """The replayed dead letters of one partition."""

    below: int = 0
    """Every dead letter before this offset was replayed."""
    beyond: set[int] = field(default_factory=set)
    """The offsets after `below` that were replayed, too."""

    def __contains__(self, offset: int) -> bool:
        return offset < self.below or offset in self.beyond

    def to_commit(self, present: Sequence[int], end: int) -> OffsetAndMetadata:
        """Return what has to be committed so that these offsets are remembered.

        `present` are the offsets of all dead letters in the partition up to `end`, in order. Raises `Problem` if the
        offsets beyond the first gap are too many to be stored.
        """
        self.below = next((offset for offset in present if offset not in self), end)
        self.beyond = {offset for offset in self.beyond if offset >= self.below}
        text = write_ranges(self.beyond)
        if len(text) > _MAX_METADATA:
            raise Problem(
                "replay: the offsets of the replayed messages are too scattered to be stored. Replay the oldest ones "
                "without a filter first: what still cannot be read comes back to the topic of dead letters."
            )
        return OffsetAndMetadata(self.below, text)


def write_ranges(offsets: Iterable[int]) -> str:
    """Return offsets as text, like ``5-9,12``."""
    ranges: list[list[int]] = []
    for offset in sorted(offsets):
        if ranges and ranges[-1][1] == offset - 1:
            ranges[-1][1] = offset
        else:
            ranges.append([offset, offset])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def read_ranges(text: str) -> set[int]:
    """Return the offsets in a text of `write_ranges`."""
    offsets: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        offsets.update(range(int(first), int(last or first) + 1))
    return offsets


def replay_group(settings: Settings) -> str:
    """Return the name of the consumer group whose offsets are the record."""
    return f"{settings.deployment}-replay"


async def read_replayed(
    settings: Settings, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, ReplayedOffsets]:
    """Return the replayed offsets of each partition. Raises `KafkaError`."""
    admin = AIOKafkaAdminClient(**aiokafka_options(settings))
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(replay_group(settings), partitions=list(partitions))
    finally:
        await admin.close()
    return {
        partition: ReplayedOffsets(
            max(0, committed[partition].offset), read_ranges(committed[partition].metadata or "")
        )
        for partition in partitions
    }


class Ledger:
    """Writes the record. Use `open_ledger` to create one."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def write(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit offsets, and return once the broker has confirmed them. Raises `KafkaError`."""
        await self._consumer.commit(dict(offsets))


@asynccontextmanager
async def open_ledger(settings: Settings, partitions: Sequence[TopicPartition]) -> AsyncIterator[Ledger]:
    """Yield a ledger for these partitions. Raises `KafkaError`."""
    consumer = AIOKafkaConsumer(group_id=replay_group(settings), enable_auto_commit=False, **aiokafka_options(settings))
    try:
        await consumer.start()
        consumer.assign(list(partitions))
        yield Ledger(consumer)
    finally:
        await stop_consumer(consumer)
