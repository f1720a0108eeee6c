"""Reads the original messages of dead letters from the positions that the dead letters name.

A dead letter alone proves nothing, since anybody with the right to write to sale-dead-letter can put any content there.
The message in the original topic was written by somebody with the right to write to that topic.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.operators.topic_reader import TopicRecord, open_consumer
from streams.settings import Settings

_TIMEOUT = 15.0
RecordPosition: TypeAlias = tuple[str, int, int]
"""Topic, partition and offset."""


class OriginalRecords:
    """Reads single records. Use `open_original_records` to create one."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._partitions = set(partitions)

    async def read(self, positions: Iterable[RecordPosition]) -> Mapping[RecordPosition, TopicRecord]:
        """Return the records at these positions that still exist. Raises `KafkaError` and `TimeoutError`."""
        wanted: dict[TopicPartition, set[int]] = defaultdict(set)
        for topic, partition, offset in positions:
            wanted[TopicPartition(topic, partition)].add(offset)
        found: dict[RecordPosition, TopicRecord] = {}
        for partition in wanted.keys() & self._partitions:
            async for record in self._read_partition(partition, wanted[partition]):
                found[record.topic, record.partition, record.offset] = record
        return found

    async def _read_partition(self, partition: TopicPartition, offsets: set[int]) -> AsyncIterator[TopicRecord]:
        start = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        left = sorted(offset for offset in offsets if start <= offset < end)
        while left:
            self._consumer.seek(partition, left[0])
            async with asyncio.timeout(_TIMEOUT):
                records: Sequence[TopicRecord] = ()
                while not records and await self._consumer.position(partition) <= left[0]:
                    records = (await self._consumer.getmany(partition, timeout_ms=1000)).get(partition, ())
            for record in records:
                if record.offset in left:
                    yield record
            # Kafka skips an offset whose message no longer exists and returns the next message.
            last_read = max((record.offset for record in records), default=left[0])
            left = [offset for offset in left if offset > last_read]


@asynccontextmanager
async def open_original_records(settings: Settings, topics: Sequence[str]) -> AsyncIterator[OriginalRecords]:
    """Yield a reader for those of `topics` that exist. Raises `KafkaError`, `OSError` and `TimeoutError`."""
    async with open_consumer(settings, topics) as (consumer, partitions):
        yield OriginalRecords(consumer, partitions)
