"""A thread that detects when the event loop hangs, and then ends the process."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable

import structlog

from streams.runtime.process_exit import LOG_FLUSH_TIMEOUT, exit_now, exit_within

log = structlog.get_logger(__name__)


def exit_because_loop_hangs(stack: str) -> None:
    """Log where the event loop hangs, and exit. The process exits even if the log cannot be written."""
    exit_within(LOG_FLUSH_TIMEOUT)
    log.error("watchdog.loop_hangs", stack=stack, action="keep this log; the supervisor starts the worker again")
    exit_now()


class LoopWatch:
    """Watches the event loop from a thread. `beat` is called on the loop all the time; when the calls stop, the loop
    hangs.
    """

    def __init__(self, limit: int, *, every: float = 1.0, on_hang: Callable[[str], None]) -> None:
        """`limit`: wake-ups of the thread in a row without a beat after which the loop counts as hanging. They are
        counted, not timed: a process that was stopped and resumed, or that gets no CPU time, beats as rarely as its
        thread wakes up. `every`: seconds between wake-ups. `on_hang` is called in the thread, with the stack of the
        main thread.
        """
        self._limit = limit
        self._every = every
        self._on_hang = on_hang
        self._loop_thread = threading.get_ident()
        self._beaten = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def beat(self) -> None:
        """Note that the event loop runs."""
        self._beaten = True

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        missed = 0
        while not self._stop.wait(self._every):
            missed = 0 if self._beaten else missed + 1
            self._beaten = False
            if missed >= self._limit:
                self._on_hang(self._stack_of_loop())
                return

    def _stack_of_loop(self) -> str:
        """Return the stack of the event loop's thread: lines of code, no values."""
        frame = sys._current_frames().get(self._loop_thread)
        return "".join(traceback.format_stack(frame)) if frame else "unknown"
