"""Tests that every line of the tables in `streams.national_api.answers` is read as it says.

The contract tests play the same lines over a socket.
"""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyreqwest.exceptions import (
    BodyDecodeError,
    Cause,
    ConnectError,
    ConnectTimeoutError,
    DetailedPyreqwestError,
    PoolTimeoutError,
    ReadTimeoutError,
)

from streams.documents.sale import SALE
from streams.domain.outcome import Accepted, InDoubt, Reason, Refused, TryLater
from streams.domain.reasons import Code
from streams.national_api.answers import Call, LookUp, NothingToReplace, read_look_up, read_submission, token_problem
from streams.national_api.fast_transport import as_httpx
from streams.national_api.login_answers import read_login
from streams.national_api.own_form import Answer
from streams.national_api.retry_after import retry_after
from streams.national_api.transport_errors import loggable_text, read_transport_error
from tests.support.answer_tables import (
    DOCUMENTED,
    FAILED,
    LOG_INS,
    LOOK_UPS,
    NOW,
    OWN,
    PHRASES,
    PLACE,
    SUBMISSIONS,
    Line,
    by_name,
    failed,
    refused,
    unavailable,
    unclear,
)

UNREACHABLE = TryLater(Reason(Code.UNREACHABLE))
LOST = InDoubt(Reason(Code.CONNECTION_LOST))
TIMED_OUT = InDoubt(Reason(Code.TIMED_OUT))


@pytest.mark.parametrize("line", SUBMISSIONS, ids=by_name)
def test_every_line_of_the_submission_table_has_its_outcome(line: Line) -> None:
    """Promise 2. Broken by: a text in the place of the id counts as a national id.
    Promise 2. Broken by: a placeholder, such as null, counts as a national id.
    Promise 2. Broken by: a refusal in anybody's form counts as the API's.
    Promise 2. Broken by: the phrase of an HTTP status counts as the API's refusal.
    Promise 1. Broken by: a refusal that is JSON within JSON is not read, so the sale never ends.
    Promise 2. Broken by: a bare text counts as the national id of a document whose ids do not come bare.
    Promise 2. Broken by: an id together with another document's code counts as that of our document.
    Promise 2. Broken by: another facility's record counts as the acceptance of our document.
    Promise 2. Broken by: an id together with a text of failure counts as an acceptance.
    Promise 2. Broken by: an answer that says accepted under any 2xx counts, a proxy's 203 too.
    Promise 2. Broken by: a page with 400 counts as a refusal.
    Promise 2. Broken by: a gateway's text with 400 counts as a refusal.
    Promise 2. Broken by: a text about maintenance with 400 counts as a refusal.
    Promise 2. Broken by: a text about the token counts as a refusal of the sale.
    Promise 6. Broken by: a code of the 5xx in the body is not taken for a passing problem.
    Promise 3. Broken by: a gateway's 404 to a replacement counts as "nothing to replace", so the sale is created a
    second time.
    """
    assert read_submission(line.call, line.answer(), line.endpoint, PLACE, OWN, PHRASES) == line.means


@pytest.mark.parametrize("line", LOOK_UPS, ids=by_name)
def test_every_line_of_the_look_up_table_has_its_outcome(line: Line) -> None:
    """Promise 3. Broken by: a gateway's 404 to a look-up counts as "not stored".
    Promise 3. Broken by: "not stored" is believed in anybody's form.
    Promise 3. Broken by: any code of failure in the body of a look-up counts as "not stored".
    Promise 3. Broken by: empty data together with a text of an error counts as "not stored".
    Promise 2. Broken by: our code in another facility counts as our document.
    Promise 3. Broken by: a copy that a cache kept counts as an answer.
    Promise 3. Broken by: a text about an address, an account or an error counts as "not stored".
    """
    found: LookUp = read_look_up(line.answer(), line.endpoint, PLACE, OWN, PHRASES)
    assert found == line.means


