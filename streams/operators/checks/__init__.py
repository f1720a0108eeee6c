"""The checks of `doctor`. Each part has a `probe_...` function, which asks a server in bounded time, and a pure
`judge_...` function, which turns what was found into findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    SKIPPED = "skipped"
    """The part was not examined; `what` says why."""
    WARNING = "warning"
    """Sales are being sent, or soon will be, but somebody should act."""
    ERROR = "error"
    """Sales are not sent, or their results are not published or written back."""


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    """The part that was examined, and the item in it."""
    level: Level
    what: str
    """What was found, without a subject ('is missing')."""
    action: str = ""
    """What to do about a warning or an error."""


def ok(about: str, what: str) -> Finding:
    return Finding(about, Level.OK, what)


def skipped(about: str, why: str) -> Finding:
    return Finding(about, Level.SKIPPED, why)


def warning(about: str, what: str, action: str) -> Finding:
    return Finding(about, Level.WARNING, what, action)


def error(about: str, what: str, action: str) -> Finding:
    return Finding(about, Level.ERROR, what, action)
