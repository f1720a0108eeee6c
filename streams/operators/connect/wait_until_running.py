"""Waits until a connector is running, or has failed, and not only for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from streams.operators import Problem
from streams.operators.connect.api import ConnectApi, ConnectorStatus, TaskState
from streams.operators.connect.masking import reasons

_POLL_INTERVAL = 0.25
_SETTLED_AFTER = 3.0
"""Seconds that a status must last: a task is RUNNING for a moment even if its first step fails."""
_UNCHANGED_SETTLED_AFTER = 10.0
"""Seconds that the previous status must last: Kafka Connect shows it until it has taken the change over."""


async def wait_until_running(
    api: ConnectApi,
    name: str,
    *,
    before: ConnectorStatus | None,
    changed: bool,
    timeout_s: float,
    secrets: Iterable[str] = (),
) -> ConnectorStatus:
    """Wait until the connector and all of its tasks are RUNNING, and return that status.

    `changed` says whether the configuration was changed or the connector restarted just now, and `before` is the status
    before that. Raises `Problem` if something has failed or was paused, or does not run after `timeout_s` seconds.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout_s
    last, since, is_old = before, clock(), changed
    while True:
        status = await api.status(name)
        if status != last:
            last, since, is_old = status, clock(), False
        lasted = clock() - since
        settled_after = _UNCHANGED_SETTLED_AFTER if is_old else _SETTLED_AFTER if changed else 0
        if status is not None and lasted >= settled_after:
            if status.runs:
                return status
            failed = [part for part in status.all if part.state == "FAILED"]
            if failed:
                raise Problem(*explain_failure(name, status, secrets))
            if status.connector.state in ("PAUSED", "STOPPED"):
                raise Problem(
                    f"{name}: is {status.connector.state}: an operator did that, and this command does not undo it. "
                    f"Resume it: curl -X PUT {api.address}/connectors/{name}/resume"
                )
        if clock() >= deadline:
            seen = "; ".join(describe(status, secrets)) if status else "no status yet"
            raise Problem(
                f"{name}: does not run after {timeout_s:g} s ({seen}). Look at Kafka Connect's log, or allow more "
                "time with --timeout."
            )
        await asyncio.sleep(_POLL_INTERVAL)


def explain_failure(name: str, status: ConnectorStatus, secrets: Iterable[str]) -> list[str]:
    """Return lines about a failed connector: what has failed, why, and the action to take."""
    return [
        *(f"{name}: {line}" for line in describe(status, secrets)),
        f"{name}: it stays failed until an operator acts. Fix the cause; then `connectors restart`, or, if its file "
        "was wrong, `connectors deploy`.",
    ]


def describe(status: ConnectorStatus, secrets: Iterable[str]) -> list[str]:
    """Return a line for the connector and one for each task, followed by the reasons if it has failed."""
    lines = [*_lines("connector", status.connector, secrets)]
    for number, task in sorted(status.tasks.items()):
        lines += _lines(f"task {number}", task, secrets)
    return lines if status.tasks else [*lines, "no tasks"]


def _lines(what: str, part: TaskState, secrets: Iterable[str]) -> list[str]:
    lines = [f"{what}: {part.state} on {part.worker or 'no worker'}"]
    if part.state == "FAILED":
        lines += [f"  {reason}" for reason in reasons(part.trace, secrets)]
    return lines
