"""Strategies that draw answers: the API's own and strangers', unchanged, spoilt, or mixed.

They take nothing from the code that reads answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from streams.local.simulator import zoo
from streams.local.simulator.calls import Call, CallName
from streams.local.simulator.kinds import SALE
from tests.unit.evidence_judge import NATIONAL_FIELD, OWN, OWN_FIELD, PLACE, Played

CALLS: tuple[CallName, ...] = ("create", "replace", "look_up", "withdraw", "login")
STATUSES = (
    200, 200, 200, 201, 202, 204, 302, 400, 400, 401, 403, 404, 404, 405, 409, 413, 422, 429, 500, 501, 503, 520,
)  # fmt: skip
SUCCESS = ("Thành công", "OK", "Success", "", None)
MISSING = ("Không tìm thấy hóa đơn", "Không tìm thấy dữ liệu", "KHÔNG TÌM THẤY", "Không có dữ liệu")
REFUSALS = (
    "ma_thuoc: không có trong danh mục", "Sai mã cơ sở", "Ngày bán không hợp lệ", "Hóa đơn đã tồn tại",
    "Thuốc đã hết hạn sử dụng", "so_luong phải lớn hơn 0", "Không tìm thấy hóa đơn để cập nhật",
)  # fmt: skip
NOT_OF_A_DOCUMENT = (
    "Token expired", "Phiên đăng nhập đã hết hạn", "Token không hợp lệ", "Unauthorized", "Lỗi hệ thống", "Bảo trì",
    "Hệ thống đang bận, vui lòng thử lại sau", "Too many requests", "Execution Timeout Expired.", "HTTP 404 Not Found",
    "no Route matched with those values", "Resource not found", "Not Found", "Bad Request", "string",
    "<html><body>Request Rejected</body></html>", "An error has occurred.", "Service Unavailable",
)  # fmt: skip
WRONG_PASSWORDS = ("Tài khoản hoặc mật khẩu không đúng", "Sai mật khẩu", "usr, pwd: bắt buộc", "Tài khoản bị khóa")
IDS = ("HD_QG_00000001", "HD_QG_77", 123456789, "b6f1e0c2-3c55-4b7e-9d0a-5f7f6c1d2e3a")
NO_IDS = (
    "Token expired", "string", "undefined", "null", "0", 0, True, False, None, "", " ", "[object Object]", "OK", OWN,
    OWN.lower(), ["HD_QG_1"], {"id": 1}, "00000000-0000-0000-0000-000000000000", "<b>1</b>", "x" * 300, "Lỗi 5",
)  # fmt: skip
CODES = (
    200, "200", 200.0, 201, 400, "400", 409, 422, 401, "401", 403, 404, "404", " 404 ", 408, 429, "429", 500, "503", 0,
    1, "01", 99, -1, None, "", True, "OK", [404], {"code": 404}, "NOT_FOUND", 10**30,
)  # fmt: skip
ADDED: tuple[dict[str, Any], ...] = (
    {"success": False}, {"success": True}, {"error": "Internal Server Error"}, {"errors": ["x"]}, {"error": None},
    {"timestamp": 1772359200000, "path": "/api"}, {"status": 404}, {"statusCode": 500}, {"title": "Bad Request"},
    {"data": None}, {"data": []}, {"data": {}}, {"data": "x"}, {"data": [{}, {}]}, {"extra": 1}, {"request_id": "7e"},
    {"ma_co_so": "01-99999"}, {"ma_co_so": PLACE}, {OWN_FIELD: "HD-KHAC-999"}, {OWN_FIELD: OWN},
    {NATIONAL_FIELD: "HD_QG_5"}, {"token": "eyJ.e30.c2ln"}, {"access_token": "eyJ.e30.c2ln"}, {"Code": 500},
    {"CODE": "404"}, {"Mess": "Lỗi hệ thống"},
)  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """An answer under construction: `body` is a JSON value, or bytes."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"
    whole: bool = True

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, ensure_ascii=False).encode()

    def played(self, call: CallName) -> Played:
        chosen = {name.lower(): value for name, value in self.headers.items()}
        return Played(
            call,
            self.status,
            self.content,
            self.content_type,
            chosen.get("retry-after", ""),
            chosen.get("location", ""),
            chosen.get("age", ""),
            self.whole,
        )


Source: TypeAlias = Callable[[DrawFn, CallName], Draft]


@st.composite
def answers(draw: DrawFn) -> Played:
    """Draws an answer to any call."""
    call: CallName = draw(st.sampled_from(CALLS))
    source: Source = draw(st.sampled_from((genuine, genuine, genuine, of_the_zoo, of_the_zoo, mixture)))
    draft = source(draw, call)
    for spoil in draw(st.lists(st.sampled_from(SPOILERS), max_size=3)):
        draft = spoil(draw, draft)
    return draft.played(call)


