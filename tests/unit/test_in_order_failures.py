"""Tests the window, by example, with work that fails or is cancelled, acknowledgements that fail, and draining."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from tests.unit.virtual_time import VirtualTimeLoop, in_virtual_time, settle
from tests.unit.window_bench import Bench


class Attempts:
    """Fails the given number of times, and records when it was tried."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.at: list[float] = []

    async def __call__(self, overdue: bool) -> None:
        self.at.append(round(asyncio.get_running_loop().time(), 3))
        if self.failures:
            raise self.failures.pop(0)


@in_virtual_time
async def test_failed_work_is_repeated_after_growing_pauses() -> None:
    bench = Bench()
    work = Attempts(ValueError(), OSError(), asyncio.CancelledError())
    bench.deliver("a", work=work)
    await asyncio.sleep(10)
    assert work.at == [0.0, 0.1, 0.6, 2.6]
    assert bench.acknowledged == ["a"]
    assert bench.idle


@in_virtual_time
async def test_work_that_always_fails_is_given_up_and_only_then_acknowledged() -> None:
    bench = Bench()
    bench.deliver(
        "a", offset=7, work=Attempts(ValueError(), OSError(), asyncio.CancelledError(), KeyError()), key="sale"
    )
    bench.deliver("b", offset=8, key="sale")
    with capture_logs() as logs:
        await asyncio.sleep(2.5)
        assert (bench.acknowledged, bench.started) == ([], [])
        await asyncio.sleep(0.2)
    assert (bench.acknowledged, bench.started) == (["a"], ["b"])
    assert [(entry["event"], entry["log_level"], entry["error"]) for entry in logs] == [
        ("window.work_failed", "warning", "ValueError"),
        ("window.work_failed", "warning", "OSError"),
        ("window.work_failed", "warning", "CancelledError"),
        ("event.given_up", "error", "KeyError"),
    ]
    await bench.finish("b")
    assert bench.idle


@in_virtual_time
async def test_a_task_that_somebody_else_cancels_loses_neither_its_event_nor_its_place() -> None:
    bench = Bench(max_running=1)

    async def cancel_itself(overdue: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    bench.deliver("a", offset=1, work=cancel_itself)
    await asyncio.sleep(60)
    assert bench.acknowledged == ["a"]

    known = asyncio.all_tasks()
    await bench.deliver("b")
    for task in asyncio.all_tasks() - known:
        task.cancel()  # before its first step
    await settle()
    await bench.finish("b")
    assert bench.acknowledged == ["a", "b"]
    assert bench.idle


def test_a_keyboard_interrupt_in_the_work_is_raised_and_loses_no_event() -> None:
    loop = VirtualTimeLoop()

    async def start() -> Bench:
        bench = Bench(max_running=1)
        bench.deliver("a", work=Attempts(KeyboardInterrupt()))
        return bench

    bench = loop.run_until_complete(start())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(settle())
    loop.run_until_complete(settle())
    assert bench.acknowledged == ["a"]
    assert bench.idle
    loop.close()


@in_virtual_time
async def test_a_failed_acknowledgement_is_logged_and_affects_no_other_event() -> None:
    bench = Bench()

    def fail() -> None:
        raise RuntimeError("consumer is gone")

    await bench.deliver_all("a")
    bench.deliver("b", offset=9, acknowledge=fail)
    await bench.deliver_all("c")
    await bench.finish("c", "b")
    with capture_logs() as logs:
        await bench.finish("a")
    assert bench.acknowledged == ["a", "c"]
    assert bench.idle
    assert [(entry["event"], entry["offset"], entry["error"]) for entry in logs] == [
        ("window.acknowledge_failed", 9, "RuntimeError")
    ]


@in_virtual_time
async def test_the_log_has_the_place_of_a_failure_but_not_its_message() -> None:
    bench = Bench()
    with capture_logs() as logs:
        bench.deliver("a", offset=3, work=Attempts(ValueError("Nguyễn Thị Bảo")))
        await settle()
    assert [(entry["event"], entry["offset"], entry["failures"]) for entry in logs] == [("window.work_failed", 3, 1)]
    assert "in __call__" in logs[0]["trace"]
    assert "Nguyễn" not in str(logs)


@in_virtual_time
async def test_drain_finishes_running_work_and_drops_the_rest() -> None:
    bench = Bench(max_running=2, max_waiting=2, weights={"new": 1})
    await bench.deliver_all("abcde")
    draining = asyncio.create_task(bench.window.drain(10))
    await settle()
    assert bench.admits["e"].result() is False
    assert await bench.deliver("f") is False
    await bench.finish("b", "a")
    assert await draining == 0
    assert bench.acknowledged == ["a", "b"]
    assert bench.started == ["a", "b"]
    assert bench.idle


@in_virtual_time
async def test_drain_cancels_unfinished_work_and_returns_its_number() -> None:
    bench = Bench(retry_pauses=(60.0,))
    await bench.deliver_all("ab")
    bench.deliver("c", work=Attempts(ValueError()))  # is in its pause
    await bench.deliver_all("d")
    draining = asyncio.create_task(bench.window.drain(10))
    await bench.finish("a", "d")
    began = bench.clock()
    assert await draining == 2
    assert bench.clock() - began == pytest.approx(10, abs=0.1)
    assert bench.acknowledged == ["a"]  # d is finished, b before it is not
    assert bench.running == set()
    assert bench.idle
    assert await bench.window.drain(10) == 0


@in_virtual_time
async def test_drain_does_not_wait_for_work_that_ignores_its_cancellation() -> None:
    bench = Bench()
    release = asyncio.Event()

    async def stubborn(overdue: bool) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    bench.deliver("a", work=stubborn)
    await settle()
    assert await bench.window.drain(1) == 1
    release.set()
    await settle()
    assert bench.acknowledged == []
    assert bench.idle


@in_virtual_time
async def test_invalid_limits_and_lanes_are_named() -> None:
    with pytest.raises(ValueError, match="lane 'old' has no weight; there are new, due"):
        await Bench().deliver("a", lane="old")
    with pytest.raises(ValueError, match="at least 1"):
        Bench(max_running=0)
    with pytest.raises(ValueError, match="max_unacknowledged is 0"):
        Bench(max_unacknowledged=0)
    with pytest.raises(ValueError, match="max_waiting is 1"):
        Bench(max_waiting=1)
