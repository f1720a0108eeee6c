"""Tests when the watchdog finds a stall, and that the process then ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.consumer_position import NO_POSITION, ConsumerPosition, PartitionPosition
from streams.kafka.in_order_window import Delivery, InOrderWindow
from streams.kafka.lag import BrokerAway, Measured, Offsets
from streams.monitoring.event_loop_watch import LoopWatch
from streams.monitoring.progress_watch import Flow, ProgressWatch, flow_sample
from streams.monitoring.stall_detector import Sample, Stall, StallDetector
from streams.runtime.outages import Outages
from streams.runtime.process_exit import STALLED
from tests.unit.virtual_time import in_virtual_time, running_loop

ROOT = Path(__file__).parents[2]
AFTER, EVERY = 300.0, 15.0
SALES = TopicPartition("sales", 0)
OTHER = TopicPartition("sales", 1)


class Detector:
    """Runs a stall detector with a sample every 15 s."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watchdog = StallDetector(AFTER, 2 * EVERY, clock=lambda: self.now)

    def for_(self, seconds: float, sample: Callable[[float], Sample]) -> list[Stall]:
        stalls: list[Stall] = []
        until = self.now + seconds
        while self.now < until and not stalls:
            self.now += EVERY
            stalls = self.watchdog.check([sample(self.now)])
        return stalls


def test_work_without_progress_is_a_stall() -> None:
    detector = Detector()
    [stalls] = detector.for_(1000, lambda _: Sample("sending", True, 7, details={"lag": 3}))
    assert (stalls.name, stalls.seconds, stalls.details) == ("sending", AFTER, {"lag": 3})
    assert detector.now == AFTER + EVERY, "the first look starts the clock"


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(lambda now: Sample("sending", True, now), id="it moves"),
        pytest.param(lambda _: Sample("sending", False, 7), id="it has nothing to do"),
        pytest.param(lambda _: Sample("sending", True, 7, waits_for_outage=True), id="it waits for something"),
        pytest.param(lambda now: Sample("sending", True, now // 250), id="it moves now and then"),
        pytest.param(
            lambda now: Sample("sending", True, 7, waits_for_outage=now % 250 < EVERY), id="it waits now and then"
        ),
    ],
)
def test_progress_idleness_or_an_outage_is_no_stall(sample: Callable[[float], Sample]) -> None:
    """Promise 6. Broken by: an outage is taken for a stall, and the worker ends again and again."""
    assert Detector().for_(10_000, sample) == []


def test_the_time_allowed_starts_again_after_an_outage() -> None:
    detector = Detector()
    assert detector.for_(285, lambda _: Sample("sending", True, 7)) == []
    assert detector.for_(EVERY, lambda _: Sample("sending", True, 7, waits_for_outage=True)) == []
    assert detector.for_(285, lambda _: Sample("sending", True, 7)) == []
    assert detector.for_(EVERY, lambda _: Sample("sending", True, 7))


def test_the_time_allowed_starts_again_after_a_gap_in_the_samples() -> None:
    detector = Detector()
    detector.for_(285, lambda _: Sample("sending", True, 7))
    detector.now += EVERY
    detector.watchdog.check([])
    assert detector.for_(300, lambda _: Sample("sending", True, 7)) == []
    assert detector.for_(EVERY, lambda _: Sample("sending", True, 7))


def test_a_flow_that_moves_does_not_hide_one_that_stalls() -> None:
    detector = Detector()
    stalls: list[Stall] = []
    while not stalls and detector.now < 1000:
        detector.now += EVERY
        stalls = detector.watchdog.check([Sample("sending", True, detector.now), Sample("journal", True, 1)])
    assert [each.name for each in stalls] == ["journal"]


def test_a_process_that_was_suspended_is_not_taken_for_stalled() -> None:
    """Promise 4. Broken by: a machine that slept for an hour ends its worker when it wakes up."""
    detector = Detector()
    detector.for_(60, lambda _: Sample("sending", True, 7))
    detector.now += 3600
    assert detector.for_(EVERY, lambda _: Sample("sending", True, 7)) == []


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.floats(0, 200)), max_size=60))
def test_the_detector_never_reports_progress_within_the_time_allowed(
    looks: list[tuple[bool, bool, bool, float]],
) -> None:
    now, mark, quiet_since = 0.0, 0, 0.0
    watchdog = StallDetector(AFTER, 2 * EVERY, clock=lambda: now)
    for moves, busy, waits_for_outage, gap in looks:
        now += gap
        mark += moves
        if moves or not busy or waits_for_outage:
            quiet_since = now
        if watchdog.check([Sample("sending", busy, mark, waits_for_outage)]):
            assert now - quiet_since >= AFTER


# --- what is seen of a stream


