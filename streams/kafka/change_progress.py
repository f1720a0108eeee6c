"""How far the change events are processed, measured by the sales database's own clock.

The timestamp in an event comes from the connector, whose clock may be hours off. So this module takes snapshots of the
topics' end offsets together with the database time; once the group has committed all offsets of a snapshot, every
change before that time has been processed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from aiokafka import TopicPartition

from streams.kafka.lag import BrokerAway, LagMeter, Offsets
from streams.settings import Settings

log = structlog.get_logger(__name__)

_SNAPSHOT_INTERVAL_MS = 5_000
_MAX_SNAPSHOTS = 2_000
"""Snapshots that are kept. When a backlog lasts longer than they span, no new ones are taken: the oldest are completed
first.
"""


class ChangeProgress:
    """Follows the offsets that the workers' group commits in the change topics."""

    def __init__(self, settings: Settings, topics: Sequence[str], now_ms: Callable[[], Awaitable[int]]) -> None:
        """`topics`: the change topics. `now_ms`: returns the time of the sales database, UTC milliseconds."""
        self._group = settings.deployment
        self._meter = LagMeter(settings, {self._group: topics})
        self._now_ms = now_ms
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
            measured = await self._meter.measure()
        except BrokerAway as away:
            log.warning("change_progress.unknown", error=str(away))
            return 0
        return self._finished_before_ms(now, measured[self._group])

    async def close(self) -> None:
        """Close the connections to the broker. The next measurement opens new ones."""
        await self._meter.close()

    def _finished_before_ms(self, now: int, measured: Mapping[TopicPartition, Offsets]) -> int | None:
        committed = {partition: offsets.committed for partition, offsets in measured.items()}
        while self._snapshots and all(committed.get(p, 0) >= end for p, end in self._snapshots[0][1].items()):
            self._finished_ms, _ = self._snapshots.popleft()
        if all(offsets.committed >= offsets.end for offsets in measured.values()):
            self._snapshots.clear()
            self._finished_ms = now
            return None
        latest_ms = self._snapshots[-1][0] if self._snapshots else 0
        if len(self._snapshots) < _MAX_SNAPSHOTS and now - latest_ms >= _SNAPSHOT_INTERVAL_MS:
            self._snapshots.append((now, {partition: offsets.end for partition, offsets in measured.items()}))
        return self._finished_ms
