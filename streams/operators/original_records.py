"""The messages that dead letters say they were made of, at the places that they name.

Whoever may write to sale-dead-letter may say there whatever they like; what stands in the topic itself was put there by
somebody who may.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.connection import aiokafka_options
from streams.kafka.stop_consumer import stop_consumer
from streams.kafka.topics import partitions_of
from streams.operators.topic_reader import TopicRecord
from streams.settings import Settings

_ASKING = 15.0
Place: TypeAlias = tuple[str, int, int]
"""Topic, partition and offset."""


class OriginalRecords:
    """Made by `open_originals`."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._partitions = set(partitions)

    async def read(self, places: Iterable[Place]) -> Mapping[Place, TopicRecord]:
        """Those that are still there. Raises `KafkaError` and `TimeoutError`."""
        wanted: dict[TopicPartition, set[int]] = defaultdict(set)
        for topic, partition, offset in places:
            wanted[TopicPartition(topic, partition)].add(offset)
        found: dict[Place, TopicRecord] = {}
        for partition in wanted.keys() & self._partitions:
            async for record in self._of(partition, wanted[partition]):
                found[record.topic, record.partition, record.offset] = record
        return found

    async def _of(self, partition: TopicPartition, offsets: set[int]) -> AsyncIterator[TopicRecord]:
        begin = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        left = sorted(offset for offset in offsets if begin <= offset < end)
        while left:
            self._consumer.seek(partition, left[0])
            async with asyncio.timeout(_ASKING):
                got: Sequence[TopicRecord] = ()
                while not got and await self._consumer.position(partition) <= left[0]:
                    got = (await self._consumer.getmany(partition, timeout_ms=1000)).get(partition, ())
            for record in got:
                if record.offset in left:
                    yield record
            # Where a message is gone the next one comes in its place.
            passed = max((record.offset for record in got), default=left[0])
            left = [offset for offset in left if offset > passed]


@asynccontextmanager
async def open_originals(settings: Settings, topics: Sequence[str]) -> AsyncIterator[OriginalRecords]:
    """Of these topics, as far as they are there. Raises `KafkaError`, `OSError` and `TimeoutError`."""
    consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **aiokafka_options(settings))
    try:
        async with asyncio.timeout(_ASKING):
            await consumer.start()
            partitions = await partitions_of(consumer, topics)
        consumer.assign(partitions)
        yield OriginalRecords(consumer, partitions)
    finally:
        await stop_consumer(consumer)
