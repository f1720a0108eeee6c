"""Answers that everybody who looks shares: however many browsers, the same is asked once in a while."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_SHARE = 20
_OLDEST = 30.0
"""A question that grows slow takes no more than a twentieth of a connection; no answer is older than this."""


class Unanswered(Exception):
    """The answer has not come within the patience of a person."""


class Busy(Exception):
    """So much is being asked already that nothing more is taken on: to be asked again in a moment."""


@dataclass(slots=True)
class _Asked:
    task: asyncio.Task[Any]
    good_until: float = float("inf")
    waiters: int = 0
    has_begun: bool = False
    """With a connection of the database's, which it keeps to its end."""


@dataclass(slots=True)
class _Open:
    """What one person asks at present."""

    places: asyncio.Semaphore
    questions: int = 0


class QueryCache:
    def __init__(
        self,
        every: float = 2.0,
        *,
        at_once: int = 3,
        each: int = 2,
        queue: int = 40,
        queue_of_each: int = 8,
        patience: float = 5.0,
        most: int = 200,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`every`: seconds for which an answer is good, an error too. `at_once`: of the worker's connections, how many
        the page may take; `each`: and how many of them one person. `queue`, `queue_of_each`: questions that may be open
        at a time, those that are being asked among them. `most`: answers that are kept."""
        self._every = every
        self._patience = patience
        self._most = most
        self._clock = clock
        self._places = asyncio.Semaphore(at_once)
        self._each = each
        self._queue = queue
        self._queue_of_each = queue_of_each
        self._open: dict[str, _Open] = {}
        """Of whom there are any."""
        self._asked: OrderedDict[Hashable, _Asked] = OrderedDict()

    async def ask(
        self, key: Hashable, question: Callable[[], Awaitable[T]], *, every: float | None = None, who: str = ""
    ) -> T:
        """The answer to `question`, which `key` stands for. Raises what it raises, `Unanswered` and `Busy`.

        `who`: the person. Whoever asks a lot waits for themselves: the others' questions have places of their own."""
        asked = self._asked.get(key)
        if asked is None or self._clock() >= asked.good_until:
            asked = self._begin(question, self._every if every is None else every, who)
            self._asked[key] = asked
            self._asked.move_to_end(key)
            while len(self._asked) > self._most:
                self._asked.popitem(last=False)
        asked.waiters += 1
        try:
            async with asyncio.timeout(self._patience):
                answer: T = await asyncio.shield(asked.task)
        except TimeoutError:
            raise Unanswered from None
        finally:
            asked.waiters -= 1
            self._drop_if_unwanted(key, asked)
        return answer

    def forget(self) -> None:
        """Something was changed: what is asked next is asked anew."""
        self._asked.clear()

    async def close(self) -> None:
        tasks = [asked.task for asked in self._asked.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop_if_unwanted(self, key: Hashable, asked: _Asked) -> None:
        """What has begun goes to its end: its answer comes with the next look."""
        if asked.waiters or asked.has_begun or asked.task.done():
            return
        asked.task.cancel()
        if self._asked.get(key) is asked:
            del self._asked[key]

    def _begin(self, question: Callable[[], Awaitable[Any]], every: float, who: str) -> _Asked:
        mine = self._open.get(who) or _Open(asyncio.Semaphore(self._each))
        if mine.questions >= self._queue_of_each or sum(each.questions for each in self._open.values()) >= self._queue:
            raise Busy
        self._open[who] = mine
        mine.questions += 1

        async def answer() -> Any:
            async with mine.places, self._places:
                asked.has_begun = True
                began = self._clock()
                rest = every
                try:
                    found = await question()
                    rest = max(every, min(_OLDEST, _SHARE * (self._clock() - began)))
                    return found
                finally:
                    asked.good_until = self._clock() + rest

        def ended(task: asyncio.Task[Any]) -> None:
            mine.questions -= 1
            if not mine.questions:
                self._open.pop(who, None)
            if not task.cancelled():
                task.exception()  # whoever asked may be gone

        asked = _Asked(asyncio.create_task(answer()))
        asked.task.add_done_callback(ended)
        return asked
