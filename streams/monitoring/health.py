"""What the worker's web server answers to those who ask how it is. No values, no secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from streams.monitoring.stall_detector import Stall
from streams.runtime.outages import Outages


@dataclass(frozen=True, slots=True)
class Obstacle:
    part: str
    what: str
    since: str
    """RFC 3339, UTC."""
    action: str


@dataclass(frozen=True, slots=True)
class Health:
    status: str
    """ok; degraded: there is trouble, but sales go out; not_ready; stalled."""
    reasons: Sequence[Obstacle] = ()

    @property
    def http_status(self) -> int:
        return 200 if self.status in ("ok", "degraded") else 503

    def as_json(self) -> Mapping[str, object]:
        return asdict(self)


def alive(still: Sequence[Stall], *, watched: bool) -> Health:
    """`watched`: the watchdog looks, or is switched off."""
    restarts = "none: it ends itself and is started again; keep its log"
    reasons = [
        Obstacle(each.name, f"has something to do and does not move: {dict(each.seen)}", _ago(each.seconds), restarts)
        for each in still
    ]
    if not watched:
        reasons.append(Obstacle("watchdog", "does not look any more", _ago(0), "restart the worker; keep its log"))
    return Health("stalled" if reasons else "ok", reasons)


def ready(waits: Outages, obstacles: Iterable[Obstacle]) -> Health:
    """`obstacles`: of the worker itself, beside what it waits for."""
    standing = waits.current()
    own = list(obstacles)
    reasons = own + [Obstacle(w.part, w.what, _ago(waits.clock() - w.since), w.action) for w in standing]
    if own or any(wait.holds_up_sales for wait in standing):
        return Health("not_ready", reasons)
    return Health("degraded" if reasons else "ok", reasons)


def obstacle(part: str, what: str, action: str, for_s: float) -> Obstacle:
    return Obstacle(part, what, _ago(for_s), action)


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")
