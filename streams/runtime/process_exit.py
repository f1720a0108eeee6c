"""Ends the process reliably, whatever hangs, so that its supervisor starts it again."""

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
"""Exit code of a worker that stalled (EX_SOFTWARE of sysexits.h)."""

WRONG_SETTINGS = 2
"""Exit code after which a supervisor must not start the worker again: somebody has to change something first."""

SHUTDOWN_AFTER_DRAIN = 10.0
"""Seconds for what follows the drain: committing offsets, leaving the consumer group, closing connections."""

LOG_FLUSH_TIMEOUT = 5.0
"""Seconds for writing the last log lines. Writing the log may itself be what hangs."""


def exit_within(seconds: float, code: int = STALLED) -> None:
    """Exit after `seconds` from a timer thread, whatever hangs and without flushing the log."""
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()


def exit_now(code: int = STALLED) -> None:
    """Flush the log and exit at once, whatever hangs, threads included."""
    exit_within(LOG_FLUSH_TIMEOUT, code)
    flush_and_exit(code)


def flush_and_exit(code: int = STALLED) -> None:
    """Flush the log and exit. Unlike `exit_now` it needs a timer that runs already: Python 3.12 starts no thread once
    it shuts down.
    """
    for handler in list(logging.getLogger().handlers):
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def limit_shutdown(seconds: float, code: int = STALLED, end: Callable[[int], None] = flush_and_exit) -> None:
    """Exit with `code` if the process has not ended after `seconds`. A shutdown that takes longer hangs: Faust's
    producer waits without end for a broker that is unavailable. What was not confirmed by then is done again by the
    next worker.
    """

    exit_within(seconds + LOG_FLUSH_TIMEOUT, code)

    def give_up_waiting() -> None:
        log.error("process.shutdown_hangs", after_s=seconds)
        end(code)

    timer = threading.Timer(seconds, give_up_waiting)
    timer.daemon = True
    timer.start()


def exit_gracefully(seconds: float, code: int = STALLED, end: Callable[[int], None] = flush_and_exit) -> None:
    """Shut down as on SIGTERM, finishing and committing the work in flight, and exit with `code`. Exit anyway after
    `seconds`.
    """
    limit_shutdown(seconds, code, end)
    atexit.register(end, code)  # Faust itself would exit with 0
    os.kill(os.getpid(), signal.SIGTERM)
