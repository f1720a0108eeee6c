"""Reads a topic without joining a consumer group, so that no worker is disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka.connection import aiokafka_options
from streams.kafka.stop_consumer import stop_consumer
from streams.kafka.topics import deploy_command, partitions_of
from streams.kafka.unpacking import UNREADABLE
from streams.operators import Problem
from streams.settings import Settings

_TIMEOUT = 15.0
"""Seconds for one request to the broker."""
_PROBE_TIMEOUT = 3.0
TopicRecord: TypeAlias = ConsumerRecord[Any, Any]


class TopicReader:
    """Reads all partitions of one topic. Use `open_reader` to create one."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self.partitions = partitions

    async def bounds(self) -> Mapping[TopicPartition, tuple[int, int]]:
        """Return the first offset of each partition, and the offset after its last record."""
        starts = await self._consumer.beginning_offsets(list(self.partitions))
        ends = await self._consumer.end_offsets(list(self.partitions))
        return {partition: (starts[partition], ends[partition]) for partition in self.partitions}

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Continue each partition at its offset."""
        for partition, offset in offsets.items():
            self._consumer.seek(partition, offset)

    async def read_until(self, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Sequence[TopicRecord]]:
        """Yield batches from the present position up to the offset `ends` of each partition, which is not included.

        A batch may be empty. Raises `Problem` if the next message cannot be unpacked, `KafkaError` and `TimeoutError`.
        """
        left = set(ends)
        while left:
            left = {p for p in left if await self._consumer.position(p) < ends[p]}
            if left:
                async with asyncio.timeout(_TIMEOUT):
                    batch = await self._consumer.getmany(*left, timeout_ms=1000, max_records=500)
                if not batch:
                    self._raise_if_unreadable(left)
                yield [record for part, records in batch.items() for record in records if record.offset < ends[part]]

    async def broker_answers(self) -> bool:
        """Return whether the broker answers within three seconds."""
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT):
                await self.bounds()
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    async def read_new(self, seconds: float) -> Sequence[TopicRecord]:
        """Return the next records, or none if no record has arrived after `seconds`.

        Raises `Problem` if the next message cannot be unpacked, and `KafkaError`.
        """
        batch = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=500)
        if not batch:
            self._raise_if_unreadable(self.partitions)
        return [record for records in batch.values() for record in records]

    def _raise_if_unreadable(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            if known := UNREADABLE.of(partition):
                raise Problem(
                    f"topic {known.where(partition)}: cannot be unpacked. Check the broker's disks and which program "
                    "writes there; docs/operations.md says how to skip it."
                )


@asynccontextmanager
async def open_consumer(
    settings: Settings, topics: Iterable[str]
) -> AsyncIterator[tuple[AIOKafkaConsumer, Sequence[TopicPartition]]]:
    """Yield a consumer without a group, and the partitions of those of `topics` that exist, which it reads. Raises
    `KafkaError`, `OSError` and `TimeoutError`.
    """
    consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **aiokafka_options(settings))
    try:
        async with asyncio.timeout(_TIMEOUT):
            await consumer.start()
            partitions = await partitions_of(consumer, topics)
        consumer.assign(partitions)
        yield consumer, partitions
    finally:
        await stop_consumer(consumer)


@asynccontextmanager
async def open_reader(settings: Settings, topic: str) -> AsyncIterator[TopicReader]:
    """Yield a reader of `topic`. Raises `Problem` if the broker does not answer in time or has no such topic."""
    try:
        async with open_consumer(settings, [topic]) as (consumer, partitions):
            if not partitions:
                raise Problem(f"topic {topic}: is missing. Create it: `{deploy_command(settings)}`.")
            yield TopicReader(consumer, partitions)
    except (KafkaError, OSError, TimeoutError) as error:
        raise broker_problem(settings, error) from None


def broker_problem(settings: Settings, error: BaseException) -> Problem:
    """Return the problem to report when the broker has met a request with `error`."""
    return Problem(
        f"Kafka: no proper answer from {settings.kafka_bootstrap_servers} ({type(error).__name__}). Start it, or "
        "correct KAFKA_BOOTSTRAP_SERVERS and the security settings of the connection."
    )
