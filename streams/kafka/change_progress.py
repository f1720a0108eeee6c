"""How far the change events have been worked through, by the sales database's own clock.

What an event says of its own time is the connector's word, and its clock may be hours off. So the ends of the topics
are noted, with the moment of the look; once all is committed up to such an end, everything before it is finished.
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

_WAIT = 10.0
_BETWEEN_LOOKS_MS = 5_000
_MOST_LOOKS = 2_000
"""Where a backlog takes longer than these span, the oldest are kept: they are finished first."""


class ChangeProgress:
    """Reads the worker group's committed offsets without joining the group."""

    def __init__(self, settings: Settings, topics: Sequence[str], now_ms: Callable[[], Awaitable[int]]) -> None:
        """`now_ms`: UTC milliseconds of the sales database."""
        self._settings = settings
        self._topics = topics
        self._now_ms = now_ms
        self._consumer: AIOKafkaConsumer | None = None
        self._looks: deque[tuple[int, Mapping[TopicPartition, int]]] = deque()
        """Not finished yet: a moment, and the ends then."""
        self._finished_ms = 0

    async def finished_before_ms(self) -> int | None:
        """The moment before which every change event in Kafka is finished. None: all are. 0 where it cannot be told
        (nothing is then taken for lost)."""
        now = await self._now_ms()
        try:
            async with asyncio.timeout(_WAIT):
                return await self._look(now)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("change_progress.unknown", error=type(error).__name__)
            await self.close()
            return 0
        except Exception:
            await self.close()  # whatever it was: the next look has a consumer of its own
            raise

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def _look(self, now: int) -> int | None:
        consumer = await self._started()
        partitions = await partitions_of(consumer, self._topics)
        if not partitions:
            return None
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        next_ones = {p: max(await consumer.committed(p) or 0, beginnings[p]) for p in partitions}
        if beyond := [p for p in partitions if next_ones[p] > ends[p]]:
            # Events that came meanwhile; or the offsets are of a topic of before, and say nothing of this one.
            latest = await consumer.end_offsets(beyond)
            next_ones |= {p: beginnings[p] for p in beyond if next_ones[p] > latest[p]}
        while self._looks and all(next_ones.get(p, 0) >= end for p, end in self._looks[0][1].items()):
            self._finished_ms, _ = self._looks.popleft()
        if all(next_ones[p] >= ends[p] for p in partitions):
            self._looks.clear()
            self._finished_ms = now
            return None
        last = self._looks[-1][0] if self._looks else 0
        if len(self._looks) < _MOST_LOOKS and now - last >= _BETWEEN_LOOKS_MS:
            self._looks.append((now, ends))
        return self._finished_ms

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
