"""Tests that the judge believes every answer of the simulated API, because too strict a judge would be useless."""

from __future__ import annotations

import pytest

from streams.local.simulator import answers
from streams.local.simulator.answers import Answer
from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.calls import CallName
from streams.local.simulator.kinds import SALE
from streams.local.simulator.ledger import Standing
from tests.unit.evidence_judge import OWN, PLACE, Conclusion, Played, proved

NATIONAL_ID = "HD_QG_00000001"
STORED = Standing("sale", PLACE, OWN, "0" * 64, national_ids=[NATIONAL_ID])
BEHAVIOURS = [
    Behaviour(code_as=code_as, message_field=message)
    for code_as in ("number", "string")
    for message in ("mess", "message")
]


def believed(call: CallName, answer: Answer, conclusion: Conclusion, value: str | None = None) -> bool:
    return proved(conclusion, Played(call, answer.status, answer.body, answer.content_type), value)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=repr)
def test_the_judge_believes_every_answer_of_the_simulated_api(behaviour: Behaviour) -> None:
    for form in ("documented", "field"):
        accepted = answers.accepted(SALE, NATIONAL_ID, behaviour.model_copy(update={"accepted_answer": form}))
        assert believed("create", accepted, Conclusion.ACCEPTED, NATIONAL_ID)
        assert believed("replace", accepted, Conclusion.ACCEPTED, NATIONAL_ID)
        logged_in = answers.logged_in("abc", behaviour.model_copy(update={"login_answer": form}))
        assert believed("login", logged_in, Conclusion.TOKEN, "abc")
    for form in ("400", "400_text", "200"):
        refused = answers.refused("ma_thuoc: không có", behaviour.model_copy(update={"refusal_answer": form}))
        assert believed("create", refused, Conclusion.REFUSED)
    for form in ("400", "401", "200"):
        wrong = answers.wrong_credentials(behaviour.model_copy(update={"wrong_credentials": form}))
        assert believed("login", wrong, Conclusion.LOGIN_REFUSED)
    for form in ("404", "200_code", "null", "empty"):
        missing = answers.not_held(behaviour.model_copy(update={"look_up_missing": form}))
        assert believed("look_up", missing, Conclusion.NOT_STORED)
    assert believed("replace", answers.not_there("Không tìm thấy chứng từ", behaviour), Conclusion.NOT_STORED)
    assert believed("create", answers.no_token(behaviour), Conclusion.UNSENT)
    assert believed("withdraw", answers.withdrawn(behaviour), Conclusion.WITHDRAWN)
    assert believed("withdraw", answers.not_there("Không tìm thấy chứng từ", behaviour), Conclusion.NOT_STORED)


@pytest.mark.parametrize("shape", ["bare", "data", "list"])
@pytest.mark.parametrize("shown", ["national_field", "national_only", "own_field", "none"])
def test_the_judge_believes_every_look_up_of_a_stored_document(shape: str, shown: str) -> None:
    behaviour = Behaviour().model_copy(update={"look_up_answer": shape, "look_up_id": shown})
    stored = answers.looked_up(SALE, STORED, behaviour)
    assert believed("look_up", stored, Conclusion.ACCEPTED, None if shown == "none" else NATIONAL_ID)


@pytest.mark.parametrize("status", [405, 501])
def test_the_judge_believes_that_a_look_up_is_not_offered(status: int) -> None:
    assert believed("look_up", answers.not_served(status), Conclusion.NOT_OFFERED)
