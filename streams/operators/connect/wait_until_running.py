"""Waits until a connector really runs, or has really failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from streams.operators import Problem
from streams.operators.connect.api import ConnectApi, ConnectorStatus, TaskState
from streams.operators.connect.masking import reasons

_PAUSE = 0.25
_SETTLED = 3.0
"""Seconds for which a state must stand: a task is RUNNING for a moment even if its first step fails."""
_SETTLED_IF_OLD = 10.0
"""Kafka Connect takes a change over in its own time, and shows the state of before until then."""


async def until_running(
    api: ConnectApi,
    name: str,
    *,
    before: ConnectorStatus | None,
    changed: bool,
    patience: float,
    secrets: Iterable[str] = (),
) -> ConnectorStatus:
    """The status, with the connector and all of its tasks RUNNING.

    `before`: the status as it was before a change or restart, if there was one (`changed`). Raises `Problem` when
    something failed, was paused, or does not run after `patience` seconds.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + patience
    last, since, is_old = before, clock(), changed
    while True:
        status = await api.status(name)
        if status != last:
            last, since, is_old = status, clock(), False
        stood = clock() - since
        if status is not None and stood >= (_SETTLED_IF_OLD if is_old else _SETTLED if changed else 0):
            if status.runs:
                return status
            failed = [part for part in status.all if part.state == "FAILED"]
            if failed:
                raise Problem(*explain(name, status, secrets))
            if status.connector.state in ("PAUSED", "STOPPED"):
                raise Problem(
                    f"{name}: is {status.connector.state}: somebody did that, and it is not undone here. "
                    f"Resume it: curl -X PUT {api.address}/connectors/{name}/resume"
                )
        if clock() >= until:
            seen = "; ".join(describe(status, secrets)) if status else "no status yet"
            raise Problem(
                f"{name}: does not run after {patience:g} s ({seen}). Look at Kafka Connect's log, or give it longer "
                "with --timeout."
            )
        await asyncio.sleep(_PAUSE)


def explain(name: str, status: ConnectorStatus, secrets: Iterable[str]) -> list[str]:
    """Of a connector that failed: what and why, and the remedy."""
    return [
        *(f"{name}: {line}" for line in describe(status, secrets)),
        f"{name}: it stays failed until somebody acts. Remove the cause; then `connectors restart`, or, if its file is "
        "what to correct, `connectors deploy`.",
    ]


def describe(status: ConnectorStatus, secrets: Iterable[str]) -> list[str]:
    """A line for the connector and each task; under a failed one, why."""
    lines = [*_lines("connector", status.connector, secrets)]
    for number, task in sorted(status.tasks.items()):
        lines += _lines(f"task {number}", task, secrets)
    return lines if status.tasks else [*lines, "no tasks"]


def _lines(what: str, part: TaskState, secrets: Iterable[str]) -> list[str]:
    lines = [f"{what}: {part.state} on {part.worker or 'no worker'}"]
    if part.state == "FAILED":
        lines += [f"  {reason}" for reason in reasons(part.trace, secrets)]
    return lines
