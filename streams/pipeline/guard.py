"""One part of a service that goes round: what it raises is said and shown, and the rest of the round goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from streams.runtime.outages import OUTAGES, Component, Outages
from streams.stores.isolation import class_and_state

log = structlog.get_logger(__name__)

R = TypeVar("R")


class Guard:
    def __init__(self, name: str, part: Component, action: str, *, waits: Outages = OUTAGES) -> None:
        """`name`: of this part, for operators."""
        self._name = name
        self._waiting = waits.reporter(part, action, holds_up_sales=False)
        self._trouble: str | None = None

    async def __call__(self, work: Callable[[], Awaitable[R]]) -> R | None:
        """None where it failed, whatever it raised. It is logged where the trouble is another one than last time."""
        try:
            result = await work()
        except Exception as error:
            trouble = class_and_state(error)
            if trouble != self._trouble:
                log.warning("service.part_failed", part=self._name, error=trouble)
            self._trouble = trouble
            self._waiting.report(f"{self._name}: {trouble}")
            return None
        if self._trouble is not None:
            log.info("service.part_works_again", part=self._name)
            self._trouble = None
            self._waiting.end()
        return result

    def end(self) -> None:
        """Nobody goes round any more."""
        self._waiting.end()
