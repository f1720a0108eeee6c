"""Is this worker well? Puts the watchdog to work, and answers those who ask the web server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

import faust
import structlog
from mode import Service

from streams.kafka.consumer_position import NO_POSITION, ConsumerPosition, is_member, position_of, position_of_app
from streams.kafka.in_order_window import InOrderWindow
from streams.kafka.lag import LagMeter, Measured
from streams.monitoring.event_loop_watch import LoopWatch, end_for_a_hanging_loop
from streams.monitoring.health import Health, Obstacle, alive, obstacle, ready
from streams.monitoring.progress_watch import LONGEST_INTERVAL, Flow, ProgressWatch
from streams.monitoring.stall_detector import Stall, StallDetector
from streams.runtime.outages import Component, Outages
from streams.runtime.process_exit import SHUTDOWN_AFTER_DRAIN, end_in_order
from streams.settings import Settings
from streams.worker import Worker

log = structlog.get_logger(__name__)

_LOOP_LIMIT = 30
"""Seconds without a tick of the event loop."""
_FELT_EVERY = 1.0
_SENDING: tuple[Component, ...] = ("gate", "sales_database", "kafka")
_WRITING: tuple[Component, ...] = ("sales_database", "kafka", "write_back")
_JOURNAL: tuple[Component, ...] = ("journal", "sales_database", "kafka")


class WorkerHealth(Service):
    """Started before anything that could hang, stopped last."""

    def __init__(self, app: faust.App, settings: Settings, worker: Worker, changes: list[str], waits: Outages) -> None:
        super().__init__()
        self._app = app
        self._settings = settings
        self._worker = worker
        self.waits = waits
        self._began = time.monotonic()
        self._loop_watch: LoopWatch | None = None
        self._watch: ProgressWatch | None = None
        groups = {
            settings.app_id: [*changes, "sale-retry", "sale-status"],
            f"{settings.app_id}-journal": ["sale-status"],
        }
        self._meter = LagMeter(settings, groups)
        waits.ask(worker.admission.declared)

    @property
    def _flows(self) -> list[Flow]:
        own, journal = self._meter.groups
        worker = self._worker

        def of_window(name: str, topics: list[str], window: InOrderWindow, excuses: tuple[Component, ...]) -> Flow:
            return Flow(name, own, topics, self._standing, lambda: window.finished_total, excuses, window)

        *sent, status = self._meter.groups[own]
        return [
            of_window("sending", sent, worker.sending, _SENDING),
            of_window("write back", [status], worker.writing, _WRITING),
            Flow("journal", journal, [status], self._journals_standing, self._journaled, _JOURNAL),
        ]

    async def on_start(self) -> None:
        self.add_future(self._feel_the_loop())
        after = self._settings.watchdog_after
        if not after:
            return
        self._loop_watch = LoopWatch(int(min(_LOOP_LIMIT, after)), end=end_for_a_hanging_loop)
        self._loop_watch.start()
        interval = min(LONGEST_INTERVAL, after / 4)
        self._watch = ProgressWatch(
            StallDetector(after, longest_gap=2 * interval + 10),
            self._flows,
            self._meter,
            self.waits,
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
        """The answer itself says that the loop ticks."""
        watch = self._watch
        return alive(watch.still if watch else [], watched=watch is None or watch.looks)

    def ready(self) -> Health:
        return ready(self.waits, self._obstacles())

    @property
    def measured(self) -> Measured:
        """The lag of the groups, at most a look old. Empty while it cannot be measured, or without a watchdog."""
        return self._watch.measured if self._watch else {}

    @property
    def stalled_for(self) -> Mapping[str, float]:
        """Seconds, of everything that is watched."""
        return self._watch.stalled_for if self._watch else {}

    def _obstacles(self) -> list[Obstacle]:
        worker, for_s = self._worker, time.monotonic() - self._began
        if worker.is_draining:
            return [obstacle("worker", "ends: what is in flight is finished", "none", 0)]
        if not worker.is_open:
            return [obstacle("worker", "starts: it connects to its servers", "none; if it lasts, see its log", for_s)]
        if self._app.rebalancing or not is_member(self._app):
            return [obstacle("kafka", "partitions change hands", "none; if it lasts, see the brokers", 0)]
        return []

    async def _standing(self) -> ConsumerPosition:
        return await position_of_app(self._app)

    async def _journals_standing(self) -> ConsumerPosition:
        journal = self._worker.journal
        return await position_of(journal.consumer, journal.delivered) if journal else NO_POSITION

    def _journaled(self) -> int:
        return self._worker.journal.written_total if self._worker.journal else 0

    async def _feel_the_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _FELT_EVERY
            await asyncio.sleep(_FELT_EVERY)
            self._worker.metrics.loop_was_late(max(0.0, loop.time() - due))

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
                if blind >= self._settings.watchdog_after:  # nobody would see the worker stand still
                    self._end([Stall("watchdog", blind, {"error": type(error).__name__})])
                    return
            await asyncio.sleep(5)

    def _end(self, stalled: list[Stall]) -> None:
        """The end comes first: no line, whatever is in it, is to keep the process from it."""
        end_in_order(self._settings.drain_timeout + SHUTDOWN_AFTER_DRAIN)
        for still in stalled:
            with suppress(Exception):
                log.error(
                    "watchdog.stalled",
                    what=still.name,
                    for_s=round(still.seconds),
                    seen=dict(still.seen),
                    action="keep this log; the supervisor starts the worker again",
                )
