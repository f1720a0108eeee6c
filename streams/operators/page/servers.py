"""How the servers are, each in a line: from what the worker waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streams.monitoring.exposition import ConnectorState
from streams.monitoring.health import Health
from streams.operators.page.texts import Translation
from streams.operators.page.worker_view import PARTS, WorkerView

ServerState = Literal["ok", "paused", "trouble", "unknown", "unused"]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    name: str
    state: ServerState
    says: str = ""
    since: datetime | None = None
    technically: str = ""
    """For the administrator, English."""


def parts(
    sight: WorkerView, say: Translation, reason_of_gate: str, connector: ConnectorState | None
) -> list[ServerStatus]:
    """`reason_of_gate`: why it closed, in words."""
    health = sight.health()
    troubles = {reason.part: reason for reason in health.reasons}
    found = [_part(health, name, say, reason_of_gate) for name in PARTS]
    if "worker" in troubles:
        found.insert(0, _part(health, "worker", say, ""))
    return [*found, _connector(sight, say, connector)]


def _part(health: Health, name: str, say: Translation, reason_of_gate: str) -> ServerStatus:
    trouble = next((reason for reason in health.reasons if reason.part == name), None)
    if trouble is None:
        return ServerStatus(name, "ok", say("gate_open") if name == "gate" else "")
    since = datetime.fromisoformat(trouble.since)
    if name == "gate":
        return ServerStatus(name, "paused", f"{reason_of_gate} {say('gate_closed')}", since)
    return ServerStatus(name, "trouble", say(f"say_{name}"), since, trouble.what)


def _connector(sight: WorkerView, say: Translation, connector: ConnectorState | None) -> ServerStatus:
    name = "connector"
    if not sight.has_connector:
        return ServerStatus(name, "unused", say("connector_none"))
    if connector is None:
        return ServerStatus(name, "unknown", say("connector_asking"))
    answers, runs = connector
    if not answers:
        return ServerStatus(name, "trouble", say("connector_away"))
    return (
        ServerStatus(name, "ok", say("connector_ok")) if runs else ServerStatus(name, "trouble", say("connector_down"))
    )
