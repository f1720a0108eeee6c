"""How long processors worked for a test, which a busy machine hardly changes, as it changes the time by the clock."""

from __future__ import annotations

from contextlib import suppress

import psutil


def processor_seconds() -> float:
    """Return the processor time, user and system, that this process has used and all below it, the servers too."""
    this = psutil.Process()
    total = 0.0
    for process in (this, *this.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            own = process.cpu_times()
            ended = own.children_user + own.children_system
            total += own.user + own.system + ended
    return total
