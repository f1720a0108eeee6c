"""Tests that any stall that the watchdog finds ends the worker, whatever becomes of the log line about it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from streams.documents import DOCUMENT_TYPES
from streams.kafka.in_order_window import Delivery
from streams.kafka.lag import Measured, Offsets
from streams.kafka.producer import Producers
from streams.kafka.topics import change_topics
from streams.monitoring import worker_health as vitals_module
from streams.monitoring.progress_watch import ProgressWatch
from streams.monitoring.stall_detector import Stall, StallDetector
from streams.monitoring.worker_health import WorkerHealth
from streams.runtime.outages import Outages
from streams.runtime.process_exit import STALLED
from streams.worker import Worker
from tests.contract.stores.databases import settings_for
from tests.unit.virtual_time import in_virtual_time, running_loop

ROOT = Path(__file__).parents[2]
AFTER, EVERY = 300.0, 15.0


def worker_health() -> WorkerHealth:
    """Return the health of a worker that was never started."""
    settings = settings_for()
    app = faust.App("never-started", broker="kafka://127.0.0.1:9")
    topics = [app.topic(name, key_type=bytes, value_type=bytes) for name in ("status", "retry", "dead")]
    worker = Worker(settings, DOCUMENT_TYPES, Producers(topics[0], topics[1], topics[2]))
    return WorkerHealth(app, settings, worker, change_topics(settings, DOCUMENT_TYPES), Outages())


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect the limits with which the process was to end."""
    limits: list[float] = []
    monkeypatch.setattr(vitals_module, "exit_gracefully", limits.append)
    return limits


class Behind:
    """A broker on which every partition has one record that nobody has read."""

    def __init__(self, groups: dict[str, list[str]]) -> None:
        self._groups = groups

    async def measure(self) -> Measured:
        return {
            group: {TopicPartition(topic, 0): Offsets(0, 1) for topic in topics}
            for group, topics in self._groups.items()
        }

    async def close(self) -> None:
        pass


async def _hangs(_: bool) -> None:
    await asyncio.sleep(1e9)


async def every_sort_of_stall(found: WorkerHealth) -> list[Stall]:
    """Produce a start that hangs; then every other stall at once."""
    worker: Any = found._worker
    stalled: list[Stall] = []
    for is_open in (False, True):
        if is_open:
            worker.intake.open({}, _hangs)
            for window in (worker.intake.sending, worker.intake.writing):
                await window.admit(Delivery("sales-0", 0, None, None, "new", lambda: None, work=_hangs))
        now = running_loop().time
        watch = ProgressWatch(
            StallDetector(AFTER, 2 * EVERY, clock=now),
            found._flows,
            Behind({group: list(topics) for group, topics in found._meter.groups.items()}),
            Outages(now),
            interval=EVERY,
            worker=worker,
            stalled=stalled.extend,
        )
        await watch.run()
    await worker.intake.sending.drain(0)
    await worker.intake.writing.drain(0)
    found._app.consumer._thread.thread_loop.close()  # type: ignore[attr-defined]
    return stalled


@in_virtual_time
async def test_every_sort_of_stall_ends_the_worker_and_is_logged(ended: list[float]) -> None:
    """Promise 1. Broken by: a finding with the key "event" breaks the line about the end."""
    found = worker_health()
    stalled = await every_sort_of_stall(found)
    assert {stall.name for stall in stalled} == {
        "start",
        "scheduler",
        "sending",
        "sending: oldest event",
        "write back",
        "write back: oldest event",
        "journal",
    }
    for stall in stalled:
        with capture_logs() as lines:
            found._end([stall])
        assert [(line["event"], line["what"], line["details"]) for line in lines] == [
            ("watchdog.stalled", stall.name, dict(stall.details))
        ]
    assert len(ended) == len(stalled)


@pytest.mark.parametrize(
    "name", ["event", "what", "for_s", "action", "log_level", "exc_info", "level", "logger", "timestamp", "positional"]
)
def test_a_detail_of_any_name_does_not_keep_the_worker_from_ending(name: str, ended: list[float]) -> None:
    with capture_logs() as lines:
        worker_health()._end([Stall("sending: oldest event", AFTER, {name: "sales-0@0"})])
    assert [line["details"] for line in lines] == [{name: "sales-0@0"}]
    assert ended


def test_a_log_line_that_cannot_be_written_does_not_keep_the_worker_from_ending() -> None:
    """Promise 1. Broken by: a log line that cannot be written keeps a stalled worker from ending."""
    code = """
        import signal
        from streams.monitoring import worker_health as module
        from streams.monitoring.stall_detector import Stall
        from tests.unit.test_worker_health import worker_health

        class Broken:
            def error(self, *_, **__):
                raise TypeError("a line that cannot be made")

        signal.signal(signal.SIGTERM, lambda *_: None)
        module.log = Broken()
        worker_health()._end([Stall("sending: oldest event", 300, {"event": "sales-0@0"})])
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == STALLED, run.stderr


class Blind:
    """A watchdog that can no longer look; it saw something `blind_for` seconds ago."""

    def __init__(self) -> None:
        self.tries = 0

    @property
    def blind_for(self) -> float:
        return self.tries * 5.0

    async def run(self) -> None:
        self.tries += 1
        raise TypeError("a mistake of ours")


@in_virtual_time
async def test_a_watchdog_that_cannot_look_logs_it_and_ends_the_worker_in_the_same_time(ended: list[float]) -> None:
    """Promise 1. Broken by: a watchdog that cannot look fails silently forever."""
    found, watch = worker_health(), Blind()
    with capture_logs() as lines:
        await asyncio.wait_for(found._look(watch), 10 * AFTER)  # type: ignore[arg-type]
    assert len(ended) == 1
    assert watch.tries == AFTER / 5
    assert [line["event"] for line in lines] == ["watchdog.failed"] * watch.tries + ["watchdog.stalled"]
    assert lines[-1]["details"] == {"error": "TypeError"}
