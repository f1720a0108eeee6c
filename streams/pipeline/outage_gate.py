"""The outage gate: while the national API is down, nothing is started; one probe at a time finds out when it is back.

Pure: outcomes and a clock (seconds) in, permission out. `Admission` lets tasks wait at it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater
from streams.domain.reasons import REASON_TEXTS, TLS_PROBLEMS, Code
from streams.domain.sale_status import what_is_wrong
from streams.national_api.rate_limit import RateLimits
from streams.runtime.outages import VALID_FOR, Outage

log = structlog.get_logger(__name__)

_OUTAGE: Final = frozenset(
    {
        Code.UNREACHABLE,
        Code.TIMED_OUT,
        Code.CONNECTION_LOST,
        Code.API_ERROR,
        Code.RATE_LIMITED,
        Code.LOGIN_UNAVAILABLE,
        Code.LOOK_UP_FAILED,
        *TLS_PROBLEMS,
    }
)
"""Reasons that may be the API's trouble rather than one sale's or one shop's."""

_ACTIVE_FOR = 60.0
_ASKED_AT_MOST = 300.0
"""Seconds of a `Retry-After` that the gate obeys. One call in five minutes burdens nobody, while a page that asks for
a day would keep all shops from selling for a day. The sale that was told waits for as long as it was told to."""
_SHOPS_AT_MOST = 10
_FIRST_PAUSE = 1.0
_GENTLE_UNTIL = 64