def sample(position: ConsumerPosition, end: int = 10, committed: int = 10, done: int = 0) -> Sample:
    flow = Flow("sending", "workers", ["sales"], _nobody, lambda: done, dependencies=["gate"])
    return flow_sample(flow, position, {p: Offsets(committed, end) for p in (SALES, OTHER)}, waits_for_outage=False)


async def _nobody() -> ConsumerPosition:
    return NO_POSITION


def at(fetched: int | None, delivered: int | None) -> ConsumerPosition:
    return ConsumerPosition(member=True, partitions={SALES: PartitionPosition(fetched, delivered)})


@pytest.mark.parametrize(
    ("position", "end", "committed", "busy"),
    [
        pytest.param(at(10, 10), 10, 10, False, id="all is done"),
        pytest.param(at(8, 8), 10, 8, True, id="unread"),
        pytest.param(at(10, 10), 10, 8, True, id="handed on, not committed"),
        pytest.param(at(10, 8), 10, 8, False, id="the tail has no records: the end of a transaction"),
        pytest.param(at(10, None), 10, 8, False, id="nothing was handed on yet: the same"),
        pytest.param(at(None, None), 10, 8, True, id="it does not say what it has fetched"),
        pytest.param(ConsumerPosition(member=True, partitions={}), 10, 0, False, id="a standby has nothing to do"),
        pytest.param(ConsumerPosition(member=False, partitions={}), 10, 0, True, id="out of its group, and knows it"),
        pytest.param(
            ConsumerPosition(member=False, partitions={}), 10, 10, False, id="out of its group, nothing to do"
        ),
        pytest.param(NO_POSITION, 10, 9, True, id="never came up"),
    ],
)
def test_a_consumer_is_busy_only_when_it_has_something_to_do(
    position: ConsumerPosition, end: int, committed: int, *, busy: bool
) -> None:
    assert sample(position, end, committed).busy == busy


def test_positions_commits_and_finished_work_all_count_as_progress() -> None:
    marks = {
        sample(at(8, 8)).progress_marker,
        sample(at(9, 8)).progress_marker,
        sample(at(8, 8), committed=9).progress_marker,
        sample(at(8, 8), done=1).progress_marker,
    }
    assert len(marks) == 4
    assert sample(at(8, 8), end=10).progress_marker == sample(at(8, 8), end=20).progress_marker, (
        "what others write is no progress of ours"
    )


# --- the service


class Broker:
    """Has one more record at every measurement, of which nothing is committed unless the test says so."""

    def __init__(self) -> None:
        self.away = False
        self.end = self.committed = 0
        self.moves = False

    async def measure(self) -> Measured:
        if self.away:
            raise BrokerAway("TimeoutError")
        self.end += 1
        if self.moves:
            self.committed = self.end
        return {"workers": {SALES: Offsets(self.committed, self.end)}}

    async def close(self) -> None:
        pass


class Worker:
    is_open = True
    is_draining = False
    scheduler_runs = True
    _rounds = 0

    @property
    def rounds(self) -> int:
        self._rounds += self.scheduler_runs
        return self._rounds


