"""Outcome, attempts, clock -> what is decided: an end, or when the next attempt is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater
from streams.domain.reasons import TLS_PROBLEMS, WAITS_FOR_THE_SHOP, Code
from streams.domain.sale_status import Status
from streams.runtime.frozen import frozen
from streams.settings import Settings

_WAITS_WITHOUT_END = (
    WAITS_FOR_THE_SHOP
    | TLS_PROBLEMS
    | {
        Code.LOGIN_UNAVAILABLE,
        Code.TOKEN_REJECTED,
        Code.SHOP_BUSY,
        Code.INTERNAL_ERROR,
        Code.ROW_UNREADABLE,
    }
)
_NOT_BELIEVED_YET = {Code.NOT_YET_SHOWN, Code.CONTRADICTORY_ANSWERS}
"""The last look-up said "not stored", and there was a reason to ask once more."""
_SOON = {Code.SHOP_BUSY, Code.LINES_MISSING}


@frozen
class Decision:
    """What is told about one attempt. Times are UTC milliseconds."""

    status: Status
    national_id: str | None
    reason: Reason | None
    next_attempt_at: int | None
    words: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds."""

    steps: Sequence[float]
    """After the first try, the second, ...; the last one repeats."""
    login: float
    soon: float
    time_limit: float

    @classmethod
    def of(cls, settings: Settings) -> Delays:
        return cls(settings.retry_delays, settings.login_retry_delay, settings.lines_retry_delay, settings.time_limit)


def decide(
    outcome: Outcome,
    delays: Delays,
    *,
    tries: int,
    since: int,
    now: int,
    lease_until: int,
    may_be_stored: bool,
    jitter: float,
    answering_for: float | None = math.inf,
) -> Decision:
    """`tries`: attempts at sending so far, this one included. `since`: beginning of this asking.
    `may_be_stored`: what is known after the attempt. `jitter`: 0 to 1, spreads what failed together.
    `answering_for`: seconds for which the API has been answering others, None while it is not known to. Only those
    count towards the time limit: an outage is waited out, however long. While it lasts the gate sets the pace."""
    paced_tries = tries if answering_for is not None else 1
    match outcome:
        case Accepted(national_id, reason):
            return Decision("SYNC_SUCCESS", national_id, reason, None)
        case Refused(reason, words, national_id):
            return Decision("SYNC_FAILED", national_id, reason, None, words)
        case TryLater(reason) if (
            not may_be_stored
            and reason.code not in _WAITS_WITHOUT_END
            and is_over(delays, since=since, now=now, answering_for=answering_for)
        ):
            return Decision("SYNC_FAILED", None, Reason(Code.TIME_LIMIT, reason.http_status), None)
        case TryLater(reason, wait_s) | InDoubt(reason, wait_s):
            next_at = now + _milliseconds(max(_delay(reason.code, delays, paced_tries), wait_s or 0), jitter)
            if isinstance(outcome, InDoubt):
                next_at = max(next_at, lease_until)  # "not held" is believed only after the lease
            return Decision("PENDING_SYNC", None, reason, next_at)


def is_over(delays: Delays, *, since: int, now: int, answering_for: float | None) -> bool:
    """Whether the time limit has passed; see `decide`."""
    return min((now - since) / 1000, answering_for or 0) > delays.time_limit


def end_of_doubt(
    last_reason: str | None,
    http_status: int | None,
    delays: Delays,
    *,
    since: int,
    now: int,
    answering_for: float | None,
) -> Reason | None:
    """With what a document ends that is in doubt, once a look-up says that it is not stored: the time limit has passed.
    None: it is sent again. `last_reason`, `http_status`: of its last attempt."""
    if last_reason == Code.NOT_TAKEN:
        # The API answered its look-ups meanwhile, so no outage has to be left out of account.
        return Reason(Code.NEVER_TAKEN, http_status) if now - since > delays.time_limit * 1000 else None
    is_waiting = last_reason in _WAITS_WITHOUT_END | _NOT_BELIEVED_YET
    over = not is_waiting and is_over(delays, since=since, now=now, answering_for=answering_for)
    return Reason(Code.TIME_LIMIT) if over else None


def _delay(code: Code, delays: Delays, tries: int) -> float:
    if code in WAITS_FOR_THE_SHOP:
        return delays.login
    if code in _SOON:
        return delays.soon
    return delays.steps[min(max(tries, 1), len(delays.steps)) - 1]


def _milliseconds(seconds: float, jitter: float) -> int:
    return int(seconds * (1 + 0.1 * jitter) * 1000)
