"""Judges what an answer may prove, independently of the code that reads answers.

Each judgement checks necessary conditions only, taken from the facts known of the API: an answer that fails them
proves nothing, one that meets them may still be doubted by the reader.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from streams.local.simulator.calls import CallName

OWN = "HD-2026-001"
PLACE = "79-00001"
OWN_FIELD, NATIONAL_FIELD = "ma_hoa_don", "ma_hoa_don_quoc_gia"
PHRASES = ("không tìm thấy",)
"""Words by which a refused replacement says that there is nothing to replace."""


@dataclass(frozen=True, slots=True)
class Played:
    """An answer to one call about the document `OWN` of the facility `PLACE`, or to a log-in."""

    call: CallName
    status: int
    content: bytes
    content_type: str = "application/json; charset=utf-8"
    retry_after: str = ""
    location: str = ""
    age: str = ""
    whole: bool = True


class Conclusion(StrEnum):
    ACCEPTED = "accepted, or held"
    NOT_STORED = "not stored"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    UNSENT = "the token's trouble, so not stored by this call"
    NOT_OFFERED = "look-up not offered"
    TOKEN = "a token"
    LOGIN_REFUSED = "log-in refused"
    NOTHING = "proves nothing"


_SUBMISSION = {Conclusion.ACCEPTED, Conclusion.NOT_STORED, Conclusion.REFUSED, Conclusion.UNSENT}
_AT_A_LOOK_UP = {Conclusion.ACCEPTED, Conclusion.NOT_STORED, Conclusion.NOT_OFFERED}
POSSIBLE: dict[CallName, set[Conclusion]] = {
    "create": _SUBMISSION - {Conclusion.NOT_STORED},
    "replace": _SUBMISSION,
    "look_up": _AT_A_LOOK_UP,
    "withdraw": _SUBMISSION - {Conclusion.ACCEPTED} | {Conclusion.WITHDRAWN},
    "login": {Conclusion.TOKEN, Conclusion.LOGIN_REFUSED},
}

_TOKEN = re.compile(r"token|phiên|đăng nhập|session|jwt|bearer|unauthor|authenticat|authoriz|hết hạn")
_PASSING = re.compile(
    r"bảo trì|quá tải|quá nhiều|thử lại sau|tạm thời|đang bận|lỗi hệ thống|lỗi máy chủ|time-?\s?out|timed out|too many"
    r"|rate limit|overload|unavailable|maintenance|try again|deadlock|internal|exception"
)
_OF_A_ROUTER = re.compile(
    r"\b(?:route|http|uri|url|path|endpoint|resource|page|host|backend|upstream|server|gateway|api|proxy)\b"
    r"|^(?:\d{3} )?(?:not found|bad request|unauthorized|forbidden|conflict)\.?$"
)
"""Words that a machine in front of the API says in the API's own form: it looked for an address, not for a document."""
_OF_THE_ACCOUNT = re.compile(r"tài khoản|mật khẩu|account|password|\busr\b|\bpwd\b")
_FAILED = re.compile(r"lỗi|thất bại|không|từ chối|error|fail|denied|invalid|expired|hết hạn|bảo trì|reject|block")
_PAGE = re.compile(r"<(?:[!?]|/?(?:html|head|body|title|h1|center|p|div|br|script)\b)")
_ABOUT_THE_DOCUMENT = re.compile(r"[^\x00-\x7f]|\b[a-z]+_[a-z_]+\b")
"""Vietnamese, or a name of the wire: machines in front of the API speak English and know no fields."""
_OF_OTHERS = {
    "status", "statuscode", "error", "errors", "timestamp", "path", "traceid", "title", "type", "success", "detail",
    "request_id", "requestid", "error_msg", "error_description", "kind", "reason", "description", "errormessage",
    "supportid", "extensions",
}  # fmt: skip
"""Keys of other systems' errors, which the API does not use."""
_SAYING_NOTHING = {"success", "traceid", "timestamp", "request_id", "requestid", "total", "status", "statuscode"}
_NO_TOKEN = {"string", "undefined", "null", "none", "nil", "true", "false", "nan"}

_Object: TypeAlias = dict[str, list[Any]]
"""By its keys in small letters: a key may stand in two cases, with two values."""


def proved(conclusion: Conclusion, played: Played, value: str | None = None) -> bool:
    """Say whether `played` has what `conclusion` needs; `value` is the id or the token that was read out of it."""
    if conclusion is Conclusion.NOTHING:
        return True
    if conclusion not in POSSIBLE[played.call]:
        return False
    judged = {
        Conclusion.ACCEPTED: lambda: _accepted(played, value),
        Conclusion.NOT_STORED: lambda: _not_stored(played),
        Conclusion.REFUSED: lambda: _refused(played),
        Conclusion.WITHDRAWN: lambda: _withdrawn(played),
        Conclusion.UNSENT: lambda: _token_problem(played),
        Conclusion.NOT_OFFERED: lambda: played.status in (405, 501) and not _PAGE.search(_text(played).lower()),
        Conclusion.TOKEN: lambda: value in _tokens(played),
        Conclusion.LOGIN_REFUSED: lambda: _login_refused(played),
    }
    by_its_status = conclusion in (Conclusion.UNSENT, Conclusion.NOT_OFFERED)
    return (by_its_status or (played.whole and not _from_a_cache(played))) and judged[conclusion]()


