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


@dataclass(slots=True)
class _Asked:
    task: asyncio.Task[Any]
    good_until: float = float("inf")


class Shared:
    def __init__(
        self,
        every: float = 2.0,
        *,
        at_once: int = 3,
        patience: float = 5.0,
        most: int = 200,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`every`: seconds for which an answer is good, an error too. `at_once`: of the worker's connections, how many
        the page may take. `most`: answers that are kept."""
        self._every = every
        self._patience = patience
        self._most = most
        self._clock = clock
        self._places = asyncio.Semaphore(at_once)
        self._asked: OrderedDict[Hashable, _Asked] = OrderedDict()

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[T]], *, every: float | None = None) -> T:
        """The answer to `question`, which `key` stands for. Raises what it raises, and `Unanswered`."""
        asked = self._asked.get(key)
        if asked is None or self._clock() >= asked.good_until:
            asked = self._begin(question, self._every if every is None else every)
            self._asked[key] = asked
            self._asked.move_to_end(key)
            while len(self._asked) > self._most:
                self._asked.popitem(last=False)
        try:
            async with asyncio.timeout(self._patience):
                answer: T = await asyncio.shield(asked.task)
        except TimeoutError:
            raise Unanswered from None
        return answer

    def forget(self) -> None:
        """Something was changed: what is asked next is asked anew."""
        self._asked.clear()

    async def close(self) -> None:
        tasks = [asked.task for asked in self._asked.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, question: Callable[[], Awaitable[Any]], every: float) -> _Asked:
        async def answer() -> Any:
            async with self._places:
                began = self._clock()
                rest = every
                try:
                    found = await question()
                    rest = max(every, min(_OLDEST, _SHARE * (self._clock() - began)))
                    return found
                finally:
                    asked.good_until = self._clock() + rest

        asked = _Asked(asyncio.create_task(answer()))
        asked.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # whoever asked may be gone
        return asked
