"""Batches the calls of many callers: items that are requested at about the same time go into one statement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ConcurrencyLimit:
    """Lets a limited number of batches run at once, first come, first served.

    Threads that talk to the database take turns at one interpreter: more of them only delay each other and the event
    loop, and the sooner a batch starts, the smaller it is. A batch that has waited for `timeout` seconds runs in
    addition to the slow ones, which may be waiting for a lock.
    """

    def __init__(self, slots: int, timeout: float = 1.0) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._timeout = timeout

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot, or run without one once the timeout has passed."""
        has_slot = await self._acquire_in_time()
        try:
            yield
        finally:
            if has_slot:
                self._slots.release()

    async def _acquire_in_time(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._slots.acquire()
        except TimeoutError:
            return False


class Batcher(Generic[K, V]):
    """Collects items and runs them in batches: ``await batcher(item)`` returns the item's own result of ``run(items)``.

    A batch starts after `wait` seconds or when `size` items are there, once `concurrency_limit` lets it through. Until
    then, and while one runs, items are collected, so that batches grow with the load. Another batch starts in addition
    when the running one is slow (`slow_after` seconds; it may be waiting for a lock) or when `size` items are there, up
    to `at_once` batches. An error of `run` is raised to every caller of that batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[K]], Awaitable[Sequence[V]]],
        *,
        size: int,
        wait: float,
        at_once: int = 2,
        slow_after: float = 0.2,
        concurrency_limit: ConcurrencyLimit | None = None,
    ) -> None:
        self._run = run
        self._size = size
        self._wait = wait
        self._at_once = at_once
        self._slow_after = slow_after
        self._concurrency_limit = concurrency_limit or ConcurrencyLimit(at_once)
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, item: K) -> V:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[V] = loop.create_future()
        self._waiting.append((item, result))
        if len(self._waiting) >= self._size:
            self._start()
        elif self._timer is None:
            self._timer = loop.call_later(self._slow_after if self._running else self._wait, self._start)
        return await result

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and len(self._running) < self._at_once:
            task = asyncio.create_task(self._run_next())
            self._running.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting:
            self._start()

    async def _run_next(self) -> None:
        async with self._concurrency_limit.slot():
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            if len(self._waiting) >= self._size:
                self._start()
            if batch:
                await self._run_batch(batch)

    async def _run_batch(self, batch: Sequence[tuple[K, asyncio.Future[V]]]) -> None:
        try:
            results = await self._run([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(batch)} items gave {len(results)} results")
        except BaseException as error:
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, result), value in zip(batch, results, strict=True):
            if not result.done():
                result.set_result(value)
