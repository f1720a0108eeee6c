"""The watchdog: takes samples of the windows, the consumers, the journal and the scheduler, and ends a worker that
stalls.

`streams.monitoring.stall_detector` decides what has stalled. While the broker is unavailable no lag can be measured:
that is a reported outage and no stall. A consumer that does not come back once the broker is available again is a
stall.
"""

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
from streams.kafka.lag import MEASUREMENT_TIMEOUT, BrokerAway, Measured, Offsets
from streams.monitoring.stall_detector import Sample, Stall, StallDetector
from streams.runtime.outages import VALID_FOR, Component, Outages

log = structlog.get_logger(__name__)

LONGEST_INTERVAL = 15.0
"""Seconds between two checks, at most."""
_STALE_AFTER = 4
"""After this many intervals without a completed check the watchdog counts as blind."""


class Watched(Protocol):
    """What the watchdog reads of the worker."""

    @property
    def is_open(self) -> bool: ...
    @property
    def is_draining(self) -> bool: ...
    @property
    def rounds(self) -> int:
        """Rounds of the schedulers so far, counted by their requests for the lock."""
        ...


class LagSource(Protocol):
    """Measures the lag of the consumer groups."""

    async def measure(self) -> Measured:
        """Raises `BrokerAway`."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Flow:
    """One stream of events: which group reads it, where its consumer is, and how its completed work is counted."""

    name: str
    group: str
    topics: Collection[str]
    position: Callable[[], Awaitable[ConsumerPosition]]
    done: Callable[[], int]
    """Events that are completed so far."""
    dependencies: Collection[Component]
    """The components without which this flow cannot make progress; their outages are no stall."""
    window: InOrderWindow | None = None


def flow_sample(
    flow: Flow, position: ConsumerPosition, offsets: Mapping[TopicPartition, Offsets], *, waits_for_outage: bool
) -> Sample:
    """Return a sample of `flow`: it is busy while something is unread or unfinished.

    A consumer that has dropped out of its group without noticing still has its partitions, and answers for those. One
    that has noticed answers for all partitions of its topics. A standby is a member without partitions: it has no work.
    """
    own = {
        partition: known
        for partition, known in offsets.items()
        if partition.topic in flow.topics and (partition in position.partitions or not position.member)
    }
    behind: dict[str, int] = defaultdict(int)
    for partition, known in own.items():
        at = position.partitions.get(partition)
        behind[partition.topic] += at.lag(known) if at else max(0, known.end - known.committed)
    window = flow.window
    unfinished = window.running + window.waiting if window else 0
    oldest = window.oldest_running if window else None
    positions = tuple(sorted((p, position.fetched(p), known.committed) for p, known in own.items()))
    return Sample(
        flow.name,
        busy=sum(behind.values()) + unfinished > 0,
        progress_marker=(flow.done(), positions),
        waits_for_outage=waits_for_outage,
        details={
            "lag": dict(behind),
            "member": position.member,
            "partitions": len(own) if position.member else 0,
            "done": flow.done(),
            "in_flight": window.running if window else None,
            "waiting": window.waiting if window else None,
            "oldest": oldest.where if oldest else None,
        },
    )


def oldest_sample(flow: Flow, window: InOrderWindow, *, waits_for_outage: bool) -> Sample:
    """Return a sample of the oldest running event: one that never ends blocks its partition forever, while the others
    make progress.
    """
    oldest = window.oldest_running
    details = {"event": oldest.where, "in_flight": window.running} if oldest else {}
    return Sample(f"{flow.name}: oldest event", oldest is not None, oldest, waits_for_outage, details)


class ProgressWatch:
    """Takes samples until a part has stalled. `run` is to be cancelled to stop it."""

    def __init__(
        self,
        detector: StallDetector,
        flows: Collection[Flow],
        meter: LagSource,
        outages: Outages,
        *,
        worker: Watched,
        interval: float,
        stalled: Callable[[list[Stall]], None],
    ) -> None:
        """`interval`: seconds between two checks. `stalled`: called with the stalls; it must end the process."""
        self._detector = detector
        self._flows = flows
        self._meter = meter
        self._outages = outages
        self._worker = worker
        self._interval = interval
        self._on_stall = stalled
        self._broker = outages.reporter("kafka", "check the broker; the worker continues by itself")
        self._is_broker_away = False
        self.measured: Measured = {}
        """The lag as of the last check; empty while the broker is unavailable."""
        self._checked_at = time.monotonic()

    @property
    def stalled(self) -> list[Stall]:
        """The stalls that the last check found."""
        return self._detector.stalled

    @property
    def stalled_for(self) -> Mapping[str, float]:
        """For each watched part the seconds without progress."""
        return self._detector.stalled_for

    @property
    def blind_for(self) -> float:
        """Seconds since the last check that completed."""
        return time.monotonic() - self._checked_at

    @property
    def is_watching(self) -> bool:
        """Whether the last completed check is recent."""
        return self.blind_for < _STALE_AFTER * self._interval + 2 * MEASUREMENT_TIMEOUT

    async def run(self) -> None:
        """Take samples until a part has stalled, report it to `stalled`, and return."""
        try:
            while True:
                if stalled := self._detector.check(await self._samples()):
                    self._on_stall(stalled)
                    return
                self._checked_at = time.monotonic()
                await asyncio.sleep(self._interval)
        finally:
            self._broker.end()
            await self._meter.close()

    async def _samples(self) -> list[Sample]:
        if self._worker.is_draining:  # draining has a time limit of its own
            return []
        if not self._worker.is_open:
            return [Sample("start", True, None, self._outages.is_waiting_for(("sales_database", "kafka")))]
        measured = await self._measured()
        waits_for_outage = self._outages.is_waiting_for(("sales_database", "kafka"))
        samples = [Sample("scheduler", True, self._worker.rounds, waits_for_outage)]
        for flow in self._flows:
            waits_for_outage = self._outages.is_waiting_for(flow.dependencies)
            if flow.window is not None:
                samples.append(oldest_sample(flow, flow.window, waits_for_outage=waits_for_outage))
            if measured is not None:
                offsets = measured[flow.group]
                samples.append(flow_sample(flow, await flow.position(), offsets, waits_for_outage=waits_for_outage))
        return samples

    async def _measured(self) -> Measured | None:
        try:
            measured = await self._meter.measure()
        except BrokerAway as away:
            self._broker.report(f"the lag cannot be measured: {away}", valid_for=VALID_FOR + self._interval)
            if not self._is_broker_away:
                log.warning("kafka.away", error=str(away))
            self._is_broker_away = True
            self.measured = {}
            return None
        self._broker.end()
        if self._is_broker_away:
            log.info("kafka.back")
        self._is_broker_away = False
        self.measured = measured
        return measured