@dataclass
class OutageGate:
    """`failures` in a row of one kind close it: of several shops, or of one where only one is active.

    To be asked to slow down is often meant for one account: there it takes half of the active shops, or ten.
    """

    failures: int
    longest_pause: float
    closed_since: float | None = None
    reason: Code | None = None
    latest: Reason | None = None
    """What the last one met that failed; the trouble may be another one by now than when it closed."""
    answers_since: float | None = None
    """The API has been answering from then on; None while it is closed, and until the first answer."""
    closings: Counter[Code] = field(default_factory=Counter)
    """How often it closed, by why."""
    probes_total: int = 0
    _streak: int = 0
    _streak_shops: set[str] = field(default_factory=set)
    _streak_documents: set[Hashable] = field(default_factory=set)
    _seen: dict[str, float] = field(default_factory=dict)
    _pause: float = _FIRST_PAUSE
    _next_probe: float = 0.0
    _probing: bool = False
    _probe_began: float = 0.0
    _allowed: int | None = None
    """After an outage: how many may run at once, growing with every success. None: as many as the window lets."""

    @property
    def is_open(self) -> bool:
        return self.closed_since is None

    @property
    def next_probe(self) -> float:
        """While it is closed."""
        return self._next_probe

    @property
    def probing(self) -> bool:
        return self._probing

    def wait(self, now: float, running: int) -> float | None:
        """Seconds until something may start: 0 for now, None for "when something ends"."""
        if self.is_open:
            return 0 if self._allowed is None or running < self._allowed else None
        if self._probing:
            return None
        return max(0.0, self._next_probe - now)

    def started(self, now: float) -> bool:
        """Whether what starts is a probe."""
        if self.is_open:
            return False
        self._probing = True
        self.probes_total += 1
        self._probe_began = now
        return True

    def ended(
        self, now: float, shop: str, outcome: Outcome | None, *, probe: bool = False, document: Hashable = None
    ) -> None:
        """`outcome`: None where the API was not asked. `document`: which it was."""
        if probe:
            self._probing = False
        match outcome:
            case Accepted() | Refused() | InDoubt(Reason(Code.NOT_YET_SHOWN | Code.CONTRADICTORY_ANSWERS)):
                self._answered(now, shop)
            case InDoubt(Reason(Code.NOT_TAKEN)) if not self.is_open and self.reason is not Code.NOT_TAKEN:
                self._answered(now, shop)  # the API itself did, to the look-up
            case InDoubt(Reason(Code.NOT_TAKEN) as reason, wait_s):
                if self.answers_since is None:
                    self.answers_since = now
                self._failed(now, shop, reason, wait_s or 0.0, probe, document)
            case TryLater(reason, wait_s) | InDoubt(reason, wait_s) if reason.code in _OUTAGE:
                self._failed(now, shop, reason, wait_s or 0.0, probe, document)
            case InDoubt(Reason(Code.UNCLEAR_ANSWER) as reason, wait_s, only_id_missing=False):
                # A firewall's or a maintenance page: no sale must be spent on it.
                self._failed(now, shop, reason, wait_s or 0.0, probe, document)
            case _:
                pass

    def _answered(self, now: float, shop: str) -> None:
        self._seen[shop] = now
        self._forget_streak()
        if self.answers_since is None:
            self.answers_since = now
        if not self.is_open:
            log.warning("gate.opened", closed_for_s=round(now - (self.closed_since or now), 1))
            self.closed_since = self.reason = self.latest = None
            self._pause = _FIRST_PAUSE
            self._allowed = 2
        elif self._allowed is not None:
            self._allowed += 1
            if self._allowed >= _GENTLE_UNTIL:
                self._allowed = None

    def _forget_streak(self) -> None:
        self._streak = 0
        self._streak_shops.clear()
        self._streak_documents.clear()

    def _failed(self, now: float, shop: str, reason: Reason, wait_s: float, probe: bool, document: Hashable) -> None:
        self._seen[shop] = now
        self.latest, code = reason, reason.code
        wait_s = min(wait_s, _ASKED_AT_MOST)
        if not self.is_open:
            at = now + max(_FIRST_PAUSE, wait_s)
            if probe:
                self._pause = min(self._pause * 2, self.longest_pause)
                # From its beginning: a probe that hung for long is followed by the next one soon.
                at = max(at, self._probe_began + self._pause)
            self._next_probe = max(self._next_probe, at)
            return
        if code != self.reason:
            self.reason = code
            self._forget_streak()
        self._streak_shops.add(shop)
        # A body that a firewall always refuses is that document's trouble alone: there, each document counts once.
        if code is Code.NOT_TAKEN:
            self._streak_documents.add(document)
            self._streak = len(self._streak_documents)
        else:
            self._streak += 1
        if self._streak >= self.failures and len(self._streak_shops) >= self._shops_needed(now, code):
            self.closed_since = now
            self.closings[code] += 1
            if code is not Code.NOT_TAKEN:
                self.answers_since = None
            self._next_probe = now + max(self._pause, wait_s)
            log.warning("gate.closed", reason=code.value, failures=self._streak, shops=len(self._streak_shops))

    def _shops_needed(self, now: float, code: Code) -> int:
        self._seen = {shop: at for shop, at in self._seen.items() if now - at <= _ACTIVE_FOR}
        active = len(self._seen)
        several = max(2, min((active + 1) // 2, _SHOPS_AT_MOST)) if code is Code.RATE_LIMITED else 2
        return min(active, several)


class Admission:
    """Where tasks wait until the gate lets them start."""

    def __init__(
        self, gate: OutageGate, clock: Callable[[], float] = time.monotonic, paces: RateLimits | None = None
    ) -> None:
        self.gate = gate
        self._paces = paces
        self._clock = clock
        self._running = 0
        self._waiting = 0
        self._changed = asyncio.Event()
        """Set, and replaced by a new one, whenever something may have become possible."""

    @property
    def is_open(self) -> bool:
        """For what brings work here: open, or in want of a probe that nobody who waits here could be.

        What failed as the gate closed waits in the database. Where no new sale comes, one of those has to find out.
        """
        if self.gate.is_open:
            return True
        return not self._waiting and not self.gate.probing and self._clock() >= self.gate.next_probe

    @property
    def answering_for(self) -> float | None:
        """Seconds for which the API has been answering; None: it is not known to."""
        since = self.gate.answers_since
        return None if since is None else self._clock() - since

    @property
    def closed_for(self) -> float:
        """Seconds; 0: it is open."""
        since = self.gate.closed_since
        return 0.0 if since is None else self._clock() - since

    def declared(self) -> Outage | None:
        """For `streams.runtime.outages`, whose clock is ours. Believed while probes are made, or as long as they may
        take."""
        gate = self.gate
        if gate.closed_since is None:
            return None
        reason = gate.latest.code.value if gate.latest else "unknown"
        action = "nothing; if it lasts, check the line to the national system"
        if gate.latest and gate.latest.code in TLS_PROBLEMS:
            reason = f"{gate.latest.code}: {what_is_wrong(gate.latest).en.removesuffix(';')}"
            action = REASON_TEXTS[gate.latest.code].action_en
        return Outage(
            "gate",
            f"closed: {reason}; probes go out, a minute apart at most",
            action,
            gate.closed_since,
            gate.next_probe + VALID_FOR,
        )

    async def worth_taking_in(self) -> None:
        """Holds intake back while the gate is closed and somebody waits here already, who can be the probe."""
        while self._waiting and not self.gate.is_open:
            await self._changed.wait()

    async def enter(self) -> bool:
        """Returns when work may start, and whether it is a probe; `leave` must follow."""
        self._waiting += 1
        try:
            while (wait := self.gate.wait(self._clock(), self._running)) != 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._wake()
        self._running += 1
        return self.gate.started(self._clock())

    async def wait_for_rate_limit(self, shop: str) -> bool:
        """Once inside, before a claim is taken: waits until the rate limit lets another begin. False: not in time."""
        return self._paces is None or await self._paces.acquire(shop)

    def leave(self, shop: str, outcome: Outcome | None, *, probe: bool, document: Hashable = None) -> None:
        """Waits for nothing, so that no cancellation can keep a place taken."""
        self._running -= 1
        self.gate.ended(self._clock(), shop, outcome, probe=probe, document=document)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
