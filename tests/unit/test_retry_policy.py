"""Tests the decision when a document is tried again, or that it has failed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.document_status import Operation
from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater, Withdrawn
from streams.domain.reasons import ACCOUNT_PROBLEMS, TLS_PROBLEMS, Code
from streams.pipeline.retry_policy import Decision, Delays, decide, reason_to_give_up

DELAYS = Delays(steps=(30, 120, 600, 3600), login=3600, soon=5, time_limit=72 * 3600)
NOW = 1_800_000_000_000
HOUR = 3_600_000
OURS_OR_THE_LOG_INS = {Code.LOGIN_UNAVAILABLE, Code.TOKEN_REJECTED, Code.SHOP_BUSY, Code.INTERNAL_ERROR}


def decided(
    outcome: Outcome,
    *,
    tries: int = 1,
    age: int = 0,
    lease: int = 0,
    may_be_stored: bool = False,
    jitter: float = 0,
    operation: Operation = Operation.SEND,
) -> Decision:
    return decide(
        outcome,
        DELAYS,
        tries=tries,
        since=NOW - age,
        now=NOW,
        lease_until=lease,
        may_be_stored=may_be_stored,
        jitter=jitter,
        operation=operation,
    )


@pytest.mark.parametrize(
    ("tries", "seconds"), [(0, 30), (1, 30), (2, 120), (3, 600), (4, 3600), (5, 3600), (100, 3600)]
)
def test_delays_between_attempts_grow_to_an_hour(tries: int, seconds: int) -> None:
    decision = decided(TryLater(Reason(Code.UNREACHABLE)), tries=tries)
    assert decision == Decision("PENDING_SYNC", None, Reason(Code.UNREACHABLE), NOW + seconds * 1000)


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        (Code.LINES_MISSING, 5),
        (Code.SHOP_BUSY, 5),
        (Code.EARLIER_DOCUMENTS, 30),
        (Code.LOGIN_REFUSED, 3600),
        (Code.NO_ACCOUNT, 3600),
    ],
)
def test_some_reasons_have_their_own_delay(code: Code, seconds: int) -> None:
    assert decided(TryLater(Reason(code)), tries=3).next_attempt_at == NOW + seconds * 1000


def test_a_final_outcome_becomes_the_matching_decision() -> None:
    assert decided(Accepted("QG-1")) == Decision("SYNC_SUCCESS", "QG-1", None, None)
    refused = Refused(Reason(Code.API_REFUSED, 400), "words", "QG-1")
    assert decided(refused) == Decision("SYNC_FAILED", "QG-1", Reason(Code.API_REFUSED, 400), None, "words")


def test_a_final_outcome_of_a_withdrawal_becomes_the_matching_decision() -> None:
    assert decided(Withdrawn(), operation=Operation.WITHDRAW) == Decision("CANCELLED", None, None, None)
    refused = Refused(Reason(Code.API_REFUSED, 400), "words", "QG-1")
    failed = Decision("CANCEL_FAILED", "QG-1", Reason(Code.API_REFUSED, 400), None, "words")
    assert decided(refused, operation=Operation.WITHDRAW) == failed


@given(st.sampled_from(Code), st.integers(0, 10_000 * HOUR), st.booleans(), st.booleans())
def test_a_withdrawal_that_waits_never_fails_at_the_time_limit(
    code: Code, age: int, is_doubt: bool, may_be_stored: bool
) -> None:
    outcome = InDoubt(Reason(code)) if is_doubt else TryLater(Reason(code))
    decision = decided(outcome, age=age, may_be_stored=may_be_stored, operation=Operation.WITHDRAW)
    assert decision.status == "PENDING_CANCEL"


@pytest.mark.parametrize("last", Code)
def test_a_withdrawal_is_given_up_only_where_it_was_never_taken(last: Code) -> None:
    since = NOW - int((LIMIT + 1) * 1000)
    given_up = reason_to_give_up(
        last.value, 405, DELAYS, since=since, now=NOW, answering_for=LIMIT + 1, operation=Operation.WITHDRAW
    )
    assert given_up == (Reason(Code.NEVER_TAKEN, 405) if last is Code.NOT_TAKEN else None)


def test_a_document_that_is_not_stored_fails_at_the_time_limit() -> None:
    late = decided(TryLater(Reason(Code.API_ERROR, 503)), age=72 * HOUR + 1)
    assert (late.status, late.reason) == ("SYNC_FAILED", Reason(Code.TIME_LIMIT, 503))
    assert decided(TryLater(Reason(Code.UNREACHABLE)), age=72 * HOUR).status == "PENDING_SYNC"


@given(st.sampled_from(Code), st.integers(0, 10_000 * HOUR), st.integers(0, 1000), st.integers(0, HOUR))
def test_a_document_in_doubt_stays_pending_until_after_its_lease(code: Code, age: int, tries: int, lease: int) -> None:
    decision = decided(InDoubt(Reason(code)), age=age, tries=tries, lease=NOW + lease, may_be_stored=True)
    assert decision.status == "PENDING_SYNC"
    assert decision.next_attempt_at is not None
    assert decision.next_attempt_at >= NOW + lease


@given(
    st.sampled_from(sorted(ACCOUNT_PROBLEMS | OURS_OR_THE_LOG_INS)),
    st.integers(0, 10_000 * HOUR),
)
def test_a_log_in_problem_never_fails_a_document(code: Code, age: int) -> None:
    assert decided(TryLater(Reason(code)), age=age).status == "PENDING_SYNC"


@given(st.sampled_from(sorted(TLS_PROBLEMS)), st.integers(0, 10_000 * HOUR))
def test_a_certificate_problem_never_fails_a_sale(code: Code, age: int) -> None:
    """Promise 2. Broken by: a certificate that nobody renews ends sales as failed."""
    assert decided(TryLater(Reason(code)), age=age).status == "PENDING_SYNC"


@given(st.integers(0, 10_000 * HOUR))
def test_waiting_for_earlier_documents_never_fails_a_document(age: int) -> None:
    assert decided(TryLater(Reason(Code.EARLIER_DOCUMENTS)), age=age).status == "PENDING_SYNC"


@given(st.integers(0, 10_000 * HOUR))
def test_a_possibly_stored_document_never_fails_at_the_time_limit(age: int) -> None:
    assert decided(TryLater(Reason(Code.UNREACHABLE)), age=age, may_be_stored=True).status == "PENDING_SYNC"


@given(st.integers(1, 10), st.floats(0, 100_000), st.floats(0, 1))
def test_a_requested_delay_is_a_minimum_and_jitter_adds_a_tenth_at_most(
    tries: int, requested: float, jitter: float
) -> None:
    outcome = TryLater(Reason(Code.RATE_LIMITED), requested)
    at = decided(outcome, tries=tries, jitter=jitter).next_attempt_at
    plain = decided(outcome, tries=tries).next_attempt_at
    assert at is not None
    assert plain is not None
    usual = decided(TryLater(Reason(Code.RATE_LIMITED)), tries=tries).next_attempt_at
    assert usual is not None
    assert plain == max(usual, NOW + int(requested * 1000)), "what is asked for is a minimum"
    assert plain <= at <= plain + (plain - NOW) // 10 + 1


LIMIT = DELAYS.time_limit


@pytest.mark.parametrize(
    ("last", "age_s", "answering_for", "reason"),
    [
        (Code.NOT_TAKEN, LIMIT + 1, LIMIT + 1, Reason(Code.NEVER_TAKEN, 403)),
        # The API answered each look-up: a restart of the worker, or a closed gate, has not to be left out of account.
        (Code.NOT_TAKEN, LIMIT + 1, 60, Reason(Code.NEVER_TAKEN, 403)),
        (Code.NOT_TAKEN, LIMIT - 1, LIMIT + 1, None),
        (Code.API_ERROR, LIMIT + 1, LIMIT + 1, Reason(Code.TIME_LIMIT)),
        (Code.TIMED_OUT, LIMIT + 1, LIMIT + 1, Reason(Code.TIME_LIMIT)),
        (Code.API_ERROR, LIMIT + 1, 60, None),
        (Code.API_ERROR, LIMIT + 1, None, None),
        (Code.TOKEN_REJECTED, LIMIT + 1, LIMIT + 1, None),
        (Code.CERTIFICATE, LIMIT + 1, LIMIT + 1, None),
        (Code.NO_ACCOUNT, LIMIT + 1, LIMIT + 1, None),
        # Told "not stored" against other words of the API: asked once more.
        (Code.CONTRADICTORY_ANSWERS, LIMIT + 1, LIMIT + 1, None),
        (Code.NOT_YET_SHOWN, LIMIT + 1, LIMIT + 1, None),
    ],
)
def test_a_document_in_doubt_that_proves_not_stored_fails_at_the_time_limit(
    last: Code, age_s: float, answering_for: float | None, reason: Reason | None
) -> None:
    """Promise 1. Broken by: a body that never gets through is sent again forever.
    Promise 2. Broken by: what waits for its shop's account ends at the time limit.
    """
    since = NOW - int(age_s * 1000)
    assert reason_to_give_up(last.value, 403, DELAYS, since=since, now=NOW, answering_for=answering_for) == reason
