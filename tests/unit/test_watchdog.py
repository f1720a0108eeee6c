"""Standing still: with work, without an excuse, for too long. And the process that must end then."""

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


class Looked:
    """A watchdog that has a look every 15 s."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watchdog = StallDetector(AFTER, 2 * EVERY, clock=lambda: self.now)

    def for_(self, seconds: float, sight: Callable[[float], Sample]) -> list[Stall]:
        still: list[Stall] = []
        until = self.now + seconds
        while self.now < until and not still:
            self.now += EVERY
            still = self.watchdog.check([sight(self.now)])
        return still


def test_work_that_does_not_move_is_a_stall() -> None:
    looked = Looked()
    [still] = looked.for_(1000, lambda _: Sample("sending", True, 7, details={"lag": 3}))
    assert (still.name, still.seconds, still.details) == ("sending", AFTER, {"lag": 3})
    assert looked.now == AFTER + EVERY, "the first look starts the clock"


@pytest.mark.parametrize(
    "sight",
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
def test_no_stall(sight: Callable[[float], Sample]) -> None:
    """Promise 6. Broken by: an outage is taken for a standstill, and the worker ends again and again."""
    assert Looked().for_(10_000, sight) == []


def test_after_a_wait_it_gets_its_time_again() -> None:
    looked = Looked()
    assert looked.for_(285, lambda _: Sample("sending", True, 7)) == []
    assert looked.for_(EVERY, lambda _: Sample("sending", True, 7, waits_for_outage=True)) == []
    assert looked.for_(285, lambda _: Sample("sending", True, 7)) == []
    assert looked.for_(EVERY, lambda _: Sample("sending", True, 7))


def test_what_could_not_be_seen_for_a_while_gets_its_time_again() -> None:
    looked = Looked()
    looked.for_(285, lambda _: Sample("sending", True, 7))
    looked.now += EVERY
    looked.watchdog.check([])
    assert looked.for_(300, lambda _: Sample("sending", True, 7)) == []
    assert looked.for_(EVERY, lambda _: Sample("sending", True, 7))


def test_one_that_moves_does_not_hide_one_that_stands() -> None:
    looked = Looked()
    still: list[Stall] = []
    while not still and looked.now < 1000:
        looked.now += EVERY
        still = looked.watchdog.check([Sample("sending", True, looked.now), Sample("journal", True, 1)])
    assert [each.name for each in still] == ["journal"]


def test_a_process_that_was_stopped_itself_is_not_blamed_for_it() -> None:
    """Promise 4. Broken by: a machine that slept for an hour ends its worker when it wakes up."""
    looked = Looked()
    looked.for_(60, lambda _: Sample("sending", True, 7))
    looked.now += 3600
    assert looked.for_(EVERY, lambda _: Sample("sending", True, 7)) == []


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.floats(0, 200)), max_size=60))
def test_it_never_ends_what_moved_or_waited_within_the_time(looks: list[tuple[bool, bool, bool, float]]) -> None:
    now, mark, quiet_since = 0.0, 0, 0.0
    watchdog = StallDetector(AFTER, 2 * EVERY, clock=lambda: now)
    for moves, busy, excused, gap in looks:
        now += gap
        mark += moves
        if moves or not busy or excused:
            quiet_since = now
        if watchdog.check([Sample("sending", busy, mark, excused)]):
            assert now - quiet_since >= AFTER


# --- what is seen of a stream


def sight(standing: ConsumerPosition, end: int = 10, committed: int = 10, done: int = 0) -> Sample:
    flow = Flow("sending", "workers", ["sales"], _nobody, lambda: done, dependencies=["gate"])
    return flow_sample(flow, standing, {p: Offsets(committed, end) for p in (SALES, OTHER)}, waits_for_outage=False)


async def _nobody() -> ConsumerPosition:
    return NO_POSITION


def at(fetched: int | None, delivered: int | None) -> ConsumerPosition:
    return ConsumerPosition(member=True, partitions={SALES: PartitionPosition(fetched, delivered)})


@pytest.mark.parametrize(
    ("standing", "end", "committed", "busy"),
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
def test_who_has_something_to_do(standing: ConsumerPosition, end: int, committed: int, *, busy: bool) -> None:
    assert sight(standing, end, committed).busy == busy


def test_positions_commits_and_work_all_count_as_moving() -> None:
    marks = {
        sight(at(8, 8)).progress_marker,
        sight(at(9, 8)).progress_marker,
        sight(at(8, 8), committed=9).progress_marker,
        sight(at(8, 8), done=1).progress_marker,
    }
    assert len(marks) == 4
    assert sight(at(8, 8), end=10).progress_marker == sight(at(8, 8), end=20).progress_marker, (
        "what others write is no progress of ours"
    )


# --- the service


class Broker:
    """Holds one more record with every look, of which nothing is committed unless it is told."""

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
        self.waits = Outages(loop.time)
        self.standing = ConsumerPosition(member=True, partitions={SALES: PartitionPosition(0, 0)})
        self.stalled: list[Stall] = []
        self.window = InOrderWindow(give_up=_never, clock=loop.time)
        flow = Flow(
            "sending", "workers", ["sales"], self._stands, lambda: self.window.finished_total, ["gate", "kafka"]
        )
        windowed = Flow(
            "writing", "workers", [], self._stands, lambda: self.window.finished_total, ["gate", "kafka"], self.window
        )
        self.watch = ProgressWatch(
            StallDetector(AFTER, 2 * EVERY, clock=loop.time),
            [flow, windowed],
            self.broker,
            self.waits,
            interval=EVERY,
            worker=self.worker,
            stalled=self.stalled.extend,
        )

    async def _stands(self) -> ConsumerPosition:
        return self.standing

    async def for_(self, seconds: float) -> list[str]:
        """What was found to stand still within that time."""
        task = asyncio.create_task(self.watch.run())
        await asyncio.wait([task], timeout=seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [still.name for still in self.stalled]


async def _never(_: Delivery, __: BaseException) -> None:
    raise AssertionError


@in_virtual_time
async def test_a_consumer_that_fetches_nothing_is_a_stall() -> None:
    watched = Watched()
    assert await watched.for_(2 * AFTER) == ["sending"]
    assert watched.stalled[0].details["lag"] == {"sales": watched.broker.end}


@in_virtual_time
async def test_one_that_is_out_of_its_group_is_a_stall_and_a_standby_is_none() -> None:
    watched = Watched()
    watched.standing = ConsumerPosition(member=True, partitions={})
    assert await watched.for_(10 * AFTER) == []
    watched.standing = NO_POSITION
    assert await watched.for_(2 * AFTER) == ["sending"]


@in_virtual_time
async def test_a_broker_that_is_away_is_waited_for_and_then_the_consumer_has_to_come_back() -> None:
    watched = Watched()
    watched.broker.away = True
    telling = Delivery("sales-0", 0, None, None, "new", lambda: None, work=lambda _: asyncio.sleep(50 * AFTER))
    await watched.window.admit(telling)
    assert await watched.for_(100 * AFTER) == [], "not even one that waits for the broker to confirm"
    assert [wait.part for wait in watched.waits.current()] == [], "said no more once nobody looks"
    watched.broker.away = False
    assert await watched.for_(2 * AFTER) == ["sending"]


@in_virtual_time
async def test_a_gate_that_probes_excuses_and_one_that_does_not_is_none() -> None:
    watched = Watched()
    gate = watched.waits.reporter("gate", "nothing")
    gate.report("closed", valid_for=10 * AFTER)
    assert await watched.for_(10 * AFTER) == []
    assert await watched.for_(2 * AFTER) == ["sending"], "closed, and no probe goes out: the intake is dead"


@in_virtual_time
async def test_a_scheduler_that_stops_is_a_stall() -> None:
    watched = Watched()
    watched.broker.moves = True
    watched.standing = ConsumerPosition(member=True, partitions={})
    assert await watched.for_(10 * AFTER) == []
    watched.worker.scheduler_runs = False
    assert await watched.for_(2 * AFTER) == ["scheduler"]


@in_virtual_time
async def test_one_event_that_never_ends_is_a_stall_though_others_do() -> None:
    watched = Watched()
    watched.standing = ConsumerPosition(member=True, partitions={})

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
async def test_a_start_that_hangs_is_a_stall_and_a_drain_is_none() -> None:
    watched = Watched()
    watched.worker.is_open = False
    watched.worker.is_draining = True
    assert await watched.for_(2 * AFTER) == []
    watched.worker.is_draining = False
    assert await watched.for_(2 * AFTER) == ["start"]


# --- the end


def test_a_loop_that_does_not_tick_is_found_with_the_place_and_no_values() -> None:
    ended: list[str] = []
    done = threading.Event()

    def end(where: str) -> None:
        ended.append(where)
        done.set()

    watch = LoopWatch(5, every=0.02, on_hang=end)
    watch.start()
    secret = "mat-khau"
    assert done.wait(10), secret
    assert "test_a_loop_that_does_not_tick" in ended[0]
    assert "mat-khau" not in ended[0].replace('secret = "mat-khau"', "")


def test_a_loop_that_ticks_is_left_alone() -> None:
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
    """A process of its own, which is to end within the time."""
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
def test_it_ends_with_its_code_whatever_hangs(hangs: str, says: str) -> None:
    """Promise 1. Broken by: a worker that stood still ends with 0, and its supervisor does not start it again."""
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


def test_it_ends_though_nobody_reads_its_log() -> None:
    """The pipe is full: whoever writes a line waits for ever.

    Promise 1. Broken by: a worker whose log nobody reads stands still for ever.
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
