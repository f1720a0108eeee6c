"""Whether a `CancelledError` is meant for us."""

from __future__ import annotations

import asyncio


def is_cancelled() -> bool:
    """Whether somebody has asked the current task to end, as against work that raises `CancelledError` by itself; true
    also where that was swallowed on its way."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
