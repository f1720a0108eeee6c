"""Decides what follows an attempt: a final decision, or the time of the next attempt. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.domain.document_status import FAILED, PENDING, SUCCEEDED, Operation, Status
from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater, Withdrawn
from streams.domain.reasons import ACCOUNT_PROBLEMS, TLS_PROBLEMS, Code
from streams.runtime.frozen import frozen
from streams.settings import Settings

_NO_TIME_LIMIT = (
    ACCOUNT_PROBLEMS
    | TLS_PROBLEMS
    | {
        Code.LOGIN_UNAVAILABLE,
        Code.TOKEN_REJECTED,
        Code.SHOP_BUSY,
        Code.EARLIER_DOCUMENTS,
        Code.INTERNAL_ERROR,
        Code.ROW_UNREADABLE,
    }
)
"""Reasons for which a document waits however long it takes: the time limit never fails it."""
_NOT_BELIEVED_YET = {Code.NOT_YET_SHOWN, Code.CONTRADICTORY_ANSWERS}
"""Reasons of a look-up that said "not stored" when there was cause to ask once more."""
_SHORT_DELAY = {Code.SHOP_BUSY, Code.LINES_MISSING}


@frozen
class Decision:
    """The decision about one attempt. Times are UTC milliseconds. `text`: the API's answer, for refusals."""

    status: Status
    national_id: str | None
    reason: Reason | None
    next_attempt_at: int | None
    text: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Delays:
    """The delays between attempts and the time limit, in seconds."""

    steps: Sequence[float]
    """The delay after the first try, the second, and so on; the last one repeats."""
    login: float
    """The delay while a shop's account has a problem."""
    soon: float
    """The delay while a shop is busy or a sale's lines are missing."""
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
    operation: Operation = Operation.SEND,
) -> Decision:
    """Return the decision for `outcome`. `operation`: what was attempted.

    `tries`: attempts with calls so far, including this one. `since`: when the current request for the document began.
    `now`, `since` and `lease_until` are UTC milliseconds. `may_be_stored`: whether the national system may store the
    document, as known after the attempt. `jitter`: 0 to 1, spreads out what failed together.

    `answering_for`: seconds for which the API has been answering others; None while it is not known to. Only those
    count towards the time limit: an outage is waited out, however long it lasts, and while it lasts the gate sets the
    pace. The time limit fails no withdrawal here.
    """
    paced_tries = tries if answering_for is not None else 1
    match outcome:
        case Accepted(national_id, reason):
            return Decision(SUCCEEDED[Operation.SEND], national_id, reason, None)
        case Withdrawn():
            return Decision(SUCCEEDED[Operation.WITHDRAW], None, None, None)
        case Refused(reason, text, national_id):
            return Decision(FAILED[operation], national_id, reason, None, text)
        case TryLater(reason) if (
            operation is Operation.SEND
            and not may_be_stored
            and reason.code not in _NO_TIME_LIMIT
            and time_limit_passed(delays, since=since, now=now, answering_for=answering_for)
        ):
            return Decision(FAILED[operation], None, Reason(Code.TIME_LIMIT, reason.http_status), None)
        case TryLater(reason, wait_s) | InDoubt(reason, wait_s):
            next_at = now + _milliseconds(max(_delay(reason.code, delays, paced_tries), wait_s or 0), jitter)
            if isinstance(outcome, InDoubt):
                next_at = max(next_at, lease_until)  # "not stored" is believed only after the lease
            return Decision(PENDING[operation], None, reason, next_at)


def time_limit_passed(delays: Delays, *, since: int, now: int, answering_for: float | None) -> bool:
    """Return whether the time limit has passed; see `decide`."""
    return min((now - since) / 1000, answering_for or 0) > delays.time_limit


def reason_to_give_up(
    last_reason: str | None,
    http_status: int | None,
    delays: Delays,
    *,
    since: int,
    now: int,
    answering_for: float | None,
    operation: Operation = Operation.SEND,
) -> Reason | None:
    """Return the reason with which a document in doubt fails once a look-up says that it is not stored, or with which a
    withdrawal fails once a look-up says that it still is, because the time limit has passed; None if it is to be tried
    again. `last_reason`, `http_status`: those of its last attempt.
    """
    if last_reason == Code.NOT_TAKEN:
        # The API has answered the look-ups of this document meanwhile, so no outage has to be subtracted.
        return Reason(Code.NEVER_TAKEN, http_status) if now - since > delays.time_limit * 1000 else None
    if operation is Operation.WITHDRAW:
        return None
    is_waiting = last_reason in _NO_TIME_LIMIT or last_reason in _NOT_BELIEVED_YET
    is_expired = not is_waiting and time_limit_passed(delays, since=since, now=now, answering_for=answering_for)
    return Reason(Code.TIME_LIMIT) if is_expired else None


def _delay(code: Code, delays: Delays, tries: int) -> float:
    if code in ACCOUNT_PROBLEMS:
        return delays.login
    if code in _SHORT_DELAY:
        return delays.soon
    if code is Code.EARLIER_DOCUMENTS:
        return delays.steps[0]
    return delays.steps[min(max(tries, 1), len(delays.steps)) - 1]


def _milliseconds(seconds: float, jitter: float) -> int:
    return int(seconds * (1 + 0.1 * jitter) * 1000)
