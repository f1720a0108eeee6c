"""Finds what has work but makes no progress. Pure: samples and a clock in, stalls out.

`streams.monitoring.progress_watch` takes the samples and acts on the stalls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of one watched part at one moment."""

    name: str
    busy: bool
    """The part has work to do."""
    progress_marker: Hashable
    """Any value that changes whenever the part makes progress."""
    waits_for_outage: bool = False
    """The part waits for a reported outage (`streams.runtime.outages`), so a lack of progress is expected."""
    details: Mapping[str, object] = field(default_factory=dict)
    """What was sampled, for the log."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A part that had work, did not wait for an outage, and made no progress for `seconds`."""

    name: str
    seconds: float
    details: Mapping[str, object]


@dataclass(slots=True)
class _Watched:
    progress_marker: Hashable
    stalled_for: float = 0.0


class StallDetector:
    """Compares each sample with the one before it."""

    def __init__(self, after: float, longest_gap: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`after`: seconds without progress that make a stall. `longest_gap`: the most seconds that count between two
        checks, so that a process that was itself stopped for an hour is not blamed for it.
        """
        self.after = after
        self._longest_gap = longest_gap
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._checked_at: float | None = None
        self.stalled: list[Stall] = []
        """The stalls that the last check found."""

    @property
    def stalled_for(self) -> dict[str, float]:
        """For each watched part the seconds in which it should have made progress and did not."""
        return {name: watched.stalled_for for name, watched in self._watched.items()}

    def check(self, samples: Iterable[Sample]) -> list[Stall]:
        """Compare `samples` with the previous ones and return the parts that have stalled."""
        now = self._clock()
        gap = 0.0 if self._checked_at is None else min(now - self._checked_at, self._longest_gap)
        self._checked_at = now
        self.stalled = []
        known, self._watched = self._watched, {}  # a part without a sample this time starts from zero again
        for sample in samples:
            watched = self._watched[sample.name] = known.get(sample.name) or _Watched(sample.progress_marker)
            has_moved = sample.name not in known or sample.progress_marker != watched.progress_marker
            if has_moved or not sample.busy or sample.waits_for_outage:
                watched.stalled_for = 0.0
            else:
                watched.stalled_for += gap
            watched.progress_marker = sample.progress_marker
            if watched.stalled_for >= self.after:
                self.stalled.append(Stall(sample.name, watched.stalled_for, sample.details))
        return self.stalled
