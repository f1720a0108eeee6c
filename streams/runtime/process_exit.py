"""Ends this process for certain, so that its supervisor starts it again; and a thread that sees when the loop hangs."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

STALLED = 70
"""Exit code: it stood still (sysexits' EX_SOFTWARE)."""


SHUTDOWN_AFTER_DRAIN = 10.0
"""Seconds for what comes after the drain: commits, leaving the group, closing connections."""

LAST_WORDS = 5.0
"""Seconds to write the log, which may be what hangs."""


def end_within(seconds: float, code: int = STALLED) -> None:
    """Whatever hangs, and without another word."""
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()


def end_now(code: int = STALLED) -> None:
    """Whatever hangs, threads included. What was logged is written."""
    end_within(LAST_WORDS, code)
    for handler in list(logging.getLogger().handlers):
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def limit_shutdown(seconds: float, code: int = STALLED, end: Callable[[int], None] = end_now) -> None:
    """Whoever shuts down for longer than this hangs: Faust's producer waits for a broker that is away without end.
    What was not confirmed by then is done again, by whoever comes next."""

    def at_last() -> None:
        end_within(LAST_WORDS, code)
        log.error("process.shutdown_hangs", after_s=seconds)
        end(code)

    timer = threading.Timer(seconds, at_last)
    timer.daemon = True
    timer.start()


def end_in_order(seconds: float, code: int = STALLED, end: Callable[[int], None] = end_now) -> None:
    """As on SIGTERM: what is in flight ends, what is done is committed. After `seconds` it ends all the same."""
    limit_shutdown(seconds, code, end)
    atexit.register(end, code)  # Faust itself would say 0
    os.kill(os.getpid(), signal.SIGTERM)
