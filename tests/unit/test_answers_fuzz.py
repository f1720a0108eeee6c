"""Tests that any answer has exactly one outcome, raises nothing, and is no acceptance without proof."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.documents.sale import SALE
from streams.domain.outcome import Accepted, InDoubt, Refused, TryLater
from streams.national_api.answers import (
    NoAnswer,
    NothingToReplace,
    NotOffered,
    NotStored,
    Stored,
    read_look_up,
    read_submission,
)
from streams.national_api.login_answers import read_login
from streams.national_api.own_form import Answer
from streams.national_api.retry_after import retry_after

OWN, PLACE = "HD-2026-001", "CS"
PHRASES = ("không tìm thấy",)
ENDPOINT = SALE.endpoint
NOW = datetime(2026, 11, 24, tzinfo=UTC)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
words = st.sampled_from([OWN, OWN.lower(), "HD_QG_1", "200", 200, 200.0, "400", 400, "", None, "Không tìm thấy", "\0"])
values = st.recursive(scalars | words, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
fields = st.dictionaries(
    st.sampled_from(["ma_hoa_don", "ma_hoa_don_quoc_gia", "code", "mess", "message", "data", "token", "other"]),
    values | st.dictionaries(st.sampled_from(["ma_hoa_don", "ma_hoa_don_quoc_gia", "token"]), values, max_size=3),
    max_size=5,
)
contents = (
    st.binary(max_size=60)
    | st.builds(lambda value: json.dumps(value).encode(), fields | values)
    | st.builds(
        lambda value: b"\xef\xbb\xbf" + json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), fields
    )
    | st.sampled_from([b"", b"null", b"[" * 5000, b"1" * 5000, b"<html>502 Bad Gateway</html>", b'{"code": 200'])
)
dates = st.text(max_size=40) | st.integers().map(str) | st.just("Wed, 21 Oct 2026 07:28:00 GMT") | st.just("9" * 5000)
answers = st.builds(
    Answer,
    status=st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 405, 409, 422, 429, 500, 501, 503])
    | st.integers(100, 599),
    content=contents,
    received_at=st.just(NOW),
    retry_after=dates,
    whole=st.booleans(),
)


def parsed(answer: Answer) -> Any:
    try:
        return json.loads(answer.content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


@given(st.sampled_from(["create", "replace"]), answers)
def test_any_answer_to_a_submission_has_exactly_one_outcome(call: Any, answer: Answer) -> None:
    outcome = read_submission(call, answer, ENDPOINT, PLACE, OWN, PHRASES)
    assert outcome == read_submission(call, answer, ENDPOINT, PLACE, OWN, PHRASES)
    body = parsed(answer)
    match outcome:
        case Accepted(national_id):
            assert answer.status in (200, 201)
            assert answer.whole
            assert national_id
            assert national_id.casefold() != OWN.casefold(), "our own code is no national id"
            assert isinstance(body, dict)
            assert str(body.get("code", 200)).strip() in ("200", "200.0", "201", "None")
        case Refused():
            assert answer.whole
            assert answer.status in (200, 201, 400, 409, 422)
        case NothingToReplace():
            assert call == "replace"
        case InDoubt() | TryLater():
            pass
        case _:
            raise AssertionError(outcome)
    if answer.status >= 500 or answer.status == 405:
        assert isinstance(outcome, InDoubt), "it may have been accepted"


@given(answers)
def test_any_answer_to_a_look_up_has_exactly_one_result(answer: Answer) -> None:
    found = read_look_up(answer, ENDPOINT, PLACE, OWN)
    assert isinstance(found, Stored | NotStored | NotOffered | NoAnswer)
    if isinstance(found, Stored):
        assert answer.status == 200
        assert answer.whole
        assert isinstance(parsed(answer), dict)
    if isinstance(found, NotStored):
        assert answer.status in (200, 404)
    if answer.status >= 500 and answer.status != 501:
        assert isinstance(found, NoAnswer), "a server in trouble says nothing about what it holds"


@given(answers)
def test_any_answer_to_a_log_in_gives_a_token_or_a_reason_to_wait(answer: Answer) -> None:
    token = read_login(answer)
    assert isinstance(token, str | TryLater)
    if isinstance(token, str):
        assert answer.status in (200, 201)
        assert token.isascii()
        assert token.isprintable()


@given(answers)
def test_any_retry_after_header_gives_at_most_a_day(answer: Answer) -> None:
    wait_s = retry_after(answer)
    assert wait_s is None or 0 <= wait_s <= 86_400
