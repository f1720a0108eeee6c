"""How many files and connections this process may have open. Where there are none left nothing can be sent."""

from __future__ import annotations

import resource
from contextlib import suppress

from streams.runtime.web_server import MOST_CONNECTIONS
from streams.settings import Settings

_OTHERS = 200
"""Kafka, Redis, MongoDB, the log, the libraries' own files; with room to spare."""


def raise_limit() -> None:
    """To what the system allows at most. systemd and many shells begin with 1,024, since old programs can bear no more.
    Where that is refused the limit stays, and doctor says whether it is enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_allowed() -> int | None:
    """None: as many as the machine has."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def needed(settings: Settings) -> int:
    """By a worker that does all at once that its settings let it do."""
    return settings.max_in_flight + settings.sales_db_connections + MOST_CONNECTIONS + _OTHERS
