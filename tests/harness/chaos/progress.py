"""Decides whether something moves: a standstill is accepted while it has a cause, and never for longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

LONGEST = 60.0
"""Seconds of standing still without a cause."""


@dataclass
class Progress:
    stalls: list[str] = field(default_factory=list)
    longest: float = 0.0
    """Seconds without a cause, of all standstills."""
    _mark: object = None
    _still: float = 0.0
    _at: float | None = None
    _said: bool = False

    def look(self, now: float, *, mark: object, pending: int, causes: Sequence[str]) -> None:
        """`mark` changes with everything that is decided. `causes`: faults in force, and declared waits."""
        gap = 0.0 if self._at is None else now - self._at
        self._at = now
        if mark != self._mark or not pending:
            self._mark, self._still, self._said = mark, 0.0, False
        elif not causes:
            self._still += gap
        self.longest = max(self.longest, self._still)
        if self._still > LONGEST and not self._said:
            self._said = True
            self.stalls.append(f"{pending} sales were pending and nothing moved for {self._still:.0f} s")
