"""A clock that a test moves."""

from __future__ import annotations


class Clock:
    """Gives seconds since the epoch, moved by hand."""

    def __init__(self, now: float = 1_795_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
