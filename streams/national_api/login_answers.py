"""What an answer to a log-in means: a table, pure. Believed are a token, and a refusal in the API's own words."""

from __future__ import annotations

from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.own_form import (
    Answer,
    Said,
    contradicts_success,
    is_blank,
    is_empty,
    is_own_form,
    is_own_refusal,
    is_placeholder,
    objects,
    read_json,
    words_of,
)
from streams.national_api.retry_after import retry_after
from streams.national_api.subjects import Subject, folded, is_markup, subject

_DONE = (200, 201)


def read_login(answer: Answer) -> str | TryLater:
    """A log-in's answer: the token, or `LOGIN_REFUSED`, or `LOGIN_UNAVAILABLE`."""
    said = read_json(answer)
    if isinstance(said, Said) and answer.status in _DONE and said.code in (None, *_DONE):
        token = next((fields["token"] for fields in objects(said) if "token" in fields), None)
        if isinstance(token, str) and is_a_token(token.strip()) and not contradicts_success(said):
            return token.strip()
    elif _refuses_credentials(answer, said):
        return TryLater(Reason(Code.LOGIN_REFUSED, answer.status))
    code = said.code if isinstance(said, Said) else None
    rate_limited = 429 in (answer.status, code)
    return TryLater(Reason(Code.LOGIN_UNAVAILABLE, 429 if rate_limited else answer.status), retry_after(answer))


def _refuses_credentials(answer: Answer, said: Said | str | None) -> bool:
    """Whether the API says that it does not take this account and password."""
    by_http = answer.status in (400, 401)
    if by_http and is_empty(answer):
        return True  # documented is the status alone; a gateway in front of the API has more to say
    text = words_of(answer, said)
    if subject(text) is Subject.PASSING or is_markup(text):
        return False
    by_words = _speaks_of_credentials(text)
    if not isinstance(said, Said):
        return by_http and by_words
    if not is_own_form(said) or not is_blank(said.fields.get("data")):
        return False
    if said.code is None:
        return by_http and (by_words or is_own_refusal(said, None))
    if answer.status != 200 and not by_http and not (answer.status == said.code == 403):
        return False
    by_code = said.code in _REFUSES_LOG_IN and is_own_refusal(said, None) and answer.status != 403
    return by_code or (by_words and said.code not in _DONE and 0 <= said.code < 429 and said.code != 408)


def _speaks_of_credentials(text: str) -> bool:
    return not is_markup(text) and any(word in folded(text) for word in _CREDENTIALS)


_REFUSES_LOG_IN = (400, 401, 403, 404, 409, 422)
_CREDENTIALS = ("tài khoản", "mật khẩu", "đăng nhập", "password", "credential", "account", "user", "usr", "pwd")


def is_a_token(token: str) -> bool:
    """Whether it fits a header, and is no placeholder."""
    return (
        0 < len(token) <= 8192
        and all("!" <= char <= "~" for char in token)
        and not (is_placeholder(token) or is_markup(token))
    )
