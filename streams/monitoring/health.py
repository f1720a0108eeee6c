"""The health of a worker, as its web server reports it. Reports contain no values of rows and no secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from streams.monitoring.stall_detector import Stall
from streams.runtime.outages import Outages


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a worker is not healthy, and what an operator should do. The fields are those of the JSON report."""

    part: str
    what: str
    since: str
    """RFC 3339, UTC."""
    action: str


@dataclass(frozen=True, slots=True)
class Health:
    """One health report."""

    status: str
    """One of ok, degraded (there is a problem, but sales are sent), not_ready and stalled."""
    reasons: Sequence[Obstacle] = ()

    @property
    def http_status(self) -> int:
        return 200 if self.status in ("ok", "degraded") else 503

    def as_json(self) -> Mapping[str, object]:
        return asdict(self)


def alive(stalled: Sequence[Stall], *, watched: bool) -> Health:
    """Return whether the worker makes progress. `watched`: the watchdog is running, or is switched off."""
    restarts = "none: the worker ends itself and is started again; keep its log"
    reasons = [
        Obstacle(stall.name, f"has work and makes no progress: {dict(stall.details)}", _ago(stall.seconds), restarts)
        for stall in stalled
    ]
    if not watched:
        reasons.append(Obstacle("watchdog", "has stopped watching", _ago(0), "restart the worker; keep its log"))
    return Health("stalled" if reasons else "ok", reasons)


def ready(outages: Outages, obstacles: Iterable[Obstacle]) -> Health:
    """Return whether the worker processes sales. `obstacles`: its own, in addition to the outages it waits for."""
    current = outages.current()
    own = list(obstacles)
    reasons = own + [
        Obstacle(outage.part, outage.what, _ago(outages.clock() - outage.since), outage.action) for outage in current
    ]
    if own or any(outage.holds_up_sales for outage in current):
        return Health("not_ready", reasons)
    return Health("degraded" if reasons else "ok", reasons)


def obstacle(part: str, what: str, action: str, for_s: float) -> Obstacle:
    """Return an obstacle that has been there for `for_s` seconds."""
    return Obstacle(part, what, _ago(for_s), action)


def _ago(seconds: float) -> str:
    """Return the time `seconds` ago, as RFC 3339 in UTC."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")
