"""Tells a cancellation of the current task from a `CancelledError` that something else raised."""

from __future__ import annotations

import asyncio


def is_cancelled() -> bool:
    """Return whether the current task was asked to cancel, in contrast to awaited work that raised `CancelledError` by
    itself. It also returns True where the request was made but the exception was swallowed on its way.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
