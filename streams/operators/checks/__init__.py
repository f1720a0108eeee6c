"""What `doctor` looks at: each part is asked on its own, in bounded time; what was asked is judged purely."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    SKIPPED = "skipped"
    """Not looked at, and why."""
    WARNING = "warning"
    """Sales go out, or soon will; somebody should see to it."""
    ERROR = "error"
    """Sales, or what is told of them, stand still."""


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    """The part, and the thing in it."""
    level: Level
    what: str
    action: str = ""


def ok(about: str, what: str) -> Finding:
    return Finding(about, Level.OK, what)


def skipped(about: str, why: str) -> Finding:
    return Finding(about, Level.SKIPPED, why)


def warning(about: str, what: str, action: str) -> Finding:
    return Finding(about, Level.WARNING, what, action)


def error(about: str, what: str, action: str) -> Finding:
    return Finding(about, Level.ERROR, what, action)
