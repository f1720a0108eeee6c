"""What this process waits for, declared by whoever waits.

The watchdog forgives what is declared here, `/readyz` shows it. One registry per process, as with logs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self, TypeAlias

Component: TypeAlias = Literal["kafka", "sales_database", "gate", "journal", "redis", "write_back", "connector", "due"]

VALID_FOR = 120.0
"""Seconds for which a word is believed. Whoever waits says so with every try, so a try that never ends is found."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Times are those of the registry's clock."""

    part: Component
    what: str
    """For operators: no value of a row, no secret."""
    action: str
    since: float
    until: float
    """Believed until then."""
    holds_up_sales: bool = True
    """False: it is trouble, but sales still go out."""


class OutageReporter:
    """One who may have to wait. Nothing is declared before the first `say`."""

    def __init__(self, waits: Outages, part: Component, action: str, *, holds_up_sales: bool) -> None:
        self._waits = waits
        self._part = part
        self._remedy = action
        self._holds_up_sales = holds_up_sales

    def report(self, what: str, *, good_for: float = VALID_FOR) -> None:
        """Again with every try."""
        self._waits.note(self, self._part, what, self._remedy, good_for, holds_up_sales=self._holds_up_sales)

    def end(self) -> None:
        self._waits.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, document_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class Outages:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._declared: dict[OutageReporter, Outage] = {}
        self._sources: list[Callable[[], Outage | None]] = []

    def reporter(self, part: Component, action: str, *, holds_up_sales: bool = True) -> OutageReporter:
        return OutageReporter(self, part, action, holds_up_sales=holds_up_sales)

    def ask(self, source: Callable[[], Outage | None]) -> None:
        """For what knows by itself whether it waits."""
        self._sources.append(source)

    def note(
        self, who: OutageReporter, part: Component, what: str, action: str, good_for: float, *, holds_up_sales: bool
    ) -> None:
        now = self.clock()
        known = self._declared.pop(who, None)  # and back in: the last to speak stands last
        since = known.since if known else now
        self._declared[who] = Outage(part, what, action, since, now + good_for, holds_up_sales)

    def forget(self, who: OutageReporter) -> None:
        self._declared.pop(who, None)

    def current(self) -> list[Outage]:
        """One for each part, in the words of whoever spoke last."""
        found: dict[Component, Outage] = {}
        for wait in (*self._declared.values(), *(wait for source in self._sources if (wait := source()))):
            other = found.get(wait.part, wait)
            found[wait.part] = replace(
                wait,
                since=min(other.since, wait.since),
                until=max(other.until, wait.until),
                holds_up_sales=other.holds_up_sales or wait.holds_up_sales,
            )
        return list(found.values())

    def excuse(self, parts: Iterable[Component]) -> bool:
        """Whether one of these is waited for, and still believed."""
        now, among = self.clock(), set(parts)
        return any(wait.part in among and wait.until > now for wait in self.current())


OUTAGES = Outages()
