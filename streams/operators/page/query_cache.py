"""Results of queries, shared by all visitors: however many browsers are open, the same query runs once in a while."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_TTL_FACTOR = 20
"""A result is kept for 20 times its query's duration, so that a slow query uses a twentieth of a connection."""
_MAX_TTL = 30.0
"""The longest that this factor can keep a result, in seconds."""


class Unanswered(Exception):
    """The result has not come within the timeout."""


class Busy(Exception):
    """There are too many open queries; the visitor has to try again in a moment."""


@dataclass(slots=True)
class _Entry:
    task: asyncio.Task[Any]
    expires_at: float = float("inf")
    waiters: int = 0
    has_started: bool = False
    """Whether the query runs; it then occupies a connection to the database until it ends."""


@dataclass(slots=True)
class _PersonQueries:
    """The open queries of one person."""

    slots: asyncio.Semaphore
    count: int = 0
    """Running and queued queries."""


class QueryCache:
    def __init__(
        self,
        ttl: float = 2.0,
        *,
        concurrency: int = 3,
        concurrency_per_person: int = 2,
        max_open: int = 40,
        max_open_per_person: int = 8,
        timeout: float = 5.0,
        max_entries: int = 200,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the limits.

        `ttl`: seconds for which a result is reused, also an error. `concurrency`, `concurrency_per_person`: queries
        that may run at a time, each on one of the worker's database connections. `max_open`, `max_open_per_person`:
        queries that may be running or queued. `timeout`: seconds to wait for a result. `max_entries`: results to keep.
        """
        self._ttl = ttl
        self._timeout = timeout
        self._max_entries = max_entries
        self._clock = clock
        self._slots = asyncio.Semaphore(concurrency)
        self._concurrency_per_person = concurrency_per_person
        self._max_open = max_open
        self._max_open_per_person = max_open_per_person
        self._open: dict[str, _PersonQueries] = {}
        """By person, for those who have open queries."""
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    async def get(
        self, key: Hashable, query: Callable[[], Awaitable[T]], *, ttl: float | None = None, person: str = ""
    ) -> T:
        """Return the result of `query`, which `key` identifies, from the cache if it has not expired.

        `person` is the name of the visitor: queries of one person leave slots for those of the others. Raises the
        errors of the query, `Unanswered` and `Busy`.
        """
        entry = self._entries.get(key)
        if entry is None or self._clock() >= entry.expires_at:
            entry = self._start(query, self._ttl if ttl is None else ttl, person)
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)
        entry.waiters += 1
        try:
            async with asyncio.timeout(self._timeout):
                result: T = await asyncio.shield(entry.task)
        except TimeoutError:
            raise Unanswered from None
        finally:
            entry.waiters -= 1
            self._drop_if_unwanted(key, entry)
        return result

    def clear(self) -> None:
        """Forget all results, because data was changed."""
        self._entries.clear()

    async def close(self) -> None:
        """Cancel all queries."""
        tasks = [entry.task for entry in self._entries.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop_if_unwanted(self, key: Hashable, entry: _Entry) -> None:
        """Cancel a queued query that nobody waits for. A running one ends normally, for the next visitor."""
        if entry.waiters or entry.has_started or entry.task.done():
            return
        entry.task.cancel()
        if self._entries.get(key) is entry:
            del self._entries[key]

    def _start(self, query: Callable[[], Awaitable[Any]], ttl: float, person: str) -> _Entry:
        own = self._open.get(person) or _PersonQueries(asyncio.Semaphore(self._concurrency_per_person))
        if own.count >= self._max_open_per_person or sum(each.count for each in self._open.values()) >= self._max_open:
            raise Busy
        self._open[person] = own
        own.count += 1

        async def run() -> Any:
            async with own.slots, self._slots:
                entry.has_started = True
                started_at = self._clock()
                actual_ttl = ttl
                try:
                    result = await query()
                    actual_ttl = max(ttl, min(_MAX_TTL, _TTL_FACTOR * (self._clock() - started_at)))
                    return result
                finally:
                    entry.expires_at = self._clock() + actual_ttl

        def on_done(task: asyncio.Task[Any]) -> None:
            own.count -= 1
            if not own.count:
                self._open.pop(person, None)
            if not task.cancelled():
                task.exception()  # retrieved here, since nobody may be waiting for it any more

        entry = _Entry(asyncio.create_task(run()))
        entry.task.add_done_callback(on_done)
        return entry
