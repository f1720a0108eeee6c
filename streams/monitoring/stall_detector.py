"""Has anything moved that should? Pure: looks and a clock in, what stands still out.
`streams.monitoring.progress_watch` acts on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one thing."""

    name: str
    busy: bool
    """It has something to do."""
    mark: Hashable
    """Anything that changes as it goes on."""
    excused: bool = False
    """It waits for something that is declared (`streams.runtime.outages`)."""
    seen: Mapping[str, object] = field(default_factory=dict)
    """For the log."""


@dataclass(frozen=True, slots=True)
class Stall:
    """It had something to do, no excuse, and did not move."""

    name: str
    seconds: float
    seen: Mapping[str, object]


@dataclass(slots=True)
class _Watched:
    mark: Hashable
    still: float = 0.0


class StallDetector:
    def __init__(self, after: float, longest_gap: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`after`: seconds of standing still that are too many. `longest_gap`: what one look counts for at most, so
        that a process that was itself stopped for an hour is not blamed for it."""
        self.after = after
        self._longest_gap = longest_gap
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._looked_at: float | None = None
        self.stalled: list[Stall] = []
        """As of the last look."""

    @property
    def still(self) -> dict[str, float]:
        """All that is watched, and for how many seconds each has not moved although it should have."""
        return {name: watched.still for name, watched in self._watched.items()}

    def look(self, sights: Iterable[Sample]) -> list[Stall]:
        """What has stood still for too long."""
        now = self._clock()
        gap = 0.0 if self._looked_at is None else min(now - self._looked_at, self._longest_gap)
        self._looked_at = now
        self.stalled = []
        known, self._watched = self._watched, {}  # what could not be seen this time gets its time again
        for sight in sights:
            watched = self._watched[sight.name] = known.get(sight.name) or _Watched(sight.mark)
            if sight.name not in known or not sight.busy or sight.excused or sight.mark != watched.mark:
                watched.still = 0.0
            else:
                watched.still += gap
            watched.mark = sight.mark
            if watched.still >= self.after:
                self.stalled.append(Stall(sight.name, watched.still, sight.seen))
        return self.stalled
