"""The state of each server in one line, derived from the outages that the worker reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streams.monitoring.exposition import ConnectorState
from streams.monitoring.health import Health
from streams.operators.page.texts import Translation
from streams.operators.page.worker_view import PARTS, LastPoll, WorkerView

ServerState = Literal["ok", "paused", "problem", "unknown", "unused"]


SHOWN_IN_TROUBLE = ("capture", "transaction_log", "corrections")


@dataclass(frozen=True, slots=True)
class ServerStatus:
    name: str
    state: ServerState
    text: str = ""
    since: datetime | None = None
    technical_detail: str = ""
    """A text for the administrator, in English."""


def parts(
    worker_view: WorkerView,
    translation: Translation,
    gate_reason: str,
    connector: ConnectorState | None,
    polled: LastPoll | None = None,
) -> list[ServerStatus]:
    """Return the state of all servers; `gate_reason` is the text that says why the gate is closed."""
    health = worker_view.health()
    statuses = [_part(health, name, translation, gate_reason) for name in PARTS]
    if any(reason.part == "worker" for reason in health.reasons):
        statuses.insert(0, _part(health, "worker", translation, ""))
    if worker_view.polled is not None:
        statuses.append(_polling(health, translation, polled))
    else:
        statuses.append(_connector(worker_view, translation, connector))
    troubled = {reason.part for reason in health.reasons}
    return statuses + [_part(health, name, translation, "") for name in SHOWN_IN_TROUBLE if name in troubled]


def _polling(health: Health, translation: Translation, polled: LastPoll | None) -> ServerStatus:
    status = _part(health, "polling", translation, "")
    if status.state == "ok" and polled is None:
        return ServerStatus("polling", "unused", translation("polled_elsewhere"))
    return status


def _part(health: Health, name: str, translation: Translation, gate_reason: str) -> ServerStatus:
    problem = next((reason for reason in health.reasons if reason.part == name), None)
    if problem is None:
        return ServerStatus(name, "ok", translation("gate_open") if name == "gate" else "")
    since = datetime.fromisoformat(problem.since)
    if name == "gate":
        return ServerStatus(name, "paused", f"{gate_reason} {translation('gate_closed')}", since)
    return ServerStatus(name, "problem", translation(f"outage_{name}"), since, problem.what)


def _connector(worker_view: WorkerView, translation: Translation, connector: ConnectorState | None) -> ServerStatus:
    name = "connector"
    if not worker_view.has_connector:
        return ServerStatus(name, "unused", translation("connector_none"))
    if connector is None:
        return ServerStatus(name, "unknown", translation("connector_asking"))
    answers, runs = connector
    if not answers:
        return ServerStatus(name, "problem", translation("connector_away"))
    if not runs:
        return ServerStatus(name, "problem", translation("connector_down"))
    return ServerStatus(name, "ok", translation("connector_ok"))
