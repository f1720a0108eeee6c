"""How far the change events have been worked through: when the oldest unfinished one was captured."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.change_event import captured_at_ms
from streams.consumer_stop import stop_consumer
from streams.kafka import aiokafka_options, partitions_of
from streams.settings import Settings

log = structlog.get_logger(__name__)

_WAIT = 5.0


class ChangeProgress:
    """Reads the worker group's committed offsets without joining the group."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = topics
        self._consumer: AIOKafkaConsumer | None = None

    async def captured_at_ms(self) -> int | None:
        """None: no change event is unfinished. 0 where it cannot be told (nothing is then taken for lost)."""
        try:
            async with asyncio.timeout(_WAIT * 2):
                return await self._oldest()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("change_progress.unknown", error=type(error).__name__)
            await self.close()
            return 0

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def _oldest(self) -> int | None:
        consumer = await self._started()
        partitions = await partitions_of(consumer, self._topics)
        if not partitions:
            return None
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        next_ones = {p: max(await consumer.committed(p) or 0, beginnings[p]) for p in partitions}
        unfinished = {p for p in partitions if next_ones[p] < ends[p]}
        if not unfinished:
            return None
        consumer.assign(list(unfinished))
        for partition in unfinished:
            consumer.seek(partition, next_ones[partition])
        return await self._first_moment(consumer, unfinished)

    async def _first_moment(self, consumer: AIOKafkaConsumer, unfinished: set[TopicPartition]) -> int | None:
        oldest: int | None = None
        while unfinished:
            records = await consumer.getmany(*unfinished, timeout_ms=int(_WAIT * 1000), max_records=len(unfinished))
            if not records:
                raise TimeoutError
            for partition, part in records.items():
                unfinished.discard(partition)
                # What is no change event was captured before it was written to Kafka.
                moment = captured_at_ms(part[0].value) or part[0].timestamp
                oldest = moment if oldest is None else min(oldest, moment)
        return oldest

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                group_id=self._settings.app_id,
                enable_auto_commit=False,
                max_partition_fetch_bytes=65_536,
                **aiokafka_options(self._settings),
            )
            self._consumer = consumer  # before it is started: what fails half-way is stopped too
            await consumer.start()
        return self._consumer