class Watched:
    def __init__(self) -> None:
        loop = running_loop()
        self.broker, self.worker = Broker(), Worker()
        self.outages = Outages(loop.time)
        self.position = ConsumerPosition(member=True, partitions={SALES: PartitionPosition(0, 0)})
        self.stalled: list[Stall] = []
        self.window = InOrderWindow(clock=loop.time)
        flow = Flow(
            "sending", "workers", ["sales"], self._position, lambda: self.window.finished_total, ["gate", "kafka"]
        )
        windowed = Flow(
            "writing", "workers", [], self._position, lambda: self.window.finished_total, ["gate", "kafka"], self.window
        )
        self.watch = ProgressWatch(
            StallDetector(AFTER, 2 * EVERY, clock=loop.time),
            [flow, windowed],
            self.broker,
            self.outages,
            interval=EVERY,
            worker=self.worker,
            stalled=self.stalled.extend,
        )

    async def _position(self) -> ConsumerPosition:
        return self.position

    async def for_(self, seconds: float) -> list[str]:
        """Return the names of the stalls found within that time."""
        task = asyncio.create_task(self.watch.run())
        await asyncio.wait([task], timeout=seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [stalls.name for stalls in self.stalled]


@in_virtual_time
async def test_a_consumer_that_fetches_nothing_is_a_stall() -> None:
    watched = Watched()
    assert await watched.for_(2 * AFTER) == ["sending"]
    assert watched.stalled[0].details["lag"] == {"sales": watched.broker.end}


@in_virtual_time
async def test_a_consumer_outside_its_group_is_a_stall_and_a_standby_is_not() -> None:
    watched = Watched()
    watched.position = ConsumerPosition(member=True, partitions={})
    assert await watched.for_(10 * AFTER) == []
    watched.position = NO_POSITION
    assert await watched.for_(2 * AFTER) == ["sending"]


@in_virtual_time
async def test_a_broker_that_is_away_is_no_stall_but_a_consumer_that_does_not_return_is() -> None:
    watched = Watched()
    watched.broker.away = True
    publishing = Delivery("sales-0", 0, None, None, "new", lambda: None, work=lambda _: asyncio.sleep(50 * AFTER))
    await watched.window.admit(publishing)
    assert await watched.for_(100 * AFTER) == [], "not even one that waits for the broker to confirm"
    assert [wait.part for wait in watched.outages.current()] == [], "said no more once nobody looks"
    watched.broker.away = False
    assert await watched.for_(2 * AFTER) == ["sending"]


@in_virtual_time
async def test_a_closed_gate_that_probes_is_no_stall_and_one_that_does_not_is() -> None:
    watched = Watched()
    gate = watched.outages.reporter("gate", "nothing")
    gate.report("closed", valid_for=10 * AFTER)
    assert await watched.for_(10 * AFTER) == []
    assert await watched.for_(2 * AFTER) == ["sending"], "closed, and no probe goes out: the intake is dead"


@in_virtual_time
async def test_a_scheduler_that_stops_is_a_stall() -> None:
    watched = Watched()
    watched.broker.moves = True
    watched.position = ConsumerPosition(member=True, partitions={})
    assert await watched.for_(10 * AFTER) == []
    watched.worker.scheduler_runs = False
    assert await watched.for_(2 * AFTER) == ["scheduler"]


@in_virtual_time
async def test_one_event_that_never_ends_is_a_stall_although_others_end() -> None:
    watched = Watched()
    watched.position = ConsumerPosition(member=True, partitions={})

    async def work(seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def admit(offset: int, seconds: float) -> None:
        await watched.window.admit(
            Delivery("sales-0", offset, None, None, "new", lambda: None, work=lambda _: work(seconds))
        )

    async def go_on() -> None:
        for offset in range(1, 10_000):
            await admit(offset, 5)
            await asyncio.sleep(10)

    going_on = asyncio.create_task(go_on())
    assert await watched.for_(2 * AFTER) == []
    await admit(0, 1e9)
    assert await watched.for_(2 * AFTER) == ["writing: oldest event"]
    assert watched.stalled[0].details["event"] == "sales-0@0"
    going_on.cancel()
    await watched.window.drain(0)


@in_virtual_time
async def test_a_start_that_hangs_is_a_stall_and_a_drain_is_not() -> None:
    watched = Watched()
    watched.worker.is_open = False
    watched.worker.is_draining = True
    assert await watched.for_(2 * AFTER) == []
    watched.worker.is_draining = False
    assert await watched.for_(2 * AFTER) == ["start"]


# --- the end


def test_a_hanging_event_loop_is_reported_with_the_place_and_without_values() -> None:
    ended: list[str] = []
    done = threading.Event()

    def end(where: str) -> None:
        ended.append(where)
        done.set()

    watch = LoopWatch(5, every=0.02, on_hang=end)
    watch.start()
    secret = "mat-khau"
    assert done.wait(10), secret
    assert "test_a_hanging_event_loop" in ended[0]
    assert "mat-khau" not in ended[0].replace('secret = "mat-khau"', "")


def test_a_running_event_loop_is_not_reported() -> None:
    ended: list[str] = []
    watch = LoopWatch(5, every=0.02, on_hang=ended.append)
    watch.start()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        watch.beat()
        time.sleep(0.001)
    watch.stop()
    assert ended == []


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run the code in a process of its own, which has to end within the time."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("hangs", "says"),
    [
        pytest.param("pass", "", id="nothing"),
        pytest.param("time.sleep(60)", "shutdown_hangs", id="the main thread"),
        pytest.param("threading.Thread(target=time.sleep, args=[60]).start()", "shutdown_hangs", id="another thread"),
    ],
)
def test_a_stalled_worker_ends_with_its_exit_code_whatever_hangs(hangs: str, says: str) -> None:
    """Promise 1. Broken by: a stalled worker ends with 0, and its supervisor does not start it again."""
    ended = run(
        f"""
        import signal, threading, time
        from streams.runtime.process_exit import exit_gracefully
        signal.signal(signal.SIGTERM, lambda *_: None)
        exit_gracefully(1)
        {hangs}
        """
    )
    assert ended.returncode == STALLED, ended.stderr
    assert says in ended.stdout


def test_a_stalled_worker_ends_although_nobody_reads_its_log() -> None:
    """When the pipe is full, whatever writes a line waits forever.

    Promise 1. Broken by: a worker whose log nobody reads stays stalled forever.
    """
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from streams.monitoring.event_loop_watch import exit_because_loop_hangs as e; e('x' * 1_000_000)",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert child.wait(20) == STALLED
    finally:
        child.kill()
        child.communicate()
