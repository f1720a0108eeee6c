"""A thread that sees when the event loop hangs, and ends the process then."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable

import structlog

from streams.runtime.process_exit import LAST_WORDS, end_now, end_within

log = structlog.get_logger(__name__)


def end_for_a_hanging_loop(where: str) -> None:
    end_within(LAST_WORDS)
    log.error("watchdog.loop_hangs", stack=where, action="keep this log; the supervisor starts the worker again")
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
