"""The watchdog's eyes: looks at the windows, the consumers, the journal and the scheduler, and ends what hangs.

`streams.monitoring.stall_detector` decides. While the broker is away nothing can be measured: a declared wait, and no
stall. Once it is back, a consumer that does not come back is one."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiokafka import TopicPartition

from streams.kafka.consumer_position import ConsumerPosition
from streams.kafka.in_order_window import InOrderWindow
from streams.kafka.lag import WITHIN, BrokerAway, Measured, Offsets
from streams.monitoring.stall_detector import Sample, Stall, StallDetector
from streams.runtime.outages import VALID_FOR, Component, Outages

log = structlog.get_logger(__name__)

LONGEST_INTERVAL = 15.0
_OLD_AFTER = 4
"""Intervals after which a look says nothing any more."""


class Watched(Protocol):
    """The worker, as far as the watchdog asks it."""

    @property
    def is_open(self) -> bool: ...
    @property
    def is_draining(self) -> bool: ...
    @property
    def rounds(self) -> int:
        """Of the scheduler."""
        ...


class LagSource(Protocol):
    async def measure(self) -> Measured:
        """Raises `BrokerAway`."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Flow:
    """One stream of events: who reads it, what counts its work."""

    name: str
    group: str
    topics: Collection[str]
    standing: Callable[[], Awaitable[ConsumerPosition]]
    done: Callable[[], int]
    excuses: Collection[Component]
    window: InOrderWindow | None = None


def flow_sample(
    flow: Flow, standing: ConsumerPosition, offsets: Mapping[TopicPartition, Offsets], *, excused: bool
) -> Sample:
    """Something is unread or unfinished, and nothing moves.

    Who is out of its group without knowing it still has its partitions; who knows it answers for all of them. A standby
    is a member without partitions: it has nothing to do.
    """
    mine = {
        partition: known
        for partition, known in offsets.items()
        if partition.topic in flow.topics and (partition in standing.partitions or not standing.member)
    }
    behind: dict[str, int] = defaultdict(int)
    for partition, known in mine.items():
        at = standing.partitions.get(partition)
        behind[partition.topic] += at.behind(known) if at else max(0, known.end - known.committed)
    window = flow.window
    unfinished = window.running + window.waiting if window else 0
    oldest = window.oldest_running if window else None
    return Sample(
        flow.name,
        busy=sum(behind.values()) + unfinished > 0,
        mark=(flow.done(), tuple(sorted((p, standing.fetched(p), known.committed) for p, known in mine.items()))),
        excused=excused,
        seen={
            "lag": dict(behind),
            "member": standing.member,
            "partitions": len(mine) if standing.member else 0,
            "done": flow.done(),
            "in_flight": window.running if window else None,
            "waiting": window.waiting if window else None,
            "oldest": oldest.where if oldest else None,
        },
    )


def oldest_sample(flow: Flow, window: InOrderWindow, *, excused: bool) -> Sample:
    """One event that never ends holds up its partition for ever, while the others go on."""
    oldest = window.oldest_running
    seen = {"event": oldest.where, "in_flight": window.running} if oldest else {}
    return Sample(f"{flow.name}: oldest event", oldest is not None, oldest, excused, seen)


class ProgressWatch:
    """`run` until cancelled."""

    def __init__(
        self,
        watchdog: StallDetector,
        flows: Collection[Flow],
        meter: LagSource,
        waits: Outages,
        *,
        worker: Watched,
        interval: float,
        stalled: Callable[[list[Stall]], None],
    ) -> None:
        """`stalled`: is to end the process."""
        self._watchdog = watchdog
        self._flows = flows
        self._meter = meter
        self._waits = waits
        self._worker = worker
        self._interval = interval
        self._stalled = stalled
        self._broker = waits.reporter("kafka", "see to the broker; the worker goes on by itself")
        self._away = False
        self.measured: Measured = {}
        """As of the last look; empty while the broker is away."""
        self._looked_at = time.monotonic()

    @property
    def still(self) -> list[Stall]:
        """What stands still, as of the last look."""
        return self._watchdog.stalled

    @property
    def stalled_for(self) -> Mapping[str, float]:
        """Seconds, of everything that is watched."""
        return self._watchdog.still

    @property
    def blind_for(self) -> float:
        """Seconds since the last look that came to its end."""
        return time.monotonic() - self._looked_at

    @property
    def looks(self) -> bool:
        return self.blind_for < _OLD_AFTER * self._interval + 2 * WITHIN

    async def run(self) -> None:
        try:
            while True:
                if still := self._watchdog.look(await self._sights()):
                    self._stalled(still)
                    return
                self._looked_at = time.monotonic()
                await asyncio.sleep(self._interval)
        finally:
            self._broker.end()
            await self._meter.close()

    async def _sights(self) -> list[Sample]:
        if self._worker.is_draining:  # that has a limit of its own
            return []
        if not self._worker.is_open:
            return [Sample("start", True, None, self._waits.excuse(("sales_database", "kafka")))]
        measured = await self._measured()
        excused = self._waits.excuse(("sales_database", "kafka"))
        sights = [Sample("scheduler", True, self._worker.rounds, excused)]
        for flow in self._flows:
            excused = self._waits.excuse(flow.excuses)
            if flow.window is not None:
                sights.append(oldest_sample(flow, flow.window, excused=excused))
            if measured is not None:
                sights.append(flow_sample(flow, await flow.standing(), measured[flow.group], excused=excused))
        return sights

    async def _measured(self) -> Measured | None:
        try:
            measured = await self._meter.measure()
        except BrokerAway as away:
            self._broker.report(f"the lag cannot be measured: {away}", good_for=VALID_FOR + self._interval)
            if not self._away:
                log.warning("kafka.away", error=str(away))
            self._away = True
            self.measured = {}
            return None
        self._broker.end()
        if self._away:
            log.info("kafka.back")
        self._away = False
        self.measured = measured
        return measured