@pytest.mark.parametrize("line", LOG_INS, ids=by_name)
def test_every_line_of_the_log_in_table_has_its_outcome(line: Line) -> None:
    """Promise 6. Broken by: a text about maintenance at the log-in counts as a wrong password.
    Promise 6. Broken by: a gateway's page at the log-in counts as a wrong password.
    Promise 5. Broken by: a text that is none counts as a token.
    """
    assert read_login(line.answer()) == line.means


@pytest.mark.parametrize("call", ["create", "replace"])
def test_no_http_status_alone_decides_a_sale(call: Call) -> None:
    for status in range(100, 600):
        outcome = read_submission(call, Answer(status, b"", NOW), SALE.endpoint, PLACE, OWN)
        assert not isinstance(outcome, Accepted | Refused | NothingToReplace), status


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Line("401", 401, b"", None), "proven"),
        (Line("a page with 401", 401, b"<html>401</html>", None), "suspected"),
        (Line("401 of the API", 401, {"code": 401, "mess": "Token không hợp lệ"}, None), "proven"),
        (Line("code 401", 200, {"code": 401, "mess": "x"}, None), "proven"),
        (Line("words", 400, {"mess": "Token đã hết hạn"}, None), "proven"),
        (Line("403", 403, b"<html>", None), "suspected"),
        (Line("a log-in page", 302, b"", None, headers={"location": "https://sso.example/dang-nhap"}), "suspected"),
        (Line("bare words", 200, "Token expired", None), "suspected"),
        (Line("elsewhere", 302, b"", None, headers={"location": "/maintenance"}), None),
        (Line("a drug that is over", 400, {"mess": "han_dung: thuốc đã hết hạn"}, None), None),
        (Line("success", 200, {**DOCUMENTED, "mess": "token"}, None), None),
        (Line("500", 500, b"Unauthorized", None), None),
    ],
    ids=lambda value: value.name if isinstance(value, Line) else str(value),
)
def test_a_token_problem_is_recognized_in_every_form(answer: Line, problem: str | None) -> None:
    """Promise 1. Broken by: a code 401 in the body says nothing of the token, which is never renewed."""
    assert token_problem(answer.answer()) == problem


def test_a_truncated_answer_proves_nothing() -> None:
    """Promise 2. Broken by: an answer that was cut off is believed."""
    cut = Answer(200, json.dumps(DOCUMENTED).encode(), NOW, whole=False)
    assert read_submission("create", cut, SALE.endpoint, PLACE, OWN) == unclear()
    assert read_look_up(cut, SALE.endpoint, PLACE, OWN) == FAILED


def test_an_answer_of_a_mebibyte_of_blanks_is_not_taken_for_an_empty_one() -> None:
    blanks = Answer(401, b" " * 1_048_576, NOW, whole=False)
    assert read_login(blanks) == unavailable(401)
    assert token_problem(blanks) == "suspected"
    assert read_look_up(Answer(405, blanks.content, NOW, whole=False), SALE.endpoint, PLACE, OWN) == failed(405)


def test_a_not_stored_phrase_matches_composed_and_decomposed_letters() -> None:
    decomposed = Line("", 400, "kho\u0302ng ti\u0300m tha\u0302\u0301y ho\u0301a \u0111o\u031bn".encode(), None)
    read = read_submission("replace", decomposed.answer(), SALE.endpoint, PLACE, OWN, PHRASES)
    assert read == NothingToReplace()


def test_an_empty_not_stored_phrase_matches_no_answer() -> None:
    outcome = read_submission("replace", Answer(400, b'{"mess": "Sai"}', NOW), SALE.endpoint, PLACE, OWN, ("",))
    assert outcome == refused("Sai", 400)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("0", 0.0),
        (" 30 ", 30.0),
        ("-5", 0.0),
        ("86400", 86400.0),
        ("86401", None),
        ("999999999", None),
        ("Sun, 01 Mar 2026 10:01:30 GMT", 90.0),
        ("Sun, 01 Mar 2026 09:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("1.5", 1.5),
        ("9" * 400, None),
        ("-" + "9" * 400, 0.0),
        ("1e400", None),
        ("2026-03-01T10:01:30Z", 90.0),
        ("2026-03-01T17:01:30+07:00", 90.0),
        ("30, 60", 30.0),
        ("Sun, 01 Mar 99999 10:01:30 GMT", None),
        ("Infinity", None),
        ("nan", None),
        ("30 seconds", None),
    ],
)
def test_a_retry_after_header_gives_the_seconds_to_wait_or_nothing(value: str, wait_s: float | None) -> None:
    """Promise 1. Broken by: a Retry-After of 400 digits is obeyed, and the sale waits forever."""
    assert retry_after(Answer(429, b"", NOW, retry_after=value)) == wait_s


