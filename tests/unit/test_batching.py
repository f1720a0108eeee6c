"""Tests how many callers share one statement, each with its own result or error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from streams.pipeline.batching import Batcher, ConcurrencyLimit
from tests.unit.virtual_time import in_virtual_time, settle

pytestmark = pytest.mark.timeout(30)  # a caller that is forgotten waits forever


async def test_each_caller_gets_its_own_result_from_batches_of_bounded_size() -> None:
    batches: list[list[int]] = []

    async def double(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        return [2 * item for item in items]

    batcher = Batcher(double, size=10, wait=0.001)
    assert await asyncio.gather(*(batcher(n) for n in range(25))) == [2 * n for n in range(25)]
    assert [len(batch) for batch in batches] == [10, 10, 5]


async def test_items_gather_while_as_many_batches_run_as_may() -> None:
    running = most = 0
    go_on = asyncio.Event()
    sizes: list[int] = []

    async def slow(items: Sequence[int]) -> list[int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        sizes.append(len(items))
        await go_on.wait()
        running -= 1
        return list(items)

    batcher = Batcher(slow, size=100, wait=0, at_once=2, slow_after=0)
    first = [asyncio.create_task(batcher(n)) for n in range(1)]
    while running < 1:
        await asyncio.sleep(0)
    second = [asyncio.create_task(batcher(n)) for n in range(1)]
    while running < 2:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(batcher(n)) for n in range(50)]
    await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(*first, *second, *rest)
    assert (most, sizes) == (2, [1, 1, 50])


class Slow:
    """Runs batches until the test ends them."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.ends: list[asyncio.Event] = []
        self.batcher = Batcher(self.run, size=10, wait=0.01, slow_after=1)
        self._callers: list[asyncio.Task[int]] = []

    async def run(self, items: Sequence[int]) -> list[int]:
        self.sizes.append(len(items))
        self.ends.append(asyncio.Event())
        await self.ends[-1].wait()
        return list(items)

    async def call(self, times: int, seconds: float = 0) -> None:
        self._callers += [asyncio.create_task(self.batcher(n)) for n in range(times)]
        await asyncio.sleep(seconds)
        await settle()

    async def end(self, *batches: int) -> None:
        for batch in batches:
            self.ends[batch].set()
        await settle()


@in_virtual_time
async def test_items_gather_until_the_running_batch_has_ended() -> None:
    """Many small statements cost more than a few large ones."""
    slow = Slow()
    await slow.call(1, seconds=0.02)
    for _ in range(5):
        await slow.call(1, seconds=0.1)
    assert slow.sizes == [1]
    await slow.end(0)
    assert slow.sizes == [1, 5], "at once: they have waited"


@in_virtual_time
async def test_a_full_batch_starts_at_once() -> None:
    slow = Slow()
    await slow.call(1, seconds=0.02)
    await slow.call(10)
    assert slow.sizes == [1, 10]


@in_virtual_time
async def test_a_slow_batch_delays_the_next_one_only_for_a_limited_time() -> None:
    """One locked row must not delay all the others."""
    slow = Slow()
    await slow.call(1, seconds=0.02)
    await slow.call(2, seconds=0.9)
    assert slow.sizes == [1]
    await slow.call(1, seconds=0.2)
    assert slow.sizes == [1, 3]
    await slow.call(1, seconds=60)
    assert slow.sizes == [1, 3], "two run"
    await slow.end(1)
    assert slow.sizes == [1, 3, 1]


