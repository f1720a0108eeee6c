"""Questions that cost somebody else something: asked only while somebody wants the answer, and then seldom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

_SHARE = 20
"""The last answer's time, times this, passes before it is asked again: a question that grows slow takes no more than
a twentieth of a connection."""


class PolledValue(Generic[T]):
    """`ask` at most every `every` seconds, one at a time. An error of it is said, and means that there is no answer."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[T | None]],
        every: float,
        *,
        patience: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience`: seconds that `look` waits for a new answer; it comes with the next look otherwise."""
        self._name = name
        self._ask = ask
        self._every = every
        self._patience = patience
        self._clock = clock
        self._asking: asyncio.Task[None] | None = None
        self._next = float("-inf")
        self._answered = float("-inf")
        self._answer: T | None = None

    @property
    def answer(self) -> T | None:
        """None: there is none, or it is too old to be believed."""
        return self._answer if self._clock() - self._answered < 5 * self._every else None

    async def look(self, patience: float | None = None) -> None:
        """To be awaited before `answer` is read. `patience`: seconds, where they are others than usual."""
        if self._asking is None and self._clock() >= self._next:
            self._asking = asyncio.create_task(self._once())
        if self._asking is not None:
            await asyncio.wait([self._asking], timeout=self._patience if patience is None else patience)

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _once(self) -> None:
        began = self._clock()
        try:
            self._answer = await self._ask()
            self._answered = self._clock()
        except Exception as error:
            self._answer = None
            log.warning("question.unanswered", question=self._name, error=type(error).__name__)
        finally:
            self._next = self._clock() + max(self._every, _SHARE * (self._clock() - began))
            self._asking = None
