"""An answer that breaks our own reading proves nothing, and is the API's trouble: the next one may break it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

R = TypeVar("R")
E = TypeVar("E")

log = structlog.get_logger(__name__)


def read_or(read: Callable[[], R], otherwise: E) -> R | E:
    """`otherwise`: a reason that closes the gate where it comes again and again, instead of a mistake of ours that no
    gate knows."""
    try:
        return read()
    except Exception as error:
        log.error("national_api.unreadable", error=type(error).__name__, action="keep this log")
        return otherwise
