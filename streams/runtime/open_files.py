"""The limit of open files and connections of this process. A worker that has reached it cannot send anything."""

from __future__ import annotations

import resource
from contextlib import suppress

from streams.runtime.web_server import MAX_CONNECTIONS
from streams.settings import Settings

_OTHERS = 200
"""Files for Kafka, Redis, MongoDB, the log and the libraries, with room to spare."""


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard limit. systemd and many shells set the soft limit to 1,024 for the
    sake of old programs. Where raising it is refused the limit stays, and `doctor` reports whether it is enough.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_open_files() -> int | None:
    """Return the hard limit of open files; None where there is none."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def open_files_needed(settings: Settings) -> int:
    """Return how many open files a worker needs when it does everything at once that its settings allow."""
    return settings.max_in_flight + settings.sales_db_connections + MAX_CONNECTIONS + _OTHERS
