"""Topics read from the outside: no group is joined, so no worker is disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka.connection import aiokafka_options
from streams.kafka.stop_consumer import stop_consumer
from streams.kafka.topics import partitions_of
from streams.kafka.unpacking import UNREADABLE
from streams.operators import Problem
from streams.settings import Settings

_ASKING = 15.0
"""Seconds for one question."""
_THERE = 3.0
TopicRecord: TypeAlias = ConsumerRecord[Any, Any]


class Reader:
    """Of one topic, all its partitions. Made by `open_reader`."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self.partitions = partitions

    async def bounds(self) -> Mapping[TopicPartition, tuple[int, int]]:
        """Of each partition the first offset and the one after the last."""
        begins = await self._consumer.beginning_offsets(list(self.partitions))
        ends = await self._consumer.end_offsets(list(self.partitions))
        return {partition: (begins[partition], ends[partition]) for partition in self.partitions}

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition, offset in offsets.items():
            self._consumer.seek(partition, offset)

    async def until(self, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Sequence[TopicRecord]]:
        """Batches from where it stands to there."""
        left = set(ends)
        while left:
            left = {p for p in left if await self._consumer.position(p) < ends[p]}
            if left:
                async with asyncio.timeout(_ASKING):
                    got = await self._consumer.getmany(*left, timeout_ms=1000, max_records=500)
                if not got:
                    self._raise_unreadable(left)
                yield [record for part, some in got.items() for record in some if record.offset < ends[part]]

    async def answers(self) -> bool:
        """Whether the broker is there now."""
        try:
            async with asyncio.timeout(_THERE):
                await self.bounds()
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    async def more(self, seconds: float) -> Sequence[TopicRecord]:
        """What has come meanwhile, or nothing after that time."""
        got = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=500)
        if not got:
            self._raise_unreadable(self.partitions)
        return [record for some in got.values() for record in some]

    def _raise_unreadable(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            if known := UNREADABLE.of(partition):
                raise Problem(
                    f"topic {known.where(partition)}: cannot be unpacked. See to the broker's disks and to who writes "
                    "there; docs/operations.md says how to pass over it."
                )


@asynccontextmanager
async def open_reader(settings: Settings, topic: str) -> AsyncIterator[Reader]:
    """Raises `Problem` where the broker does not answer in time, or has no such topic."""
    consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **aiokafka_options(settings))
    try:
        async with asyncio.timeout(_ASKING):
            await consumer.start()
            partitions = await partitions_of(consumer, [topic])
        if not partitions:
            raise Problem(f"topic {topic}: is missing. Make it: `faust -A streams.app connectors deploy`.")
        consumer.assign(partitions)
        yield Reader(consumer, partitions)
    except (KafkaError, OSError, TimeoutError) as error:
        raise broker_problem(settings, error) from None
    finally:
        await stop_consumer(consumer)


def broker_problem(settings: Settings, error: BaseException) -> Problem:
    return Problem(
        f"Kafka: no proper answer from {settings.kafka_bootstrap_servers} ({type(error).__name__}). Start it, or "
        "correct KAFKA_BOOTSTRAP_SERVERS and what secures the connection."
    )
