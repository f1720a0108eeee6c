"""Which dead letters were put back: offsets that a group of its own commits, which joins nothing and reads nothing.

The committed offset is the first one that was not put back; those beyond it that were (a filter chose them) stand in
the commit's metadata, as ``5-9,12``. So each is put back once, whoever asks and from where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from streams.kafka.connection import aiokafka_options
from streams.kafka.stop_consumer import stop_consumer
from streams.operators import Problem
from streams.settings import Settings

TOPIC = "sale-dead-letter"


_LONGEST = 4000
"""Characters of metadata: brokers take 4,096."""


@dataclass(slots=True)
class Done:
    """Of one partition."""

    below: int = 0
    """Every dead letter before this offset."""
    beyond: set[int] = field(default_factory=set)

    def __contains__(self, offset: int) -> bool:
        return offset < self.below or offset in self.beyond

    def commit(self, present: Sequence[int], end: int) -> OffsetAndMetadata:
        """`present`: the offsets of all dead letters there are, in order; `end`: after the last. Raises `Problem`."""
        self.below = next((offset for offset in present if offset not in self), end)
        self.beyond = {offset for offset in self.beyond if offset >= self.below}
        text = write_ranges(self.beyond)
        if len(text) > _LONGEST:
            raise Problem(
                "replay: what was put back lies too scattered to be remembered. Replay the oldest ones without a "
                "filter first: what cannot be read still comes back to sale-dead-letter."
            )
        return OffsetAndMetadata(self.below, text)


def write_ranges(offsets: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for offset in sorted(offsets):
        if ranges and ranges[-1][1] == offset - 1:
            ranges[-1][1] = offset
        else:
            ranges.append([offset, offset])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def read_ranges(text: str) -> set[int]:
    offsets: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        offsets.update(range(int(first), int(last or first) + 1))
    return offsets


def group_of(settings: Settings) -> str:
    return f"{settings.app_id}-replay"


async def read_done(settings: Settings, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Done]:
    """Raises `KafkaError`."""
    admin = AIOKafkaAdminClient(**aiokafka_options(settings))
    await admin.start()
    try:
        kept = await admin.list_consumer_group_offsets(group_of(settings), partitions=list(partitions))
    finally:
        await admin.close()
    return {
        partition: Done(max(0, kept[partition].offset), read_ranges(kept[partition].metadata or ""))
        for partition in partitions
    }


class Ledger:
    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def write(self, done: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Raises `KafkaError`."""
        await self._consumer.commit(dict(done))


@asynccontextmanager
async def open_ledger(settings: Settings, partitions: Sequence[TopicPartition]) -> Any:
    """To write into."""
    consumer = AIOKafkaConsumer(group_id=group_of(settings), enable_auto_commit=False, **aiokafka_options(settings))
    try:
        await consumer.start()
        consumer.assign(list(partitions))
        yield Ledger(consumer)
    finally:
        await stop_consumer(consumer)
