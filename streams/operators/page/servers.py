"""How the servers are, each in a line: from what the worker waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streams.monitoring.exposition import Connector
from streams.monitoring.health import Health
from streams.operators.page.texts import Translation
from streams.operators.page.worker_view import PARTS, Sight

State = Literal["ok", "paused", "trouble", "unknown", "unused"]


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    state: State
    says: str = ""
    since: datetime | None = None
    technically: str = ""
    """For the administrator, English."""


def parts(sight: Sight, say: Translation, reason_of_gate: str, connector: Connector | None) -> list[Part]:
    """`reason_of_gate`: why it closed, in words."""
    health = sight.health()
    troubles = {reason.part: reason for reason in health.reasons}
    found = [_part(health, name, say, reason_of_gate) for name in PARTS]
    if "worker" in troubles:
        found.insert(0, _part(health, "worker", say, ""))
    return [*found, _connector(sight, say, connector)]


def _part(health: Health, name: str, say: Translation, reason_of_gate: str) -> Part:
    trouble = next((reason for reason in health.reasons if reason.part == name), None)
    if trouble is None:
        return Part(name, "ok", say("gate_open") if name == "gate" else "")
    since = datetime.fromisoformat(trouble.since)
    if name == "gate":
        return Part(name, "paused", f"{reason_of_gate} {say('gate_closed')}", since)
    return Part(name, "trouble", say(f"say_{name}"), since, trouble.what)


def _connector(sight: Sight, say: Translation, connector: Connector | None) -> Part:
    name = "connector"
    if not sight.has_connector:
        return Part(name, "unused", say("connector_none"))
    if connector is None:
        return Part(name, "unknown", say("connector_asking"))
    answers, runs = connector
    if not answers:
        return Part(name, "trouble", say("connector_away"))
    return Part(name, "ok", say("connector_ok")) if runs else Part(name, "trouble", say("connector_down"))