async def test_an_error_reaches_only_the_callers_of_its_batch() -> None:
    async def picky(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        return list(items)

    batcher = Batcher(picky, size=2, wait=0)
    results = await asyncio.gather(*(batcher(n) for n in range(6)), return_exceptions=True)
    assert [type(r) if isinstance(r, Exception) else r for r in results] == [0, 1, ValueError, ValueError, 4, 5]


async def test_a_cancelled_caller_does_not_affect_the_others_of_its_batch() -> None:
    go_on = asyncio.Event()

    async def slow(items: Sequence[int]) -> list[int]:
        await go_on.wait()
        return list(items)

    batcher = Batcher(slow, size=3, wait=0)
    tasks = [asyncio.create_task(batcher(n)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    go_on.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[::2] == [0, 2]
    assert isinstance(results[1], asyncio.CancelledError)


async def test_a_batch_with_too_few_results_is_an_error() -> None:
    async def forgetful(items: Sequence[int]) -> list[int]:
        return list(items)[1:]

    with pytest.raises(RuntimeError, match="1 items gave 0 results"):
        await Batcher(forgetful, size=3, wait=0)(1)


async def test_items_that_gathered_behind_a_running_batch_keep_to_the_size_bound() -> None:
    go_on = asyncio.Event()
    sizes: list[int] = []

    async def slow(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        await go_on.wait()
        return list(items)

    batcher = Batcher(slow, size=2, wait=0, at_once=1)
    tasks = [asyncio.create_task(batcher(n)) for n in range(7)]
    while not sizes:
        await asyncio.sleep(0)
    go_on.set()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*tasks) == list(range(7))
    assert sizes == [2, 2, 2, 1]


async def test_an_error_reaches_the_remaining_callers_when_one_was_cancelled() -> None:
    go_on = asyncio.Event()

    async def fails(_: Sequence[int]) -> list[int]:
        await go_on.wait()
        raise ValueError("down")

    batcher = Batcher(fails, size=3, wait=0)
    tasks = [asyncio.create_task(batcher(n)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    go_on.set()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in results] == [asyncio.CancelledError, ValueError, ValueError]


async def test_a_cancelled_batch_leaves_no_caller_waiting() -> None:
    async def ends_with_the_loop(_: Sequence[int]) -> list[int]:
        raise asyncio.CancelledError

    batcher = Batcher(ends_with_the_loop, size=2, wait=0)
    async with asyncio.timeout(5):
        results = await asyncio.gather(batcher(1), batcher(2), return_exceptions=True)
    assert [type(each) for each in results] == [asyncio.CancelledError] * 2


class Slots:
    """Runs work behind a concurrency limit until the test ends it."""

    def __init__(self, concurrency_limit: ConcurrencyLimit) -> None:
        self._concurrency_limit = concurrency_limit
        self.running: list[int] = []
        self.ends: dict[int, asyncio.Future[None]] = {}

    async def do(self, number: int) -> None:
        async with self._concurrency_limit.slot():
            self.running.append(number)
            self.ends[number] = asyncio.get_running_loop().create_future()
            try:
                await self.ends[number]
            finally:
                self.running.remove(number)

    def start(self, count: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.do(number)) for number in range(count)]

    async def end(self, *numbers: int) -> None:
        for number in numbers:
            self.ends[number].set_result(None)
            await settle()


@in_virtual_time
async def test_the_next_task_gets_a_slot_when_another_has_ended() -> None:
    slots = Slots(ConcurrencyLimit(2, timeout=1))
    slots.start(4)
    await settle()
    assert slots.running == [0, 1]
    await slots.end(1)
    assert slots.running == [0, 2]
    await slots.end(0, 2)
    assert slots.running == [3]


@in_virtual_time
async def test_slow_tasks_keep_nobody_waiting_beyond_the_timeout_of_the_concurrency_limit() -> None:
    slots = Slots(ConcurrencyLimit(2, timeout=1))
    slots.start(4)
    await asyncio.sleep(1.1)
    assert sorted(slots.running) == [0, 1, 2, 3]
    await slots.end(0, 1, 2, 3)
    slots.start(3)
    await settle()
    assert slots.running == [0, 1], "those that had no place gave none back"


@in_virtual_time
async def test_a_task_that_fails_or_is_cancelled_frees_its_slot() -> None:
    slots = Slots(ConcurrencyLimit(1, timeout=100))
    first, second, third = slots.start(3)
    await settle()
    second.cancel()
    slots.ends[0].set_exception(LookupError())
    await settle()
    with pytest.raises(LookupError):
        await first
    assert second.cancelled()
    assert slots.running == [2]
    third.cancel()


@in_virtual_time
async def test_items_that_come_while_a_batch_waits_for_its_slot_join_the_batch() -> None:
    concurrency_limit = ConcurrencyLimit(1, timeout=100)
    before = Slots(concurrency_limit)
    before.start(1)
    await settle()
    sizes: list[int] = []

    async def run(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        return list(items)

    batcher = Batcher(run, size=10, wait=0.01, concurrency_limit=concurrency_limit)
    callers = [asyncio.create_task(batcher(0))]
    await asyncio.sleep(0.05)
    callers += [asyncio.create_task(batcher(n)) for n in range(1, 12)]
    await asyncio.sleep(0.05)
    assert sizes == []
    await before.end(0)
    assert await asyncio.gather(*callers) == list(range(12))
    assert sizes == [10, 2]