def genuine(draw: DrawFn, call: CallName) -> Draft:
    """Draws the API's own answer, as described or as seen, and sometimes one to another call."""
    if draw(st.integers(0, 7)) == 0:
        call = draw(st.sampled_from(CALLS))
    forms: dict[CallName, tuple[Callable[[DrawFn], Draft], ...]] = {
        "create": (_accepted, _accepted, _refused),
        "replace": (_accepted, _refused, _missing),
        "look_up": (_stored, _stored, _missing),
        "withdraw": (_withdrawn, _withdrawn, _refused, _missing),
        "login": (_token, _token, _wrong_password),
    }
    form: Callable[[DrawFn], Draft] = draw(st.sampled_from(forms[call]))
    return form(draw)


def of_the_zoo(draw: DrawFn, call: CallName) -> Draft:
    entry = draw(st.sampled_from(zoo.fitting(call)))
    content = entry.content(Call("login", None) if call == "login" else Call(call, SALE, PLACE, OWN))
    try:
        body = json.loads(content)
    except ValueError:
        body = content
    return Draft(entry.status, body, dict(entry.headers), entry.content_type)


def mixture(draw: DrawFn, call: CallName) -> Draft:
    """Merges two answers into one object."""
    one, other = genuine(draw, call), draw(st.sampled_from((genuine, of_the_zoo)))(draw, call)
    if isinstance(one.body, dict) and isinstance(other.body, dict):
        return replace(one, status=draw(st.sampled_from((one.status, other.status))), body={**one.body, **other.body})
    return other


def _message_body(draw: DrawFn, words: tuple[Any, ...], *codes: int | None) -> dict[str, Any]:
    code = draw(st.sampled_from(codes))
    chosen = draw(st.sampled_from(words))
    body = {} if chosen is None else {draw(st.sampled_from(("mess", "message", "Message"))): chosen}
    return body if code is None else {"code": draw(st.sampled_from((code, str(code), float(code)))), **body}


def _accepted(draw: DrawFn) -> Draft:
    national_id = draw(st.sampled_from(IDS))
    shown: dict[str, Any] = draw(st.sampled_from((
        {OWN_FIELD: national_id}, {NATIONAL_FIELD: national_id}, {OWN_FIELD: OWN, NATIONAL_FIELD: national_id},
    )))  # fmt: skip
    return Draft(draw(st.sampled_from((200, 200, 201))), _message_body(draw, SUCCESS, 200, None, 201) | shown)


def _stored(draw: DrawFn) -> Draft:
    national_id = draw(st.sampled_from(IDS))
    shown: dict[str, Any] = draw(st.sampled_from((
        {OWN_FIELD: OWN, "ma_co_so": PLACE, NATIONAL_FIELD: national_id}, {OWN_FIELD: OWN, NATIONAL_FIELD: national_id},
        {NATIONAL_FIELD: national_id, "ma_co_so": PLACE}, {OWN_FIELD: national_id, "ma_co_so": PLACE}, {OWN_FIELD: OWN},
    )))  # fmt: skip
    body = _message_body(draw, SUCCESS, 200, None)
    return Draft(200, draw(st.sampled_from((shown, body | shown, body | {"data": shown}, body | {"data": [shown]}))))


def _withdrawn(draw: DrawFn) -> Draft:
    words = ("Thành công", "Hủy hóa đơn thành công", "Đã hủy", "OK")
    return Draft(200, _message_body(draw, words, 200) | draw(st.sampled_from(({}, {"data": None}, {OWN_FIELD: ""}))))


def _missing(draw: DrawFn) -> Draft:
    empty: dict[str, Any] = {"data": draw(st.sampled_from((None, [])))}
    return draw(
        st.sampled_from((
            Draft(404, _message_body(draw, MISSING, 404, None)),
            Draft(200, _message_body(draw, MISSING, 404)),
            Draft(200, _message_body(draw, MISSING + SUCCESS, 200, 404) | empty),
        ))
    )  # fmt: skip


def _refused(draw: DrawFn) -> Draft:
    status = draw(st.sampled_from((400, 400, 409, 422)))
    words = draw(st.sampled_from(REFUSALS))
    return draw(
        st.sampled_from((
            Draft(200, _message_body(draw, REFUSALS, 400, 409, 422)),
            Draft(status, _message_body(draw, REFUSALS, status, None)),
            Draft(status, words),
            Draft(status, words.encode(), content_type="text/plain; charset=utf-8"),
        ))
    )  # fmt: skip


