"""Runs one step of a service that works in rounds: an error of the step is logged and reported as an outage, and the
rest of the round continues.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from streams.runtime.outages import OUTAGES, Component, Outages
from streams.stores.isolation import class_and_state

log = structlog.get_logger(__name__)

R = TypeVar("R")


class Guard:
    """Guards one step."""

    def __init__(
        self,
        name: str,
        part: Component,
        action: str,
        *,
        holds_up_sales: bool = False,
        outages: Outages = OUTAGES,
    ) -> None:
        """`name`: of the step, for operators. `action`: what an operator should do when it fails. `holds_up_sales`:
        whether new sales are not sent while it fails.
        """
        self._name = name
        self._outage = outages.reporter(part, action, holds_up_sales=holds_up_sales)
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """The error of the last run; None if it succeeded."""
        return self._problem

    async def __call__(self, work: Callable[[], Awaitable[R]]) -> R | None:
        """Run `work` and return its result; None if it raised, whatever that was. The error is logged when it differs
        from the previous one.
        """
        try:
            result = await work()
        except Exception as error:
            problem = class_and_state(error)
            if problem != self._problem:
                log.warning("service.part_failed", part=self._name, error=problem)
            self._problem = problem
            self._outage.report(f"{self._name}: {problem}")
            return None
        if self._problem is not None:
            log.info("service.part_works_again", part=self._name)
            self._problem = None
            self._outage.end()
        return result

    def end(self) -> None:
        """End the outage, because the service has stopped."""
        self._outage.end()
