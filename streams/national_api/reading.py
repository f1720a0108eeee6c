"""An answer that makes our own reader fail proves nothing. It counts as a problem of the API, since the next may do so
too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

R = TypeVar("R")
E = TypeVar("E")

log = structlog.get_logger(__name__)


def read_or(read: Callable[[], R], otherwise: E) -> R | E:
    """Return what `read` returns; `otherwise` if it raises anything. `otherwise` is a reason that closes the outage
    gate when it comes again and again, which an exception would not."""
    try:
        return read()
    except Exception as error:
        log.error("national_api.unreadable", error=type(error).__name__, action="keep this log")
        return otherwise