def _accepted(played: Played, value: str | None) -> bool:
    objects = list(_objects(played))
    own = _values(objects, OWN_FIELD)
    ids = [v for v in own + _values(objects, NATIONAL_FIELD) if not _is(v, OWN)]
    given = [v for v in ids if v is not None and v != "" and str(v).strip()]
    if played.status not in (200, 201) or not objects or _failed(objects) or _another_place(objects):
        return False
    if not all(_number(code) in (None, 200, 201) for code in _values(objects, "code")):
        return False
    names_us = any(_is(v, OWN) for v in own + _values(objects, NATIONAL_FIELD))
    if len({str(v) for v in given}) > 1 and not names_us:
        return False  # one of them names a document, and not ours
    if value is None:
        return played.call == "look_up" and names_us
    return any(str(v).strip() == value.strip() for v in given if _like_an_id(v))


def _withdrawn(played: Played) -> bool:
    """Say whether the API itself reports success, and shows no document: that would answer another call."""
    top = _top(played)
    if played.status != 200 or top is None or _failed([top]) or not _its_own_form(top):
        return False
    shown = [value for key in ("data", OWN_FIELD, NATIONAL_FIELD) for value in top.get(key, []) if _is_something(value)]
    codes = [_number(code) for code in top.get("code", [])]
    messages = _messages([top])
    return not shown and set(codes) == {200} and any(messages) and not any(_unlike_the_api(w) for w in messages)


def _not_stored(played: Played) -> bool:
    top = _top(played)
    if top is None:
        refused = played.call in ("replace", "withdraw") and _refused(played)
        return refused and any(phrase in _plain(_text(played)) for phrase in PHRASES)
    codes = [_number(code) for code in top.get("code", []) if code is not None]
    words = _messages([top])
    if not _its_own_form(top) or any(_unlike_the_api(w) for w in words):
        return (
            played.call in ("replace", "withdraw") and _refused(played) and any(p in w for w in words for p in PHRASES)
        )
    if any(data not in (None, [], {}, "") for data in top.get("data", [])):
        return False
    if codes and set(codes) == {404}:
        return played.status in (200, 400, 404, 409, 422)
    if played.status == 404:
        return not codes and bool(words)
    if played.call in ("replace", "withdraw"):
        # Words that the settings name, under whatever code the API has for them.
        fits = played.status in (200, 400, 409, 422) and (bool(codes) or played.status != 200)
        says_no = all(c is not None and (0 <= c < 200 or 400 <= c < 429) for c in codes)
        return fits and says_no and any(p in w for w in words for p in PHRASES)
    nothing_in_it = played.status == 200 and "data" in top and set(codes) <= {200}
    return nothing_in_it and not any(re.search(r"lỗi|error|fail|thất bại", w) for w in words)


def _refused(played: Played) -> bool:
    if played.status not in (200, 400, 409, 422):
        return False
    top = _top(played)
    if top is None:
        words = _plain(_text(played))
        about = bool(_ABOUT_THE_DOCUMENT.search(words)) and words[:1] not in "{[" and "\ufffd" not in words
        return played.status != 200 and bool(words) and about and not _unlike_the_api(words)
    codes = [_number(code) for code in top.get("code", []) if code is not None]
    fits = set(codes) <= {400, 409, 422} and (bool(codes) or played.status != 200)
    messages = _messages([top])
    its_own = not _of_others(top) and not _another_place([top])
    return fits and its_own and any(messages) and not any(_unlike_the_api(w) for w in messages)


def _token_problem(played: Played) -> bool:
    codes = [_number(code) for code in _values(list(_objects(played)), "code")]
    spoken = bool(_TOKEN.search(_plain(_text(played))))
    return played.status in (301, 302, 303, 307, 308, 401, 403) or 401 in codes or 403 in codes or spoken


def _tokens(played: Played) -> list[str]:
    objects = list(_objects(played))
    if played.status not in (200, 201) or _failed(objects):
        return []
    if not all(_number(code) in (None, 200, 201) for code in _values(objects, "code")):
        return []
    given = [token.strip() for token in _values(objects, "token") if isinstance(token, str)]
    return [t for t in given if re.fullmatch(r"[!-~]+", t) and t.lower() not in _NO_TOKEN]


