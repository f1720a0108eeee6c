"""Every line of the tables in `streams.national_api.answers`. The contract tests play the same lines over a socket."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pyreqwest.exceptions import (
    BodyDecodeError,
    Cause,
    ConnectError,
    ConnectTimeoutError,
    DetailedPyreqwestError,
    PoolTimeoutError,
    ReadTimeoutError,
)

from streams.documents.document import Endpoint
from streams.documents.sale import SALE
from streams.national_api.answers import (
    Answer,
    Call,
    Held,
    LookUp,
    NoAnswer,
    NotHeld,
    NothingToReplace,
    NotOffered,
    last_cause,
    read_login,
    read_look_up,
    read_submission,
    read_transport_error,
    retry_after,
)
from streams.outcome import Accepted, InDoubt, Reason, Refused, TryLater
from streams.reasons import Code

OWN = "HD-01/Đ"
PHRASES = ("không tìm thấy hóa đơn",)
UNREACHABLE = TryLater(Reason(Code.UNREACHABLE))
LOST = InDoubt(Reason(Code.CONNECTION_LOST))
TIMED_OUT = InDoubt(Reason(Code.TIMED_OUT))
NOW = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
RECEIPT = Endpoint("/api/lien_thong/phieu_nhap", "ma_phieu", "ma_phieu_nhap_quoc_gia")


@dataclass(frozen=True)
class Line:
    """One line of a table: what the API says, what it means."""

    name: str
    status: int
    body: Any
    means: Any
    call: Call = "create"
    headers: dict[str, str] = field(default_factory=dict)
    endpoint: Endpoint = SALE.endpoint

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False).encode()

    def answer(self) -> Answer:
        return Answer(self.status, self.content, NOW, self.headers.get("retry-after", ""))


def unclear(status: int = 200) -> InDoubt:
    return InDoubt(Reason(Code.UNCLEAR_ANSWER, status))


def no_id(status: int = 200) -> InDoubt:
    return InDoubt(Reason(Code.UNCLEAR_ANSWER, status), only_id_missing=True)


def refused(words: str | None, status: int = 200) -> Refused:
    return Refused(Reason(Code.API_REFUSED, status), words)


DOCUMENTED = {"ma_hoa_don": "HD_QG_1", "code": 200, "mess": "Thành công"}
SUBMISSIONS = [
    Line("documented", 200, DOCUMENTED, Accepted("HD_QG_1")),
    Line("documented, replaced", 200, DOCUMENTED, Accepted("HD_QG_1"), "replace"),
    Line("created", 201, DOCUMENTED, Accepted("HD_QG_1")),
    Line("field", 200, {"code": "200", "ma_hoa_don_quoc_gia": "HD_QG_2"}, Accepted("HD_QG_2")),
    Line("no code", 200, {"ma_hoa_don_quoc_gia": " HD_QG_3 "}, Accepted("HD_QG_3")),
    Line("own code beside it", 200, {"ma_hoa_don": OWN, "ma_hoa_don_quoc_gia": "Q"}, Accepted("Q")),
    Line("a number as id", 200, {"ma_hoa_don": 4711}, Accepted("4711")),
    Line("byte order mark", 200, b"\xef\xbb\xbf" + json.dumps(DOCUMENTED).encode(), Accepted("HD_QG_1")),
    Line("bare string", 200, "PN_QG_12345678", Accepted("PN_QG_12345678"), endpoint=RECEIPT),
    Line("receipt, field", 200, {"code": 200, "ma_phieu_nhap_quoc_gia": "PN"}, Accepted("PN"), endpoint=RECEIPT),
    Line("only our own code", 200, {"ma_hoa_don": OWN, "code": 200}, no_id()),
    Line("our own code in capitals", 200, {"ma_hoa_don": OWN.upper(), "code": 200}, no_id()),
    Line("our own code, bare", 200, OWN, no_id()),
    Line("no id", 200, {"code": 200, "mess": "Thành công"}, no_id()),
    Line("our own code without a code", 200, {"ma_hoa_don": OWN}, no_id()),
    Line("an object that says nothing", 200, {"error": "?"}, unclear()),
    Line("empty id", 200, {"code": 200, "ma_hoa_don": "  "}, no_id()),
    Line("an id that is a list", 200, {"code": 200, "ma_hoa_don": ["x"]}, no_id()),
    Line("an id that is true", 200, {"code": 200, "ma_hoa_don": True}, no_id()),
    Line("an id too long for the column", 200, {"ma_hoa_don": "x" * 101}, unclear()),
    Line("an id with half a character", 200, b'{"ma_hoa_don": "\\ud800"}', unclear()),
    Line("empty", 200, b"", unclear()),
    Line("no content", 204, b"", unclear(204)),
    Line("HTML", 200, b"<html>OK</html>", unclear()),
    Line("bare empty string", 200, "", unclear()),
    Line("a list", 200, [DOCUMENTED], unclear()),
    Line("null", 200, None, unclear()),
    Line("not UTF-8", 200, b'{"ma_hoa_don": "\xff\xfe"}', unclear()),
    Line("nested beyond reading", 200, b"[" * 100_000, unclear()),
    Line("refused with 200", 200, {"code": 400, "mess": "Sai mã cơ sở"}, refused("Sai mã cơ sở")),
    Line("refused with 200, field", 200, {"code": "01", "message": "Sai ngày"}, refused("Sai ngày")),
    Line("refused beside an id", 200, {"code": 1, "ma_hoa_don": "Q", "mess": "no"}, refused("no")),
    Line("refused without words", 200, {"code": 1}, refused('{"code": 1}')),
    Line("400 text", 400, "Ngày sai".encode(), refused("Ngày sai", 400)),
    Line("400 JSON", 400, {"message": "Ngày sai"}, refused("Ngày sai", 400)),
    Line("400 empty", 400, b"", refused(None, 400)),
    Line("400 not UTF-8", 400, b"a\xff\x00b", refused("a\ufffdb", 400)),
    Line("400 long", 400, b"x" * 5000, refused("x" * 2000, 400)),
    Line("409", 409, {"mess": "Đã tồn tại"}, refused("Đã tồn tại", 409)),
    Line("422", 422, {"mess": "Thiếu"}, refused("Thiếu", 422)),
    Line("401", 401, b"", TryLater(Reason(Code.TOKEN_REJECTED, 401))),
    Line("404 to PUT", 404, b"", NothingToReplace(), "replace"),
    Line("404 to POST", 404, b"", unclear(404)),
    Line("phrase", 200, {"code": 9, "mess": "KHÔNG tìm thấy hóa đơn 5"}, NothingToReplace(), "replace"),
    Line("phrase in 400", 400, {"mess": "Không tìm thấy hóa đơn"}, NothingToReplace(), "replace"),
    Line("phrase to POST", 400, b"khong", refused("khong", 400)),
    Line("another refusal of PUT", 400, {"mess": "Sai"}, refused("Sai", 400), "replace"),
    Line("429", 429, b"", InDoubt(Reason(Code.RATE_LIMITED, 429), 7.0), headers={"retry-after": "7"}),
    Line("429 bare", 429, b"", InDoubt(Reason(Code.RATE_LIMITED, 429))),
    Line("500", 500, b"", InDoubt(Reason(Code.API_ERROR, 500))),
    Line("503", 503, b"", InDoubt(Reason(Code.API_ERROR, 503), 120.0), headers={"retry-after": "120"}),
    Line("502 to PUT", 502, b"<html>", InDoubt(Reason(Code.API_ERROR, 502)), "replace"),
    Line("501", 501, b"", InDoubt(Reason(Code.API_ERROR, 501))),
    Line("405", 405, b"", InDoubt(Reason(Code.API_ERROR, 405))),
    Line("302", 302, b"", unclear(302), headers={"location": "/elsewhere"}),
    Line("307", 307, b"", unclear(307), headers={"location": "/elsewhere"}),
    Line("403 of a firewall", 403, b"<html>", unclear(403)),
    Line("408", 408, b"", unclear(408)),
    Line("413", 413, b"", unclear(413)),
]

OURS = {"ma_hoa_don": OWN, "ma_hoa_don_quoc_gia": "Q1"}
FAILED = NoAnswer(Reason(Code.LOOK_UP_FAILED, 200))
LOOK_UPS = [
    Line("bare", 200, OURS, Held("Q1")),
    Line("with code", 200, {**OURS, "code": 200}, Held("Q1")),
    Line("under data", 200, {"code": "200", "data": OURS}, Held("Q1")),
    Line("list of one", 200, {"data": [OURS]}, Held("Q1")),
    Line("ours without an id", 200, {"ma_hoa_don": OWN.lower()}, Held(None)),
    Line("only the national id", 200, {"data": {"ma_hoa_don_quoc_gia": "Q2"}}, Held("Q2")),
    Line("the two swapped", 200, {"ma_hoa_don": "Q3", "ma_hoa_don_quoc_gia": OWN}, Held("Q3")),
    Line("an id that cannot be read", 200, {"ma_hoa_don_quoc_gia": "x" * 101}, Held(None)),
    Line("404", 404, b"<html>", NotHeld()),
    Line("another code", 200, {"code": 404, "mess": "Không có"}, NotHeld()),
    Line("another code beside it", 200, {"code": "1", "data": OURS}, NotHeld()),
    Line("data null", 200, {"code": 200, "data": None}, NotHeld()),
    Line("data empty", 200, {"data": []}, NotHeld()),
    Line("405", 405, b"", NotOffered()),
    Line("501", 501, b"", NotOffered()),
    Line("list of two", 200, {"data": [OURS, OURS]}, FAILED),
    Line("somebody else's", 200, {"data": {"ma_hoa_don": "HD-02"}}, FAILED),
    Line("nothing in it", 200, {}, FAILED),
    Line("bare null", 200, None, FAILED),
    Line("bare string", 200, "Q1", FAILED),
    Line("data false", 200, {"data": False}, FAILED),
    Line("HTML", 200, b"<html>", FAILED),
    Line("empty", 200, b"", FAILED),
    Line("not UTF-8", 200, b'{"ma_hoa_don_quoc_gia": "\xff"}', FAILED),
    Line("204", 204, b"", NoAnswer(Reason(Code.LOOK_UP_FAILED, 204))),
    Line("401", 401, b"", NoAnswer(Reason(Code.TOKEN_REJECTED, 401))),
    Line("403", 403, b"", NoAnswer(Reason(Code.LOOK_UP_FAILED, 403))),
    Line("400", 400, b"", NoAnswer(Reason(Code.LOOK_UP_FAILED, 400))),
    Line("302", 302, b"", NoAnswer(Reason(Code.LOOK_UP_FAILED, 302)), headers={"location": "/"}),
    Line("429", 429, b"", NoAnswer(Reason(Code.RATE_LIMITED, 429), 3.0), headers={"retry-after": "3"}),
    Line("503", 503, b"", NoAnswer(Reason(Code.LOOK_UP_FAILED, 503), 9.0), headers={"retry-after": "9"}),
]


def unavailable(status: int, wait_s: float | None = None) -> TryLater:
    return TryLater(Reason(Code.LOGIN_UNAVAILABLE, status), wait_s)


def login_refused(status: int) -> TryLater:
    return TryLater(Reason(Code.LOGIN_REFUSED, status))


DATA = {"token": "abc", "token_type": "bearer"}
LOG_INS = [
    Line("documented", 200, DATA, "abc"),
    Line("field", 200, {"code": "200", "message": "ok", "data": DATA}, "abc"),
    Line("400", 400, b"", login_refused(400)),
    Line("401", 401, b"", login_refused(401)),
    Line("refused with 200", 200, {"code": "400", "message": "Sai", "data": None}, login_refused(200)),
    Line("refused with 200, no data", 200, {"code": 1}, login_refused(200)),
    Line("neither", 200, {"code": "1", "data": DATA}, unavailable(200)),
    Line("no token", 200, {"code": 200, "data": None}, unavailable(200)),
    Line("empty token", 200, {"token": ""}, unavailable(200)),
    Line("a token that breaks the header", 200, {"token": "a\r\nx: y"}, unavailable(200)),
    Line("no text", 200, {"token": 5}, unavailable(200)),
    Line("HTML", 200, b"<html>", unavailable(200)),
    Line("empty", 200, b"", unavailable(200)),
    Line("302", 302, b"", unavailable(302), headers={"location": "/"}),
    Line("403", 403, b"", unavailable(403)),
    Line("404", 404, b"", unavailable(404)),
    Line("429", 429, b"", unavailable(429, 5.0), headers={"retry-after": "5"}),
    Line("500", 500, b"", unavailable(500)),
]


def by_name(line: Line) -> str:
    return line.name


@pytest.mark.parametrize("line", SUBMISSIONS, ids=by_name)
def test_submission(line: Line) -> None:
    assert read_submission(line.call, line.answer(), line.endpoint, OWN, PHRASES) == line.means


@pytest.mark.parametrize("line", LOOK_UPS, ids=by_name)
def test_look_up(line: Line) -> None:
    found: LookUp = read_look_up(line.answer(), line.endpoint, OWN)
    assert found == line.means


@pytest.mark.parametrize("line", LOG_INS, ids=by_name)
def test_log_in(line: Line) -> None:
    assert read_login(line.answer()) == line.means


@pytest.mark.parametrize("call", ["create", "replace"])
def test_no_status_by_itself_ends_a_sale_as_accepted_and_few_as_refused(call: Call) -> None:
    for status in range(100, 600):
        outcome = read_submission(call, Answer(status, b"", NOW), SALE.endpoint, OWN)
        assert not isinstance(outcome, Accepted), status
        assert isinstance(outcome, Refused) == (status in (400, 409, 422)), status


def test_an_answer_that_was_cut_off_proves_nothing() -> None:
    cut = Answer(200, json.dumps(DOCUMENTED).encode(), NOW, whole=False)
    assert read_submission("create", cut, SALE.endpoint, OWN) == unclear()
    assert read_look_up(cut, SALE.endpoint, OWN) == FAILED


def test_a_phrase_matches_whatever_way_its_letters_are_composed() -> None:
    decomposed = Line("", 400, "kho\u0302ng ti\u0300m tha\u0302\u0301y ho\u0301a \u0111o\u031bn".encode(), None)
    read = read_submission("replace", decomposed.answer(), SALE.endpoint, OWN, PHRASES)
    assert read == NothingToReplace()


def test_an_empty_phrase_matches_nothing() -> None:
    outcome = read_submission("replace", Answer(400, b"Sai", NOW), SALE.endpoint, OWN, ("",))
    assert outcome == refused("Sai", 400)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("0", 0.0),
        (" 30 ", 30.0),
        ("-5", 0.0),
        ("999999999", 86400.0),
        ("Sun, 01 Mar 2026 10:01:30 GMT", 90.0),
        ("Sun, 01 Mar 2026 09:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("1.5", None),
    ],
)
def test_retry_after(value: str, wait_s: float | None) -> None:
    assert retry_after(Answer(429, b"", NOW, value)) == wait_s


@pytest.mark.parametrize(
    ("error", "causes", "means"),
    [
        (ConnectError, ["error sending request", "client error (Connect)", "tcp connect error"], UNREACHABLE),
        (ConnectTimeoutError, ["error sending request", "client error (Connect)", "deadline has elapsed"], UNREACHABLE),
        (PoolTimeoutError, [], UNREACHABLE),
        (ConnectError, ["error sending request", "client error (SendRequest)", "connection closed"], LOST),
        (ConnectTimeoutError, ["error sending request", "operation timed out"], TIMED_OUT),
        (ReadTimeoutError, ["request or response body error", "operation timed out"], TIMED_OUT),
        (BodyDecodeError, ["error decoding response body", "not client error (Connect)"], LOST),
    ],
)
def test_only_a_connection_never_made_proves_unsent(
    error: type[DetailedPyreqwestError], causes: list[str], means: TryLater | InDoubt
) -> None:
    assert read_transport_error(error("text", {"causes": [{"message": cause} for cause in causes]})) == means


def test_an_error_without_causes_proves_nothing() -> None:
    assert read_transport_error(ConnectError("client error (Connect)", {"causes": None})) == LOST
    assert read_transport_error(TimeoutError()) == TIMED_OUT
    assert read_transport_error(RuntimeError("client error (Connect)")) == LOST


def test_the_last_cause_is_what_broke_and_no_text_of_ours() -> None:
    causes: list[Cause] = [{"message": "error sending request for url (https://x/HD-1)"}, {"message": "refused"}]
    assert last_cause(ConnectError("text", {"causes": causes})) == "refused"
    assert last_cause(RuntimeError("khách hàng")) == "RuntimeError"