def _token(draw: DrawFn) -> Draft:
    given = {"token": draw(st.sampled_from(("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "a1b2c3"))), "token_type": "bearer"}
    return Draft(200, draw(st.sampled_from((given, _message_body(draw, SUCCESS, 200) | {"data": given}))))


def _wrong_password(draw: DrawFn) -> Draft:
    status = draw(st.sampled_from((400, 401)))
    return draw(
        st.sampled_from((
            Draft(status, _message_body(draw, WRONG_PASSWORDS, status, None)),
            Draft(200, _message_body(draw, WRONG_PASSWORDS, 400, 401) | {"data": None}),
        ))
    )  # fmt: skip


def _changed(change: Callable[[DrawFn, dict[str, Any]], Any]) -> Callable[[DrawFn, Draft], Draft]:
    """Changes the object, or the one under its `data`, and leaves any other body unchanged."""

    def spoil(draw: DrawFn, draft: Draft) -> Draft:
        if not isinstance(draft.body, dict):
            return draft
        inner = draft.body.get("data")
        if isinstance(inner, dict) and draw(st.booleans()):
            return replace(draft, body={**draft.body, "data": change(draw, inner)})
        return replace(draft, body=change(draw, draft.body))

    return spoil


def _bytes(change: Callable[[DrawFn, bytes], bytes]) -> Callable[[DrawFn, Draft], Draft]:
    return lambda draw, draft: replace(draft, body=change(draw, draft.content))


def _wrapped(change: Callable[[Any], Any]) -> Callable[[DrawFn, Draft], Draft]:
    return lambda draw, draft: draft if isinstance(draft.body, bytes) else replace(draft, body=change(draft.body))


def _without_one(draw: DrawFn, body: dict[str, Any]) -> dict[str, Any]:
    gone = draw(st.sampled_from(sorted(body) or [""]))
    return {key: value for key, value in body.items() if key != gone}


def _encoded(draw: DrawFn, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = draw(st.sampled_from(("utf-16", "utf-16-le", "latin-1", "utf-8-sig", "cp1258", "utf-32")))
    return text.encode(encoding, "replace")


_messages = tuple(words for words in (*SUCCESS, *MISSING, *REFUSALS, *NOT_OF_A_DOCUMENT, *WRONG_PASSWORDS) if words)
_any_message = st.sampled_from((*_messages, "", None, 5, ["x"]))
_with = st.sampled_from
_any_bytes = st.binary(max_size=60) | _with((b"", b"null", b"[" * 5_000, b"1" * 5_000))
SPOILERS: tuple[Callable[[DrawFn, Draft], Draft], ...] = (
    lambda draw, draft: replace(draft, status=draw(_with(STATUSES))),
    lambda draw, draft: replace(draft, headers=draft.headers | {"Age": draw(_with(("0", "1", "7200", "-5", "old")))}),
    lambda draw, draft: replace(draft, headers=draft.headers | {"Location": "/login"}),
    lambda draw, draft: replace(draft, content_type=draw(_with(("text/html", "text/plain", "application/xml", "")))),
    lambda draw, draft: replace(draft, whole=False),
    _changed(lambda draw, body: {draw(_with((str.upper, str.title, str.swapcase)))(key): body[key] for key in body}),
    _changed(lambda draw, body: {**body, "code": draw(_with(CODES))}),
    _changed(lambda draw, body: {**body, "code": draw(_with(CODES))}),
    _changed(lambda draw, body: {**body, **draw(_with(ADDED))}),
    _changed(lambda draw, body: {**body, **draw(_with(ADDED))}),
    _changed(lambda draw, body: {**body, draw(_with(("mess", "message"))): draw(_any_message)}),
    _changed(lambda draw, body: {**body, draw(_with((OWN_FIELD, NATIONAL_FIELD))): draw(_with(NO_IDS))}),
    _changed(lambda draw, body: {**body, "token": draw(_with(("null", "", "a b", "string", "a\r\nb: c", 5, None)))}),
    _changed(lambda draw, body: {draw(_with(("data", "result", "d"))): body}),
    _changed(_without_one),
    _wrapped(lambda body: json.dumps(body, ensure_ascii=False)),
    _wrapped(lambda body: [body]),
    _bytes(lambda draw, content: content[: draw(st.integers(0, max(len(content) - 1, 0)))]),
    _bytes(
        lambda draw, content: draw(_with((b"\xef\xbb\xbf", b")]}',\n", b"callback(", b"<pre>", b"\n \t"))) + content
    ),
    _bytes(lambda draw, content: content + draw(_with((b"\n", b"\x00", b")", b"{}", b"<!-- 7 ms -->")))),
    _bytes(_encoded),
    lambda draw, draft: replace(draft, body=draw(_any_bytes)),
    lambda draw, draft: replace(draft, body=draw(_with((*_messages, *(words.encode() for words in _messages))))),
)
