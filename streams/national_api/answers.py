"""What an answer of the national API means, and what a broken call proves: one table each, pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

from pyreqwest.exceptions import DetailedPyreqwestError, PoolTimeoutError

from streams.documents.document import Endpoint
from streams.national_api.handshake import handshake_trouble
from streams.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater
from streams.reasons import Code
from streams.record import record

LONGEST_WORDS = 2_000
_LONGEST_ID = 100  # what the till's column takes
_LONGEST_WAIT_S = 24 * 3600.0


@record
class Answer:
    status: int
    content: bytes = field(repr=False)
    received_at: datetime
    """With its zone: dates in `retry_after` are measured from it."""
    retry_after: str = field(default="", repr=False)
    """The header, as it is."""
    whole: bool = True
    """False where the content was longer than is read."""


@record
class NothingToReplace:
    """A PUT was refused because the national system does not hold the document."""


@record
class Held:
    national_id: str | None
    """None where the answer shows the document but no id."""


@record
class NotHeld:
    pass


@record
class NotOffered:
    """This API has no look-up."""


@record
class NoAnswer:
    reason: Reason
    wait_s: float | None = None


LookUp: TypeAlias = Held | NotHeld | NotOffered | NoAnswer
Call: TypeAlias = Literal["create", "replace"]


def read_submission(
    call: Call, answer: Answer, endpoint: Endpoint, own_code: str, not_held_phrases: Sequence[str] = ()
) -> Outcome | NothingToReplace:
    """A POST's or PUT's answer."""
    match answer.status:
        case status if 200 <= status < 300:
            return _read_success(call, answer, endpoint, own_code, not_held_phrases)
        case 400 | 409 | 422:
            return _refused(call, answer, _json(answer), not_held_phrases)
        case 401:
            return TryLater(Reason(Code.TOKEN_REJECTED, 401))
        case 404 if call == "replace":
            return NothingToReplace()
        case 429:
            return InDoubt(Reason(Code.RATE_LIMITED, 429), retry_after(answer))
        case status if status == 405 or status >= 500:
            return InDoubt(Reason(Code.API_ERROR, status), retry_after(answer))
        case status:  # redirects, a firewall's 403, a wrong address: none may fail a sale
            return InDoubt(Reason(Code.UNCLEAR_ANSWER, status))


def _read_success(
    call: Call, answer: Answer, endpoint: Endpoint, own_code: str, not_held_phrases: Sequence[str]
) -> Outcome | NothingToReplace:
    match _json(answer):
        case dict() as fields if not _is_ok(fields.get("code")):
            return _refused(call, answer, fields, not_held_phrases)
        case dict() as fields:
            national_id = _national_id(fields, endpoint, own_code)
            says_yes = fields.get("code") is not None or _is_ours(fields, endpoint, own_code)
        case str() as bare:  # the documented answer of receipts and issues
            national_id = _other_than(own_code, bare)
            says_yes = _same(bare, own_code)
        case _:
            national_id, says_yes = None, False
    if national_id is None:
        return InDoubt(Reason(Code.UNCLEAR_ANSWER, answer.status), only_id_missing=says_yes)
    return Accepted(national_id)


def _refused(call: Call, answer: Answer, fields: Any, not_held_phrases: Sequence[str]) -> Refused | NothingToReplace:
    words = _words(answer, fields)
    if call == "replace" and any(_plain(phrase) in _plain(words) for phrase in not_held_phrases if phrase):
        return NothingToReplace()
    return Refused(Reason(Code.API_REFUSED, answer.status), words[:LONGEST_WORDS] or None)


def read_look_up(answer: Answer, endpoint: Endpoint, own_code: str) -> LookUp:
    """A GET's answer. Its form is not published: only what proves something is believed."""
    match answer.status:
        case 200:
            return _read_found(answer, endpoint, own_code)
        case 404:
            return NotHeld()
        case 405 | 501:
            return NotOffered()
        case 401:
            return NoAnswer(Reason(Code.TOKEN_REJECTED, 401))
        case 429:
            return NoAnswer(Reason(Code.RATE_LIMITED, 429), retry_after(answer))
        case status:
            return NoAnswer(Reason(Code.LOOK_UP_FAILED, status), retry_after(answer))


