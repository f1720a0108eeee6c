"""The health of this worker: runs the watchdog, and answers the health checks of the web server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import faust
import structlog
from mode import Service

from streams.kafka.consumer_position import NO_POSITION, ConsumerPosition, is_member, position_of, position_of_app
from streams.kafka.in_order_window import InOrderWindow
from streams.kafka.lag import LagMeter, Measured
from streams.kafka.topics import own_topics
from streams.monitoring.event_loop_watch import LoopWatch, exit_because_loop_hangs
from streams.monitoring.health import Health, Obstacle, alive, obstacle, ready
from streams.monitoring.progress_watch import LONGEST_INTERVAL, Flow, ProgressWatch
from streams.monitoring.stall_detector import Stall, StallDetector
from streams.runtime.outages import Component, Outages
from streams.runtime.process_exit import SHUTDOWN_AFTER_DRAIN, exit_gracefully
from streams.settings import Settings
from streams.worker import Worker

log = structlog.get_logger(__name__)

_LOOP_LIMIT = 30
"""Seconds without a beat of the event loop after which it counts as hanging."""
_MEASURE_LOOP_EVERY = 1.0
"""Seconds between two measurements of the event loop's delay."""
# The components that each flow depends on: while one of them is unavailable, a flow that makes no progress is no stall.
_SENDING: tuple[Component, ...] = ("gate", "sales_database", "kafka")
_WRITING: tuple[Component, ...] = ("sales_database", "kafka", "write_back")
_JOURNAL: tuple[Component, ...] = ("journal", "sales_database", "kafka")


class WorkerHealth(Service):
    """A service that is started before anything that could hang, and stopped last."""

    def __init__(
        self, app: faust.App, settings: Settings, worker: Worker, changes: Sequence[str], outages: Outages
    ) -> None:
        """`changes`: the change topics."""
        super().__init__()
        self._app = app
        self._settings = settings
        self._worker = worker
        self.outages = outages
        self._started_at = time.monotonic()
        self._loop_watch: LoopWatch | None = None
        self._watch: ProgressWatch | None = None
        self._own_topics = own_topics(settings)
        self._sent: list[str] = []
        self._read: list[str] = []
        self.set_change_topics(changes)
        groups = {settings.deployment: self._read, f"{settings.deployment}-journal": [self._own_topics.statuses]}
        self._meter = LagMeter(settings, groups)
        outages.add_source(worker.admission.current_outage)

    @property
    def _flows(self) -> list[Flow]:
        own, journal = self._meter.groups
        worker = self._worker

        def of_window(name: str, topics: list[str], window: InOrderWindow, dependencies: tuple[Component, ...]) -> Flow:
            return Flow(name, own, topics, self._position, lambda: window.finished_total, dependencies, window)

        return [
            of_window("sending", self._sent, worker.intake.sending, _SENDING),
            of_window("write back", [self._own_topics.statuses], worker.intake.writing, _WRITING),
            Flow("journal", journal, [self._own_topics.statuses], self._journal_position, self._journaled, _JOURNAL),
        ]

    def set_change_topics(self, changes: Sequence[str]) -> None:
        """Watch the progress in these change topics from now on."""
        self._sent[:] = [*changes, self._own_topics.retries]
        self._read[:] = [*self._sent, self._own_topics.statuses]

    async def on_start(self) -> None:
        self.add_future(self._measure_loop_delay())
        after = self._settings.watchdog_after
        if not after:
            return
        self._loop_watch = LoopWatch(int(min(_LOOP_LIMIT, after)), on_hang=exit_because_loop_hangs)
        self._loop_watch.start()
        interval = min(LONGEST_INTERVAL, after / 4)
        self._watch = ProgressWatch(
            StallDetector(after, longest_gap=2 * interval + 10),
            self._flows,
            self._meter,
            self.outages,
            interval=interval,
            worker=self._worker,
            stalled=self._end,
        )
        self.add_future(self._beat(self._loop_watch))
        self.add_future(self._look(self._watch))

    async def on_stop(self) -> None:
        if self._loop_watch:
            self._loop_watch.stop()

    def alive(self) -> Health:
        """Return whether every watched part makes progress. That there is an answer shows that the event loop runs."""
        watch = self._watch
        return alive(watch.stalled if watch else [], watched=watch is None or watch.is_watching)

    def ready(self) -> Health:
        """Return whether the worker processes sales."""
        return ready(self.outages, self._obstacles())

    @property
    def measured(self) -> Measured:
        """The lag of the consumer groups as of the last check; empty while it cannot be measured, or without a
        watchdog.
        """
        return self._watch.measured if self._watch else {}

    @property
    def stalled_for(self) -> Mapping[str, float]:
        """For each watched part the seconds without progress; empty without a watchdog."""
        return self._watch.stalled_for if self._watch else {}

    def _obstacles(self) -> list[Obstacle]:
        worker, for_s = self._worker, time.monotonic() - self._started_at
        if worker.is_draining:
            return [obstacle("worker", "is shutting down: the work in flight is finished first", "none", 0)]
        if not worker.is_open:
            return [obstacle("worker", "is connecting to its servers", "none; if it lasts, see its log", for_s)]
        if self._app.rebalancing or not is_member(self._app):
            return [obstacle("kafka", "partitions are being reassigned", "none; if it lasts, check the brokers", 0)]
        return []

    async def _position(self) -> ConsumerPosition:
        return await position_of_app(self._app)

    async def _journal_position(self) -> ConsumerPosition:
        journal = self._worker.journal
        return await position_of(journal.consumer, journal.delivered) if journal else NO_POSITION

    def _journaled(self) -> int:
        return self._worker.journal.written_total if self._worker.journal else 0

    async def _measure_loop_delay(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            expected = loop.time() + _MEASURE_LOOP_EVERY
            await asyncio.sleep(_MEASURE_LOOP_EVERY)
            self._worker.metrics.loop_was_late(max(0.0, loop.time() - expected))

    async def _beat(self, loop_watch: LoopWatch) -> None:
        while True:
            loop_watch.beat()
            await asyncio.sleep(1)

    async def _look(self, watch: ProgressWatch) -> None:
        while not self.should_stop:
            try:
                await watch.run()
                return
            except Exception as error:
                blind = watch.blind_for
                log.exception("watchdog.failed", blind_for_s=round(blind), ends_after_s=self._settings.watchdog_after)
                if blind >= self._settings.watchdog_after:  # nobody would notice a stall of the worker
                    self._end([Stall("watchdog", blind, {"error": type(error).__name__})])
                    return
            await asyncio.sleep(5)

    def _end(self, stalled: list[Stall]) -> None:
        """Shut the process down, and log why. The shutdown is started before the log lines are written: no line,
        whatever is in it, may prevent it.
        """
        exit_gracefully(self._settings.drain_timeout + SHUTDOWN_AFTER_DRAIN)
        for stall in stalled:
            with suppress(Exception):
                log.error(
                    "watchdog.stalled",
                    what=stall.name,
                    for_s=round(stall.seconds),
                    details=dict(stall.details),
                    action="keep this log; the supervisor starts the worker again",
                )
