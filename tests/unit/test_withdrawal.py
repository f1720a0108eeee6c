"""Tests which call of a withdrawal follows which answer, and what is concluded from them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from streams.documents.sale import SALE
from streams.domain.account import Account
from streams.domain.document_codes import DocumentCodes
from streams.domain.outcome import BrokenRule, InDoubt, Outcome, Reason, Refused, TryLater, Withdrawn
from streams.domain.reasons import Code
from streams.national_api.answers import LookUp, NoAnswer, NotOffered, NotStored, Stored
from streams.national_api.withdrawal_answers import NothingToWithdraw, WithdrawalResult
from streams.pipeline.withdrawal import Withdrawal

ACCOUNT = Account("SHOP-1", "shop", SecretStr("secret"))
CODES, EARLIER = DocumentCodes("79-1", "HD-1"), DocumentCodes("79-1", "HD-0")
DONE = Withdrawn()
REFUSED = Refused(Reason(Code.API_REFUSED, 400), "quá hạn hủy")
STILL_STORED = Refused(Reason(Code.API_REFUSED, 400), "quá hạn hủy", "QG-1")
ABSENT = NothingToWithdraw(REFUSED)
STORED, NOT_STORED, NOT_OFFERED = Stored("QG-1"), NotStored(), NotOffered()
NO_ANSWER = NoAnswer(Reason(Code.LOOK_UP_FAILED, 503))
TIMED_OUT = InDoubt(Reason(Code.TIMED_OUT))
BROKEN = InDoubt(Reason(Code.API_ERROR, 502))
STRANGERS = InDoubt(Reason(Code.UNCLEAR_ANSWER, 405))
TOKEN_OVER = InDoubt(Reason(Code.TOKEN_REJECTED, 401))
NOT_TAKEN = InDoubt(Reason(Code.NOT_TAKEN, 405))
UNSENT = TryLater(Reason(Code.UNREACHABLE))
LOOK_UP_FAILED = InDoubt(Reason(Code.LOOK_UP_FAILED, 503))
CONTRADICTION = InDoubt(Reason(Code.CONTRADICTORY_ANSWERS))
NOT_YET = InDoubt(Reason(Code.NOT_YET_SHOWN), 60.0)
NEVER_TAKEN = Reason(Code.NEVER_TAKEN, 405)
UNUSABLE = Refused(Reason(Code.RULES_BROKEN, details=(BrokenRule("ma_hoa_don", "in_an_address"),)))


class Scripted:
    """Gives the answers in order, and checks which call is made, and under which code."""

    def __init__(self, *answers: tuple[str, object]) -> None:
        self.answers = list(answers)
        self.codes: list[str] = []

    def _next(self, call: str, document_code: str) -> Any:
        expected, answer = self.answers.pop(0)
        assert call == expected
        self.codes.append(document_code)
        return answer

    async def withdraw(self, *args: Any, until: float) -> WithdrawalResult:
        return self._next("DELETE", args[-1])  # type: ignore[no-any-return]

    async def look_up(self, *args: Any, until: float) -> LookUp:
        return self._next("GET", args[-1])  # type: ignore[no-any-return]


async def withdraw(api: Scripted, *codes: DocumentCodes, retried: bool = False, **changed: Any) -> Outcome:
    attempt = Withdrawal(api, ACCOUNT, SALE.endpoint, 5.0, **changed)
    outcome = await attempt.withdraw(codes or (CODES,), retried=retried)
    assert not api.answers, "all expected calls were made"
    return outcome


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param([("DELETE", DONE)], DONE, id="done"),
        pytest.param([("DELETE", UNSENT)], UNSENT, id="unsent"),
        pytest.param([("DELETE", UNUSABLE)], UNUSABLE, id="codes that are no address"),
        pytest.param([("DELETE", TIMED_OUT)], TIMED_OUT, id="no answer"),
        pytest.param([("DELETE", BROKEN)], BROKEN, id="502"),
        pytest.param([("DELETE", ABSENT), ("GET", NOT_STORED)], DONE, id="absent"),
        pytest.param([("DELETE", ABSENT), ("GET", NOT_OFFERED)], DONE, id="absent, no look-up"),
        pytest.param([("DELETE", ABSENT), ("GET", STORED)], CONTRADICTION, id="absent and shown"),
        pytest.param([("DELETE", ABSENT), ("GET", NO_ANSWER)], LOOK_UP_FAILED, id="absent, look-up unanswered"),
        pytest.param([("DELETE", REFUSED), ("GET", STORED)], STILL_STORED, id="refused"),
        pytest.param([("DELETE", REFUSED), ("GET", NOT_STORED)], DONE, id="refused, since it is withdrawn already"),
        pytest.param([("DELETE", REFUSED), ("GET", NOT_OFFERED)], REFUSED, id="refused, no look-up"),
        pytest.param([("DELETE", REFUSED), ("GET", NO_ANSWER)], LOOK_UP_FAILED, id="refused, look-up unanswered"),
        pytest.param([("DELETE", STRANGERS), ("GET", STORED)], NOT_TAKEN, id="a stranger's answer"),
        pytest.param([("DELETE", STRANGERS), ("GET", NOT_STORED)], STRANGERS, id="unclear: believed later"),
        pytest.param([("DELETE", STRANGERS), ("GET", NOT_OFFERED)], STRANGERS, id="unclear, no look-up"),
        pytest.param([("DELETE", TOKEN_OVER), ("GET", STORED)], InDoubt(Reason(Code.NOT_TAKEN, 401)), id="token"),
    ],
)
async def test_each_answer_to_a_first_withdrawal_is_followed_by_its_calls(
    calls: list[tuple[str, object]], expected: Outcome
) -> None:
    """Promise 2. Broken by: a refused withdrawal is believed without a look-up.
    Promise 2. Broken by: an unclear answer to a DELETE and a look-up that finds nothing count as a withdrawal at once.
    """
    assert await withdraw(Scripted(*calls)) == expected


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param([("GET", NOT_STORED)], DONE, id="the earlier one was carried out"),
        pytest.param([("GET", STORED), ("DELETE", DONE)], DONE, id="it was not"),
        pytest.param([("GET", NOT_OFFERED), ("DELETE", ABSENT), ("GET", NOT_OFFERED)], DONE, id="no look-up"),
        pytest.param([("GET", NO_ANSWER), ("DELETE", DONE)], DONE, id="look-up unanswered"),
        pytest.param([("GET", NoAnswer(Reason(Code.LOOK_UP_FAILED, 503), 30))],
                     InDoubt(Reason(Code.LOOK_UP_FAILED, 503), 30), id="the server asks for time"),
        pytest.param([("GET", NoAnswer(Reason(Code.LOGIN_REFUSED)))], InDoubt(Reason(Code.LOGIN_REFUSED)), id="log-in"),
    ],
)  # fmt: skip
async def test_a_second_attempt_at_a_withdrawal_starts_with_a_look_up(
    calls: list[tuple[str, object]], expected: Outcome
) -> None:
    assert await withdraw(Scripted(*calls), retried=True) == expected


async def test_a_contradiction_counts_as_a_refusal_the_second_time() -> None:
    calls = [("GET", STORED), ("DELETE", ABSENT), ("GET", STORED)]
    assert await withdraw(Scripted(*calls), retried=True, contradicted=True) == STILL_STORED


@pytest.mark.parametrize(
    ("calls", "retried"),
    [([("DELETE", ABSENT), ("GET", NOT_STORED)], False), ([("GET", NOT_STORED)], True)],
    ids=["first", "tried again"],
)
async def test_not_stored_is_believed_only_later_after_an_outage(
    calls: list[tuple[str, object]], retried: bool
) -> None:
    assert await withdraw(Scripted(*calls), retried=retried, unsettled_s=60.0) == NOT_YET


async def test_a_withdrawal_that_is_never_taken_is_given_up_only_while_the_document_is_stored() -> None:
    given_up = await withdraw(Scripted(("GET", STORED)), retried=True, give_up_reason=NEVER_TAKEN)
    assert given_up == Refused(NEVER_TAKEN, national_id="QG-1")
    assert await withdraw(Scripted(("GET", NOT_STORED)), retried=True, give_up_reason=NEVER_TAKEN) == DONE


async def test_a_document_whose_codes_were_changed_is_withdrawn_under_all_of_them() -> None:
    """Promise 2. Broken by: a document is withdrawn under its present codes alone."""
    api = Scripted(("DELETE", DONE), ("DELETE", ABSENT), ("GET", NOT_STORED))
    assert await withdraw(api, EARLIER, CODES) == DONE
    assert api.codes == ["HD-0", "HD-1", "HD-1"]


async def test_a_document_that_is_still_stored_under_earlier_codes_is_not_withdrawn() -> None:
    api = Scripted(("DELETE", REFUSED), ("GET", STORED))
    assert await withdraw(api, EARLIER, CODES) == STILL_STORED
