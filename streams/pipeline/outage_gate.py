"""The outage gate, a circuit breaker: while the national API is down no attempt starts, and one probe at a time finds
out when it is back.

`OutageGate` is pure: outcomes and a clock (seconds) in, permission out. `Admission` lets tasks wait at it.
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

from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater, Withdrawn
from streams.domain.reasons import REASON_TEXTS, TLS_PROBLEMS, Code
from streams.domain.sale_status import problem_text
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
"""Reasons that may mean that the API is unavailable, rather than that one sale or one shop has a problem."""

_ACTIVE_FOR = 60.0
"""Seconds for which a shop counts as active after an attempt."""
_MAX_RETRY_AFTER = 300.0
"""Seconds of a `Retry-After` that the gate obeys at most. One call in five minutes burdens nobody, while a page that
requests a day would keep all shops from selling for a day. The sale that received the answer itself waits for the full
time.
"""
_MAX_SHOPS_NEEDED = 10
"""Shops that must be rate limited, at most, before the gate closes."""
_FIRST_PAUSE = 1.0
"""Seconds before the first probe."""
_GENTLE_UNTIL = 64
"""Attempts at once at which the slow restart after an outage ends."""


@dataclass
class OutageGate:
    """Closes after `failures` failures in a row for the same reason, of several shops, or of one where only one is
    active.

    A rate limit is often meant for one account: for that reason the gate closes only when half of the active shops, or
    ten, have met it.

    `longest_pause`: seconds between two probes at most.
    """

    failures: int
    longest_pause: float
    closed_since: float | None = None
    reason: Code | None = None
    latest: Reason | None = None
    """The reason of the last failure. It may differ from the reason for which the gate closed."""
    answers_since: float | None = None
    """Since when the API has been answering; None while the gate is closed for an unavailable API, and until the first
    answer.
    """
    closings: Counter[Code] = field(default_factory=Counter)
    """How often the gate closed, by reason."""
    probes_total: int = 0
    _streak: int = 0
    _streak_shops: set[str] = field(default_factory=set)
    _streak_documents: set[Hashable] = field(default_factory=set)
    _active_shops: dict[str, float] = field(default_factory=dict)
    _pause: float = _FIRST_PAUSE
    _next_probe: float = 0.0
    _probing: bool = False
    _probe_started_at: float = 0.0
    _max_running: int | None = None
    """How many attempts may run at once after an outage; it grows with every success. None: as many as the window
    allows.
    """

    @property
    def is_open(self) -> bool:
        """Whether attempts may start without being a probe."""
        return self.closed_since is None

    @property
    def next_probe(self) -> float:
        """When the next probe may start; meaningful while the gate is closed."""
        return self._next_probe

    @property
    def probing(self) -> bool:
        """Whether a probe is running."""
        return self._probing

    def wait(self, now: float, running: int) -> float | None:
        """Return the seconds until another attempt may start: 0 for now, None for "when a running one ends"."""
        if self.is_open:
            return 0 if self._max_running is None or running < self._max_running else None
        if self._probing:
            return None
        return max(0.0, self._next_probe - now)

    def started(self, now: float) -> bool:
        """Note that an attempt starts; return whether it is a probe."""
        if self.is_open:
            return False
        self._probing = True
        self.probes_total += 1
        self._probe_started_at = now
        return True

    def ended(
        self,
        now: float,
        shop: str,
        outcome: Outcome | None,
        *,
        probe: bool = False,
        document: Hashable = None,
        withdrawal: bool = False,
    ) -> None:
        """Note that an attempt has ended. `outcome`: None where no request was sent to the API. `document`: identifies
        the document, for failures that count once per document. `withdrawal`: strangers' answers to it close no gate,
        as many firewalls block the method DELETE alone.
        """
        if probe:
            self._probing = False
        match outcome:
            case (
                Accepted() | Withdrawn() | Refused() | InDoubt(Reason(Code.NOT_YET_SHOWN | Code.CONTRADICTORY_ANSWERS))
            ):
                self._answered(now, shop)
            case InDoubt(Reason(Code.NOT_TAKEN)) if not self.is_open and self.reason is not Code.NOT_TAKEN:
                self._answered(now, shop)  # the API itself has answered the look-up
            case InDoubt(Reason(Code.UNCLEAR_ANSWER)) if withdrawal:
                pass
            case InDoubt(Reason(Code.NOT_TAKEN) as reason, wait_s):
                if self.answers_since is None:
                    self.answers_since = now
                if withdrawal:
                    return
                self._failed(now, shop, reason, wait_s or 0.0, probe, document)
            case TryLater(reason, wait_s) | InDoubt(reason, wait_s) if reason.code in _OUTAGE:
                self._failed(now, shop, reason, wait_s or 0.0, probe, document)
            case InDoubt(Reason(Code.UNCLEAR_ANSWER) as reason, wait_s, only_id_missing=False):
                # The answer of a firewall or a maintenance page: no sale must be spent on it.
                self._failed(now, shop, reason, wait_s or 0.0, probe, document)
            case _:
                pass

    def _answered(self, now: float, shop: str) -> None:
        self._active_shops[shop] = now
        self._forget_streak()
        if self.answers_since is None:
            self.answers_since = now
        if not self.is_open:
            log.warning("gate.opened", closed_for_s=round(now - (self.closed_since or now), 1))
            self.closed_since = self.reason = self.latest = None
            self._pause = _FIRST_PAUSE
            self._max_running = 2
        elif self._max_running is not None:
            self._max_running += 1
            if self._max_running >= _GENTLE_UNTIL:
                self._max_running = None

    def _forget_streak(self) -> None:
        self._streak = 0
        self._streak_shops.clear()
        self._streak_documents.clear()

    def _failed(self, now: float, shop: str, reason: Reason, wait_s: float, probe: bool, document: Hashable) -> None:
        self._active_shops[shop] = now
        self.latest, code = reason, reason.code
        wait_s = min(wait_s, _MAX_RETRY_AFTER)
        if not self.is_open:
            at = now + max(_FIRST_PAUSE, wait_s)
            if probe:
                self._pause = min(self._pause * 2, self.longest_pause)
                # Counted from the start of the probe: one that hung for long is soon followed by the next.
                at = max(at, self._probe_started_at + self._pause)
            self._next_probe = max(self._next_probe, at)
            return
        if code != self.reason:
            self.reason = code
            self._forget_streak()
        self._streak_shops.add(shop)
        # A body that a firewall always refuses is the problem of that document alone: for this reason each document
        # counts once.
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
        self._active_shops = {shop: at for shop, at in self._active_shops.items() if now - at <= _ACTIVE_FOR}
        active = len(self._active_shops)
        several = max(2, min((active + 1) // 2, _MAX_SHOPS_NEEDED)) if code is Code.RATE_LIMITED else 2
        return min(active, several)


class Admission:
    """Lets tasks wait until the gate, and then the rate limit, allow them to start."""

    def __init__(
        self, gate: OutageGate, clock: Callable[[], float] = time.monotonic, rate_limits: RateLimits | None = None
    ) -> None:
        self.gate = gate
        self._rate_limits = rate_limits
        self._clock = clock
        self._running = 0
        self._waiting = 0
        self._changed = asyncio.Event()
        """Set, and replaced by a new event, whenever an attempt may have become possible."""

    @property
    def accepts_work(self) -> bool:
        """Whether the scheduler should enqueue work: the gate is open, or a probe is due and no task waits here that
        could be the probe.

        Documents that failed while the gate closed wait in the database. Where no new sale arrives, one of those has to
        be the probe.
        """
        if self.gate.is_open:
            return True
        return not self._waiting and not self.gate.probing and self._clock() >= self.gate.next_probe

    @property
    def answering_for(self) -> float | None:
        """Seconds for which the API has been answering; None while it is not known to answer."""
        since = self.gate.answers_since
        return None if since is None else self._clock() - since

    @property
    def closed_for(self) -> float:
        """Seconds for which the gate has been closed; 0 while it is open."""
        since = self.gate.closed_since
        return 0.0 if since is None else self._clock() - since

    def current_outage(self) -> Outage | None:
        """Return the closed gate as an outage for `streams.runtime.outages`, whose clock is the same; None while the
        gate is open. The outage is valid as long as probes are made, or may take.
        """
        gate = self.gate
        if gate.closed_since is None:
            return None
        reason = gate.latest.code.value if gate.latest else "unknown"
        action = "none; if it lasts, check the connection to the national system"
        if gate.latest and gate.latest.code in TLS_PROBLEMS:
            reason = f"{gate.latest.code}: {problem_text(gate.latest).en.removesuffix(';')}"
            action = REASON_TEXTS[gate.latest.code].action_en
        return Outage(
            "gate",
            f"closed: {reason}; probes are sent at least once a minute",
            action,
            gate.closed_since,
            gate.next_probe + VALID_FOR,
        )

    async def wait_for_intake(self) -> None:
        """Wait while the gate is closed and a task waits here already that can be the probe."""
        while self._waiting and not self.gate.is_open:
            await self._changed.wait()

    async def enter(self) -> bool:
        """Wait until an attempt may start, and return whether it is a probe; `leave` must follow."""
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
        """Wait until the rate limit allows another attempt of `shop`; to be called between `enter` and the claim.
        Return False if that takes too long.
        """
        return self._rate_limits is None or await self._rate_limits.acquire(shop)

    def leave(
        self,
        shop: str,
        outcome: Outcome | None,
        *,
        probe: bool,
        document: Hashable = None,
        withdrawal: bool = False,
    ) -> None:
        """Note that the attempt has ended. This never waits, so that a cancellation cannot leave its slot taken."""
        self._running -= 1
        self.gate.ended(self._clock(), shop, outcome, probe=probe, document=document, withdrawal=withdrawal)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