def _read_found(answer: Answer, endpoint: Endpoint, own_code: str) -> LookUp:
    fields = _json(answer)
    if isinstance(fields, dict):
        if not _is_ok(fields.get("code")):
            return NotHeld()
        for candidate in _objects(fields):
            if _is_ours(candidate, endpoint, own_code) or _text(candidate.get(endpoint.national_id_field)):
                return Held(_national_id(candidate, endpoint, own_code))
        if "data" in fields and fields["data"] in (None, "", [], {}):
            return NotHeld()
    return NoAnswer(Reason(Code.LOOK_UP_FAILED, answer.status))


def _objects(fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The object itself, and the one under `data`, which may be a list of one."""
    yield fields
    match fields.get("data"):
        case dict() as inner:
            yield inner
        case [dict() as inner]:
            yield inner


_NOT_CONNECTED = "client error (Connect)"
"""The HTTP client says so of a call for which it could not make a connection, and of no other (hyper-util,
`client::legacy`). Its `ConnectError` and `ConnectTimeoutError` are also raised of calls that were sent."""


def read_transport_error(error: BaseException) -> TryLater | InDoubt:
    """A call that broke. Only a connection that was never made, or never had, proves that nothing was sent."""
    causes = _causes(error)
    if isinstance(error, PoolTimeoutError) or _NOT_CONNECTED in causes:
        return TryLater(handshake_trouble(causes) or Reason(Code.UNREACHABLE))
    if isinstance(error, TimeoutError):
        return InDoubt(Reason(Code.TIMED_OUT))
    return InDoubt(Reason(Code.CONNECTION_LOST))


def last_cause(error: BaseException) -> str:
    """What broke, in the words of whoever noticed it; they name neither address nor data."""
    causes = _causes(error)
    return causes[-1] if causes else type(error).__name__


def _causes(error: BaseException) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]


def read_login(answer: Answer) -> str | TryLater:
    """A log-in's answer: the token, or `LOGIN_REFUSED`, or `LOGIN_UNAVAILABLE`."""
    refused = TryLater(Reason(Code.LOGIN_REFUSED, answer.status))
    unavailable = TryLater(Reason(Code.LOGIN_UNAVAILABLE, answer.status), retry_after(answer))
    if answer.status in (400, 401):
        return refused
    fields = _json(answer)
    if answer.status != 200 or not isinstance(fields, dict):
        return unavailable
    data = fields.get("data")
    if not _is_ok(fields.get("code")):
        return unavailable if data else refused
    token = data.get("token") if isinstance(data, dict) else fields.get("token")
    return token if isinstance(token, str) and _fits_a_header(token) else unavailable


def _fits_a_header(token: str) -> bool:
    return 0 < len(token) <= 8192 and all("!" <= char <= "~" for char in token)


def retry_after(answer: Answer) -> float | None:
    """Seconds, from either form of `Retry-After`; a day at most. None where it is absent or unreadable."""
    value = answer.retry_after.strip()
    try:
        wait_s = float(int(value))
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait_s = (then.replace(tzinfo=then.tzinfo or UTC) - answer.received_at).total_seconds()
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)


def _json(answer: Answer) -> Any:
    """None where it is no JSON: nothing that a table accepts."""
    if not answer.whole:
        return None
    try:
        return json.loads(answer.content.decode().removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


def _is_ok(code: object) -> bool:
    return code is None or str(code).strip() in ("200", "200.0")


def _is_ours(fields: Mapping[str, Any], endpoint: Endpoint, own_code: str) -> bool:
    return _same(_text(fields.get(endpoint.own_code_field)), own_code)


def _national_id(fields: Mapping[str, Any], endpoint: Endpoint, own_code: str) -> str | None:
    return _other_than(own_code, fields.get(endpoint.national_id_field)) or _other_than(
        own_code, fields.get(endpoint.own_code_field)
    )


def _other_than(own_code: str, value: object) -> str | None:
    """Our own code given back is no national id."""
    text = _text(value)
    readable = text and text.isprintable() and len(text) <= _LONGEST_ID
    return text if readable and not _same(text, own_code) else None


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _same(one: str, other: str) -> bool:
    """As SQL Server compares: codes that differ in case only are one code there."""
    return _plain(one.strip()) == _plain(other.strip())


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _words(answer: Answer, fields: Any) -> str:
    """The API's own words, fit for a database: no NUL, no half characters."""
    words = ""
    if isinstance(fields, dict):
        words = _text(fields.get("mess")) or _text(fields.get("message"))
    words = words or answer.content.decode("utf-8", "replace").strip()
    return words.replace("\0", "").encode("utf-8", "replace").decode()