@given(st.text(max_size=40) | st.integers().map(str))
def test_any_retry_after_header_gives_at_most_a_day(value: str) -> None:
    wait_s = retry_after(Answer(429, b"", NOW, retry_after=value))
    assert wait_s is None or 0 <= wait_s <= 86_400


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (httpx.ConnectError("refused"), UNREACHABLE),
        (httpx.ConnectTimeout(""), UNREACHABLE),
        (httpx.PoolTimeout(""), UNREACHABLE),
        (httpx.ProxyError("407 Proxy Authentication Required"), UNREACHABLE),
        (httpx.ReadTimeout(""), TIMED_OUT),
        (httpx.WriteTimeout(""), TIMED_OUT),
        (TimeoutError(), TIMED_OUT),
        (httpx.ReadError(""), LOST),
        (httpx.WriteError(""), LOST),
        (httpx.CloseError(""), LOST),
        (httpx.RemoteProtocolError(""), LOST),
        (httpx.LocalProtocolError(""), LOST),
        (httpx.UnsupportedProtocol(""), LOST),
        (httpx.DecodingError(""), LOST),
        (httpx.InvalidURL(""), LOST),
        (RuntimeError("client error (Connect)"), LOST),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_a_connection_that_was_never_made_proves_that_nothing_was_sent(
    error: Exception, means: TryLater | InDoubt
) -> None:
    """Promise 3. Broken by: a call that was written and then lost its connection counts as unsent."""
    assert read_transport_error(error) == means


@pytest.mark.parametrize(
    ("error", "causes", "means"),
    [
        (ConnectError, ["error sending request", "client error (Connect)", "tcp connect error"], httpx.ConnectError),
        (ConnectTimeoutError, ["error", "client error (Connect)", "deadline has elapsed"], httpx.ConnectError),
        (PoolTimeoutError, [], httpx.PoolTimeout),
        (ConnectError, ["error sending request", "client error (SendRequest)", "connection closed"], httpx.ReadError),
        (ConnectTimeoutError, ["error sending request", "operation timed out"], httpx.ReadTimeout),
        (ReadTimeoutError, ["request or response body error", "operation timed out"], httpx.ReadTimeout),
        (BodyDecodeError, ["error decoding response body", "not client error (Connect)"], httpx.ReadError),
        (ConnectError, None, httpx.ReadError),
    ],
)
def test_the_fast_transport_raises_the_exception_of_httpx_that_proves_as_much(
    error: type[DetailedPyreqwestError], causes: list[str] | None, means: type[httpx.TransportError]
) -> None:
    """Promise 3. Broken by: what the HTTP client calls a failed connection counts as unsent, though it was not."""
    listed: list[Cause] | None = None if causes is None else [{"message": cause} for cause in causes]
    raised = as_httpx(error("client error (Connect)", {"causes": listed}))
    assert type(raised) is means
    assert str(raised) == (causes[-1] if causes else error.__name__)


def test_the_log_has_no_text_that_quotes_what_was_sent_or_received() -> None:
    assert loggable_text(httpx.ConnectError("refused")) == "refused"
    assert loggable_text(httpx.ReadError("")) == "ReadError"
    assert loggable_text(httpx.RemoteProtocolError("illegal status line: b'khách hàng'")) == "RemoteProtocolError"
    assert loggable_text(RuntimeError("khách hàng")) == "RuntimeError"