def _login_refused(played: Played) -> bool:
    if played.status in (400, 401) and not played.content.strip():
        return True  # documented is the status alone
    top = _top(played)
    if top is None:
        words = _plain(_text(played))
        about = bool(_ABOUT_THE_DOCUMENT.search(words) or re.search(r"\b(?:usr|pwd|password|account)\b", words))
        fits_the_status = played.status in (400, 401) and words[:1] not in "{[" and "\ufffd" not in words
        return fits_the_status and about and not (_PASSING.search(words) or _PAGE.search(words))
    codes = [_number(code) for code in top.get("code", []) if code is not None]
    passing = any(_PASSING.search(w) or _PAGE.search(w) or _OF_A_ROUTER.search(w) for w in _messages([top]))
    empty = not any(top.get("data", [])) and not any(top.get("token", []))
    # A code of its own, like "01", where the words speak of the account.
    names_the_account = any(_OF_THE_ACCOUNT.search(w) for w in _messages([top]))
    of_the_account = all(
        code is not None and (400 <= code < 429 or (names_the_account and 0 <= code < 200)) and code != 408
        for code in codes
    )
    fits = bool(codes) if played.status == 200 else played.status in (400, 401) and any(_messages([top]))
    return fits and of_the_account and empty and not passing and not _of_others(top)


def _with_values(top: _Object) -> set[str]:
    return {key for key, values in top.items() if any(_is_something(value) for value in values)}


def _is_something(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value not in (None, [], {})


def _of_others(top: _Object) -> set[str]:
    return _with_values(top) & (_OF_OTHERS - (_SAYING_NOTHING if any(top.get("mess", [])) else set()))


def _its_own_form(top: _Object) -> bool:
    """Say whether the answer has only the API's own keys and our own codes, apart from a few keys that mean
    nothing.
    """
    own = {"code", "mess", "message", "data"} | (_SAYING_NOTHING if any(top.get("mess", [])) else set())
    own |= {OWN_FIELD} if all(_is(v, OWN) for v in top.get(OWN_FIELD, []) if _is_something(v)) else set()
    own |= {"ma_co_so"} if not _another_place([top]) else set()
    return _with_values(top) <= own


def _objects(played: Played) -> Iterator[_Object]:
    """Yield the answer's object, and the one under `data`, alone or as a list of one."""
    top = _top(played)
    if top is None:
        return
    yield top
    for data in top.get("data", []):
        inner = data[0] if isinstance(data, list) and len(data) == 1 else data
        if isinstance(inner, dict):
            yield _folded(inner)


def _top(played: Played) -> _Object | None:
    value = _json(played.content)
    if isinstance(value, str):
        value = _json(value.encode("utf-8", "replace"))  # what is JSON again is read once more
    return _folded(value) if isinstance(value, dict) else None


def _json(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def _folded(value: dict[str, Any]) -> _Object:
    folded: _Object = {}
    for key, inner in value.items():
        folded.setdefault(key.strip().casefold(), []).append(inner)
    return folded


def _values(objects: list[_Object], key: str) -> list[Any]:
    return [value for each in objects for value in each.get(key, [])]


def _messages(objects: list[_Object]) -> list[str]:
    said = _values(objects, "mess") + _values(objects, "message")
    return [_plain(words) for words in said if isinstance(words, str)]


def _text(played: Played) -> str:
    value = _json(played.content)
    return value if isinstance(value, str) else played.content.decode("utf-8-sig", "replace")


def _plain(words: str) -> str:
    return unicodedata.normalize("NFC", words).strip().lower()


def _unlike_the_api(words: str) -> bool:
    """Say whether the API would never write this text about a document."""
    expired_drug = "hết hạn" in words and re.search(r"thuốc|han_dung|sử dụng", words)
    of_the_token = bool(_TOKEN.search(words)) and not expired_drug
    return of_the_token or any(sort.search(words) for sort in (_PASSING, _OF_A_ROUTER, _PAGE))


def _failed(objects: list[_Object]) -> bool:
    given = any(_FAILED.search(words) for words in _messages(objects))
    named = any(any(_values(objects, key)) for key in ("error", "errors", "exception", "error_msg", "detail"))
    states = [_number(s) or 0 for s in _values(objects, "status") + _values(objects, "statuscode")]
    return given or named or False in _values(objects, "success") or any(state >= 400 for state in states)


def _another_place(objects: list[_Object]) -> bool:
    return any(not _is(place, PLACE) for place in _values(objects, "ma_co_so") if place is not None)


def _is(value: Any, text: str) -> bool:
    return isinstance(value, str) and value.strip().casefold() == text.casefold()


def _like_an_id(value: Any) -> bool:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return bool(re.fullmatch(r"\w[\w.:/-]{0,99}", text)) and bool(re.search(r"[1-9]", text))


def _number(code: Any) -> float | None:
    """Return a code as a number; -1 if it is not a number."""
    if code is None or code == "":
        return None
    try:
        return -1 if isinstance(code, bool) else float(code)
    except (TypeError, ValueError, OverflowError):
        return -1


def _from_a_cache(played: Played) -> bool:
    age = played.age.strip()
    return age.isdigit() and int(age) > 0
