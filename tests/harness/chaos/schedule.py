"""What goes wrong when: a plan that is a pure function of its seed, so that a run can be played again.

`faults` says how each kind is done and undone. No plan leaves what is promised (docs/decisions/0002): the national
system accepts nothing later after its client has given up, and no worker is frozen longer, than a lease's grace.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.local.stack import Capture

LEASE_GRACE = 4.0
"""Seconds, as the workers are told."""
LATEST = LEASE_GRACE - 1.2
"""Seconds that all faults of one moment together may make an acceptance late; the rest is for a busy machine."""
AT_ONCE = 3
_GAP = (0.3, 2.5)


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    target: str
    """What it is done to. Two faults of one target are never in force at the same time."""
    seconds: tuple[float, float] = (0.0, 0.0)
    """In force for so long. Zero: done once, and nothing to be undone."""
    drawn: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Parameters, each from a range."""
    latest: float = 0.0
    """Seconds by which it may make an acceptance late."""


@dataclass(frozen=True, slots=True)
class Fault:
    at: float
    """Seconds from the beginning."""
    kind: str
    seconds: float
    parameters: Mapping[str, float]

    @property
    def until(self) -> float:
        return self.at + self.seconds

    def __str__(self) -> str:
        drawn = ", ".join(f"{name} {value:.3g}" for name, value in self.parameters.items())
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind}{lasts}{f' ({drawn})' if drawn else ''}"


_WHICH = {"which": (0.0, 1.0)}
"""One of the workers."""
_DIRECTION = {"direction": (0.0, 3.0)}
"""Below 1 to the server, below 2 from it, else both."""
_ACCEPTED = {"accepted": (0.0, 1.0)}
"""From 0.5 on, the document is taken before its answer goes wrong."""
_SHARE = {"share": (0.4, 1.0)}
"""Of the calls."""
_API_LATENCY = 700.0


def _of_a_link(link: str, longest: float) -> list[Kind]:
    api = link == "api"
    slow = (100.0, _API_LATENCY) if api else (50.0, 1500.0)
    return [
        Kind(f"{link}_slow", link, (2, longest), {"latency_ms": slow}, latest=_API_LATENCY / 1000 if api else 0),
        Kind(f"{link}_thin", link, (2, longest), {"kb_a_second": (8, 60)}, latest=0.5 if api else 0),
        Kind(f"{link}_reset", link, (0.5, longest), dict(_DIRECTION)),
        Kind(f"{link}_half_open", link, (2, longest), dict(_DIRECTION)),
        Kind(f"{link}_closed", link, (0.5, longest)),
    ]


_OF_THE_ZOO = (
    # Whoever answers in the API's place: see `streams.local.simulator.zoo`.
    Kind("zoo_everywhere", "api", (1, 6), _ACCEPTED | _SHARE),
    Kind("zoo_of_look_alikes", "api", (1, 6), _ACCEPTED | _SHARE),
    Kind("zoo_on_create", "create", (1, 6), _ACCEPTED | _SHARE),
    Kind("zoo_on_replace", "replace", (1, 8), _ACCEPTED | _SHARE),
    Kind("zoo_on_withdraw", "withdraw", (1, 8), _ACCEPTED | _SHARE),
    Kind("zoo_on_look_up", "look_up", (1, 6), dict(_SHARE)),
    Kind("zoo_on_log_in", "login", (1, 6), dict(_SHARE)),
    Kind("zoo_for_one_shop", "shop", (1, 8), _ACCEPTED | _WHICH),
    Kind("sales_blocked", "create", (1, 6), _SHARE | {"status": (0.0, 5.0)}),
    Kind("withdrawals_blocked", "withdraw", (1, 8), _SHARE | {"status": (0.0, 5.0)}),
    Kind("log_in_page", "api", (1, 5), dict(_SHARE)),
    Kind("token_over_in_words", "api", (1, 5), dict(_SHARE)),
    Kind("maintenance_in_words", "api", (1, 6), _ACCEPTED | _SHARE),
    Kind("stale_not_found", "look_up", (1, 6), dict(_SHARE)),
    Kind("odd_retry_after", "api", (1, 5), _SHARE | {"form": (0.0, 5.0)}),
    Kind("other_forms", "forms", (2, 10), {"form": (0.0, 4.0)}),
)

_POISON = tuple(
    # Sales with one thing wrong that a point of sale can commit, each refused by itself; the last are odd, and right.
    Kind(name, "rows", drawn={"form": (0.0, 1.0)})
    for name in ("poison_amounts", "poison_days", "poison_lengths", "poison_letters", "poison_codes", "odd_letters")
)
_RECORDS = tuple(
    # What somebody else's producer writes to topics of ours: see `tests.harness.chaos.faults.records`.
    Kind(name, "records", drawn={"seed": (0.0, 1e6)})
    for name in (
        *("records_no_text", "records_deep", "records_of_huge_numbers", "records_of_odd_headers", "records_empty"),
        *("records_too_large", "records_compressed", "records_of_another_database", "decisions_forged"),
    )
)
_SILENCE = (
    # Who connects and says nothing, or next to nothing. What is silent between the servers is `_half_open`, below.
    Kind("web_silent", "web", (2, 12), dict(_WHICH)),
    Kind("web_slow_loris", "web", (2, 14), dict(_WHICH)),
    Kind("api_drips", "api", (1, 6), _SHARE | {"byte_s": (0.02, 0.5)}),
    Kind("api_silent_midway", "api", (1, 6), dict(_SHARE)),
)


