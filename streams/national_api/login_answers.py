"""Turn the answer to a log-in into a token or a reason. Pure functions.

Only two things are believed: a token, and a refusal by the API itself.
"""

from __future__ import annotations

from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.own_form import (
    SUCCESS_CODES,
    Answer,
    ParsedObject,
    answer_text,
    contradicts_success,
    is_api_form,
    is_api_refusal,
    is_blank,
    is_empty,
    is_placeholder,
    objects,
    read_json,
)
from streams.national_api.retry_after import retry_after
from streams.national_api.subjects import Subject, folded, is_generic, is_markup, subject


def read_login(answer: Answer) -> str | TryLater:
    """Return the token, or a `TryLater` with the reason `LOGIN_REFUSED` or `LOGIN_UNAVAILABLE`."""
    parsed = read_json(answer)
    if isinstance(parsed, ParsedObject) and answer.status in SUCCESS_CODES and parsed.code in (None, *SUCCESS_CODES):
        token = next((fields["token"] for fields in objects(parsed) if "token" in fields), None)
        if isinstance(token, str) and is_a_token(token.strip()) and not contradicts_success(parsed):
            return token.strip()
    elif _refuses_credentials(answer, parsed):
        return TryLater(Reason(Code.LOGIN_REFUSED, answer.status))
    code = parsed.code if isinstance(parsed, ParsedObject) else None
    rate_limited = 429 in (answer.status, code)
    return TryLater(Reason(Code.LOGIN_UNAVAILABLE, 429 if rate_limited else answer.status), retry_after(answer))


def _refuses_credentials(answer: Answer, parsed: ParsedObject | str | None) -> bool:
    """Whether the API itself refuses this account and password."""
    by_http = answer.status in (400, 401)
    if by_http and is_empty(answer):
        return True  # the API documents the bare status; a gateway in front of it sends a body
    text = answer_text(answer, parsed)
    if subject(text) is Subject.TRANSIENT or is_markup(text):
        return False
    by_text = _is_about_credentials(text)
    if not isinstance(parsed, ParsedObject):
        return by_http and by_text
    if not is_api_form(parsed) or not is_blank(parsed.fields.get("data")):
        return False
    if parsed.code is None:
        # A gateway's text that echoes what was sent names the account, too.
        return by_http and ((by_text and not is_generic(text)) or is_api_refusal(parsed, None))
    if answer.status != 200 and not by_http and not (answer.status == parsed.code == 403):
        return False
    by_code = parsed.code in _REFUSAL_CODES and is_api_refusal(parsed, None) and answer.status != 403
    return by_code or (by_text and parsed.code not in SUCCESS_CODES and 0 <= parsed.code < 429 and parsed.code != 408)


def _is_about_credentials(text: str) -> bool:
    return not is_markup(text) and any(term in folded(text) for term in _CREDENTIALS)


_REFUSAL_CODES = (400, 401, 403, 404, 409, 422)
_CREDENTIALS = ("tài khoản", "mật khẩu", "đăng nhập", "password", "credential", "account", "user", "usr", "pwd")


def is_a_token(token: str) -> bool:
    """Whether the text fits a header, and is neither a placeholder nor markup."""
    return (
        0 < len(token) <= 8192
        and all("!" <= char <= "~" for char in token)
        and not (is_placeholder(token) or is_markup(token))
    )
