"""Ends this process for certain, so that its supervisor starts it again; and a thread that sees when the loop hangs."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

STALLED = 70
"""Exit code: it stood still (sysexits' EX_SOFTWARE)."""


SHUTDOWN_AFTER_DRAIN = 10.0
"""Seconds for what comes after the drain: commits, leaving the group, closing connections."""

_LAST_WORDS = 5.0
"""Seconds to write the log, which may be what hangs."""


def end_within(seconds: float, code: int = STALLED) -> None:
    """Whatever hangs, and without another word."""
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()


def end_now(code: int = STALLED) -> None:
    """Whatever hangs, threads included. What was logged is written."""
    end_within(_LAST_WORDS, code)
    for handler in list(logging.getLogger().handlers):
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def limit_shutdown(seconds: float, code: int = STALLED, end: Callable[[int], None] = end_now) -> None:
    """Whoever shuts down for longer than this hangs: Faust's producer waits for a broker that is away without end.
    What was not confirmed by then is done again, by whoever comes next."""

    def at_last() -> None:
        end_within(_LAST_WORDS, code)
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


def end_for_a_hanging_loop(where: str) -> None:
    end_within(_LAST_WORDS)
    log.error("watchdog.loop_hangs", stack=where, remedy="keep this log; the supervisor starts the worker again")
    end_now()


class LoopWatch:
    """A thread. `beat` is to be called on the event loop all the time; when it is not, the loop hangs."""

    def __init__(self, limit: int, *, every: float = 1.0, end: Callable[[str], None]) -> None:
        """`limit`: wake-ups of the thread in a row without a beat. Counted, not timed: a process that was stopped and
        goes on, or that gets no processor, wakes up as seldom as it beats. `end` is told where the main thread is."""
        self._limit = limit
        self._every = every
        self._end = end
        self._main = threading.get_ident()
        self._beaten = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def beat(self) -> None:
        self._beaten = True

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        missed = 0
        while not self._stop.wait(self._every):
            missed = 0 if self._beaten else missed + 1
            self._beaten = False
            if missed >= self._limit:
                self._end(self._where())
                return

    def _where(self) -> str:
        """Lines of code, no values."""
        frame = sys._current_frames().get(self._main)
        return "".join(traceback.format_stack(frame)) if frame else "unknown"
