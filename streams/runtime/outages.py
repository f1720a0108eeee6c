"""Registry of the outages that this process is waiting for, reported by the code that waits.

The watchdog does not count a reported outage as a stall, and `/readyz` shows it. There is one registry per process, as
for logs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self, TypeAlias

Component: TypeAlias = Literal[
    "kafka",
    "sales_database",
    "gate",
    "journal",
    "redis",
    "write_back",
    "connector",
    "due",
    "polling",
    "capture",
    "transaction_log",
    "corrections",
]

VALID_FOR = 120.0
"""Seconds for which a report stays valid. The code that waits reports again on every try; a try that never ends stops
reporting, and the watchdog finds it.
"""


@dataclass(frozen=True, slots=True)
class Outage:
    """One component that is unavailable. Times are in seconds of the registry's clock."""

    part: Component
    what: str
    """Text for operators, without values of rows and without secrets."""
    action: str
    since: float
    until: float
    """When the report expires."""
    holds_up_sales: bool = True
    """False: it is a problem, but sales are still sent."""


class OutageReporter:
    """Reports one outage. Nothing is registered before the first call of `report`. As a context manager it ends the
    outage on exit.
    """

    def __init__(self, outages: Outages, part: Component, action: str, *, holds_up_sales: bool) -> None:
        self._outages = outages
        self._part = part
        self._action = action
        self._holds_up_sales = holds_up_sales

    def report(self, what: str, *, valid_for: float = VALID_FOR) -> None:
        """Register the outage, or renew it; to be called again on every try. The report expires after `valid_for`
        seconds.
        """
        self._outages.note(self, self._part, what, self._action, valid_for, holds_up_sales=self._holds_up_sales)

    def end(self) -> None:
        """Remove the outage from the registry."""
        self._outages.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class Outages:
    """The outages that are currently reported. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._reported: dict[OutageReporter, Outage] = {}
        self._sources: list[Callable[[], Outage | None]] = []

    def reporter(self, part: Component, action: str, *, holds_up_sales: bool = True) -> OutageReporter:
        """Return a reporter for outages of `part`. `action`: what an operator should do about them."""
        return OutageReporter(self, part, action, holds_up_sales=holds_up_sales)

    def add_source(self, source: Callable[[], Outage | None]) -> None:
        """Add a function that returns the current outage of a part that tracks it itself, or None."""
        self._sources.append(source)

    def note(
        self,
        reporter: OutageReporter,
        part: Component,
        what: str,
        action: str,
        valid_for: float,
        *,
        holds_up_sales: bool,
    ) -> None:
        """Register or renew the outage of `reporter`."""
        now = self.clock()
        known = self._reported.pop(reporter, None)  # removed and added again, so that the latest report comes last
        since = known.since if known else now
        self._reported[reporter] = Outage(part, what, action, since, now + valid_for, holds_up_sales)

    def forget(self, reporter: OutageReporter) -> None:
        """Remove the outage of `reporter`."""
        self._reported.pop(reporter, None)

    def current(self) -> list[Outage]:
        """Return one outage per component, with the text of its latest report and the earliest `since`. Expired reports
        are included.
        """
        by_part: dict[Component, Outage] = {}
        for outage in (*self._reported.values(), *(outage for source in self._sources if (outage := source()))):
            other = by_part.get(outage.part, outage)
            by_part[outage.part] = replace(
                outage,
                since=min(other.since, outage.since),
                until=max(other.until, outage.until),
                holds_up_sales=other.holds_up_sales or outage.holds_up_sales,
            )
        return list(by_part.values())

    def is_waiting_for(self, parts: Iterable[Component]) -> bool:
        """Return whether an outage of one of these components is reported and has not expired."""
        now, wanted = self.clock(), set(parts)
        return any(outage.part in wanted and outage.until > now for outage in self.current())


OUTAGES = Outages()