KINDS: Sequence[Kind] = (
    Kind("worker_killed", "worker", drawn=dict(_WHICH)),
    Kind("worker_terminated", "worker", drawn=dict(_WHICH)),
    Kind("worker_frozen", "worker", (0.3, 1.0), dict(_WHICH), latest=1.0),
    Kind("worker_joins", "crew"),
    Kind("worker_leaves", "crew", drawn=dict(_WHICH)),
    Kind("broker_killed", "kafka", (0.5, 6)),
    Kind("broker_stopped", "kafka", (0.5, 6)),
    Kind("broker_frozen", "kafka", (1, 8)),
    Kind("database_restarted", "sql", (0, 3)),
    Kind("database_killed", "sql", (0, 4)),
    Kind("rows_locked", "sql", (2, 6)),
    Kind("lines_locked", "sql", (2, 6)),
    Kind("redis_stopped", "redis", (1, 8)),
    Kind("redis_killed", "redis", (0, 4)),
    Kind("redis_flushed", "redis"),
    Kind("redis_poisoned", "redis", drawn={"seed": (0.0, 1e6)}),
    Kind("mongo_stopped", "mongo", (1, 10)),
    Kind("mongo_killed", "mongo", (0, 5)),
    Kind("connect_killed", "connect", (0, 4)),
    Kind("capture_cut", "capture", (1, 6)),
    Kind("capture_half_open", "capture", (2, 6), dict(_DIRECTION)),
    *_of_a_link("kafka", 6),
    *_of_a_link("sql", 5),
    *_of_a_link("redis", 8),
    *_of_a_link("mongo", 8),
    *_of_a_link("api", 6),
    Kind("api_500", "api", (1, 6), _ACCEPTED | _SHARE),
    Kind("api_429", "api", (1, 5), {"retry_after_s": (1, 3)} | _SHARE),
    Kind("api_401_storm", "api", (1, 5), dict(_SHARE)),
    Kind("api_html", "api", (1, 6), _ACCEPTED | _SHARE | {"status": (0, 1)}),
    Kind("api_cut", "api", (1, 6), _ACCEPTED | _SHARE),
    Kind("api_truncated", "api", (1, 5), dict(_SHARE)),
    Kind("api_hangs", "api", (2, 6), dict(_SHARE), latest=0.3),
    Kind("api_accepts_late", "api", (2, 6), {"late_s": (0.0, 1.0)} | _SHARE, latest=1.0),
    Kind("api_answers_late", "api", (2, 6), {"late_s": (1.0, 6.0)} | _SHARE),
    Kind("tokens_expire", "tokens"),
    *_OF_THE_ZOO,
    *_POISON,
    *_RECORDS,
    *_SILENCE,
)


def kinds_with(capture: Capture) -> Sequence[Kind]:
    """With polling there is neither Kafka Connect nor its way to the other servers."""
    return [kind for kind in KINDS if capture == "cdc" or kind.target not in ("connect", "capture")]


def plan(seed: int, seconds: float, kinds: Sequence[Kind] = KINDS) -> list[Fault]:
    """Return faults in the order of their starts, all of them over by `seconds`; every sort before any is repeated."""
    rng = random.Random(f"chaos {seed}")
    known = {kind.name: kind for kind in kinds}
    faults: list[Fault] = []
    bag: list[Kind] = []
    at = rng.uniform(*_GAP)
    while at < seconds:
        if not bag:
            bag = rng.sample(list(kinds), len(kinds))
        in_force = [fault for fault in faults if fault.until > at]
        kind = next((kind for kind in bag if _fits(kind, at, seconds, in_force, known)), None)
        if kind is not None:
            bag.remove(kind)
            faults.append(_drawn(kind, at, seconds, rng))
        elif not in_force:
            break  # what is left in the bag takes longer than there is time
        at += rng.uniform(*_GAP)
    return faults


def _fits(kind: Kind, at: float, seconds: float, in_force: Sequence[Fault], known: Mapping[str, Kind]) -> bool:
    others = [known[fault.kind] for fault in in_force]
    return (
        len(others) < AT_ONCE
        and at + kind.seconds[0] < seconds
        and kind.target not in {other.target for other in others}
        and kind.latest + sum(other.latest for other in others) <= LATEST
    )


def _drawn(kind: Kind, at: float, seconds: float, rng: random.Random) -> Fault:
    shortest, longest = kind.seconds
    lasts = rng.uniform(shortest, min(longest, max(shortest, seconds - at)))
    return Fault(at, kind.name, lasts, {name: rng.uniform(*range_) for name, range_ in kind.drawn.items()})
