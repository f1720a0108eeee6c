"""How far the change events are processed, measured by the sales database's own clock.

The timestamp in an event comes from the connector, whose clock may be hours off. So this module takes snapshots of the
topics' end offsets together with the database time; once the group has committed all offsets of a snapshot, every
change before that time has been processed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka.connection import aiokafka_options
from streams.kafka.stop_consumer import stop_consumer
from streams.kafka.topics import partitions_of
from streams.settings import Settings

log = structlog.get_logger(__name__)

_TIMEOUT = 10.0
"""Seconds for one measurement."""
_SNAPSHOT_INTERVAL_MS = 5_000
_MAX_SNAPSHOTS = 2_000
"""Snapshots that are kept. When a backlog lasts longer than they span, no new ones are taken: the oldest are completed
first.
"""


class ChangeProgress:
    """Reads the committed offsets of the workers' group without joining it."""

    def __init__(self, settings: Settings, topics: Sequence[str], now_ms: Callable[[], Awaitable[int]]) -> None:
        """`topics`: the change topics. `now_ms`: returns the time of the sales database, UTC milliseconds."""
        self._settings = settings
        self._topics = topics
        self._now_ms = now_ms
        self._consumer: AIOKafkaConsumer | None = None
        self._snapshots: deque[tuple[int, Mapping[TopicPartition, int]]] = deque()
        """Snapshots that are not completed yet: the database time, and the end offsets at that time."""
        self._finished_ms = 0

    async def finished_before_ms(self) -> int | None:
        """Return the database time (UTC milliseconds) before which every change event in Kafka is finished. None: all
        of them are finished. 0: unknown, because the broker is unavailable; no change event must then be taken for
        lost.
        """
        now = await self._now_ms()
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await self._measure(now)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("change_progress.unknown", error=type(error).__name__)
            await self.close()
            return 0
        except Exception:
            await self.close()  # whatever it was: the next measurement starts with a new consumer
            raise

    async def close(self) -> None:
        """Stop the consumer. The next measurement starts a new one."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def _measure(self, now: int) -> int | None:
        consumer = await self._started()
        partitions = await partitions_of(consumer, self._topics)
        if not partitions:
            return None
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        committed = {p: max(await consumer.committed(p) or 0, beginnings[p]) for p in partitions}
        if beyond := [p for p in partitions if committed[p] > ends[p]]:
            # Either events arrived in the meantime, or the offsets belong to an earlier topic of this name and say
            # nothing about this one.
            latest = await consumer.end_offsets(beyond)
            committed |= {p: beginnings[p] for p in beyond if committed[p] > latest[p]}
        while self._snapshots and all(committed.get(p, 0) >= end for p, end in self._snapshots[0][1].items()):
            self._finished_ms, _ = self._snapshots.popleft()
        if all(committed[p] >= ends[p] for p in partitions):
            self._snapshots.clear()
            self._finished_ms = now
            return None
        latest_ms = self._snapshots[-1][0] if self._snapshots else 0
        if len(self._snapshots) < _MAX_SNAPSHOTS and now - latest_ms >= _SNAPSHOT_INTERVAL_MS:
            self._snapshots.append((now, ends))
        return self._finished_ms

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                group_id=self._settings.app_id,
                enable_auto_commit=False,
                max_partition_fetch_bytes=65_536,
                **aiokafka_options(self._settings),
            )
            self._consumer = consumer  # before its start, so that `close` also stops one whose start fails
            await consumer.start()
        return self._consumer
