"""Many callers, one statement: what is asked for at about the same time is done together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ConcurrencyLimit:
    """Lets so many batches run at once, those that come first before others.

    Threads that talk to the database take turns at one interpreter: more of them only delay each other and the event
    loop, and the sooner a batch starts, the smaller it is. Whoever has waited for `patience` seconds runs beside those
    that are slow (a lock, perhaps).
    """

    def __init__(self, abreast: int, patience: float = 1.0) -> None:
        self._places = asyncio.Semaphore(abreast)
        self._patience = patience

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        has_place = await self._waited()
        try:
            yield
        finally:
            if has_place:
                self._places.release()

    async def _waited(self) -> bool:
        try:
            async with asyncio.timeout(self._patience):
                return await self._places.acquire()
        except TimeoutError:
            return False


class Batcher(Generic[K, V]):
    """``await batcher(item)`` gives the item's own result of ``run(items)``.

    A batch starts after `wait` seconds or when `size` items are there, once `turnstile` lets it through. Until then,
    and while one runs, items gather, so that batches grow with the load; another starts beside it where it is slow
    (`patience` seconds; a lock, perhaps) or `size` items are there, up to `at_once`. An error of `run` is raised to
    every caller of that batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[K]], Awaitable[Sequence[V]]],
        *,
        size: int,
        wait: float,
        at_once: int = 2,
        patience: float = 0.2,
        turnstile: ConcurrencyLimit | None = None,
    ) -> None:
        self._run = run
        self._size = size
        self._wait = wait
        self._at_once = at_once
        self._patience = patience
        self._turnstile = turnstile or ConcurrencyLimit(at_once)
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
            self._timer = loop.call_later(self._patience if self._running else self._wait, self._start)
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
        async with self._turnstile.slot():
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
