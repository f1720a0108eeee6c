"""The national API's own form of an answer: the one grammar that every table of answers relies on.

Gateways, firewalls, proxies, caches and log-in pages between a worker and the API answer in its place. An answer is
believed only if it has the API's own form, and only for what it says in that form:

- It is a JSON object in UTF-8. A JSON string that contains JSON again is parsed once more. Keys are case-insensitive;
  an object with two keys that differ in case only, and have different values, is not from the API.
- `code` is a number or a string of digits; `mess` or `message` is a string; `data` is an object, a list of one object,
  or empty.
- `mess` is a key that only the API writes. `message` is common: it counts only if the object has no key that the API
  does not use, and if its text says more than the reason phrase of an HTTP status.
- A bare text counts only if it is about the document: it is in Vietnamese, or names a wire field.
- A national id has no blanks, no markup and no JSON, and is no placeholder such as ``null`` or ``0``.

Source: `docs/decisions/0004-one-table-of-answers.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from streams.documents.document import Endpoint
from streams.national_api.subjects import Subject, folded, is_failure, is_generic, is_markup, says_success, subject
from streams.runtime.frozen import frozen

MAX_TEXT_LENGTH = 2_000
MAX_ID_LENGTH = 100
"""Characters, as in the column for the national id."""
SUCCESS_CODES: Final = (200, 201)
"""What `code` says of a document or a log-in that was accepted, as does the HTTP status."""
UNREADABLE_CODE: Final = -1
"""Stands for a `code` that is neither a number nor a string of digits."""


@frozen
class Answer:
    """One HTTP answer, as it was received."""

    status: int
    content: bytes = field(repr=False)
    received_at: datetime
    """Aware: dates in `retry_after` are measured from it."""
    content_type: str = field(default="", repr=False)
    """The header of this name, as received; the same applies to the next three."""
    retry_after: str = field(default="", repr=False)
    location: str = field(default="", repr=False)
    age: str = field(default="", repr=False)
    """The header `Age`: seconds that the answer spent in a cache."""
    whole: bool = True
    """False when the content was longer than what is read, so it was cut off."""


@frozen
class Document:
    """The document that a call is about."""

    endpoint: Endpoint
    facility_code: str
    """The facility's code in the national system (ma_co_so)."""
    document_code: str


@frozen
class ParsedObject:
    """The JSON object of an answer. The keys of `fields` are in lower case."""

    fields: Mapping[str, Any] = field(repr=False)
    code: int | None
    """None when it is absent, `UNREADABLE_CODE` when it is not a number."""
    text: str = field(repr=False)
    """`mess` or `message`; empty when both are absent."""

    @property
    def has_mess(self) -> bool:
        return isinstance(self.fields.get("mess"), str) and bool(self.text)


@lru_cache(maxsize=1)  # several tables parse the same answer, one after the other
def read_json(answer: Answer) -> ParsedObject | str | None:
    """Return the object or the bare string that an answer consists of.

    None for everything else, and for a cached answer, which describes a moment that has passed.
    """
    if not answer.whole or is_stale(answer):
        return None
    value = _load_json(answer.content)
    if isinstance(value, str):
        nested = _load_json(value.encode(errors="surrogatepass"))
        value = nested if isinstance(nested, (dict, str)) else value
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "[", '"'}:
        return None  # serialized more than twice, or cut off
    if isinstance(value, dict):
        text = next(
            (v.strip() for v in (value.get("mess"), value.get("message")) if isinstance(v, str) and v.strip()), ""
        )
        return ParsedObject(value, _code(value.get("code")), text)
    return value.strip() if isinstance(value, str) else None


def read_text(answer: Answer) -> str:
    """Return the content if it is plain text, neither JSON nor a page; else an empty string."""
    if not answer.whole or is_stale(answer) or "html" in answer.content_type.casefold():
        return ""
    try:
        text = answer.content.decode().lstrip("\ufeff").strip()
    except ValueError:
        return ""
    is_data = text[:1] in {"{", "[", '"'} or '{"' in text  # JSON that was cut off, or that something has wrapped
    is_spoilt = "\ufffd" in text  # something has decoded it, and could not
    return "" if is_markup(text) or is_data or is_spoilt else text


def is_empty(answer: Answer) -> bool:
    """Whether the answer has no content at all, and does not come from a cache."""
    return answer.whole and not answer.content.strip() and not is_stale(answer)


def answer_text(answer: Answer, parsed: ParsedObject | str | None) -> str:
    """Return the text of an answer, in whatever form; else an empty string. `parsed`: the result of `read_json`."""
    if isinstance(parsed, ParsedObject):
        return parsed.text
    return parsed if isinstance(parsed, str) else read_text(answer)


def is_api_refusal(parsed: ParsedObject, document: Document | None) -> bool:
    """Whether it is a refusal by the API itself: in the API's own form, with a text that no gateway would write."""
    if not parsed.text or is_markup(parsed.text) or claims_success(parsed) or not is_api_form(parsed, document):
        return False
    # A log-in is about no document, so the letters of a name that a gateway echoes prove nothing there.
    is_about_document = document is not None and subject(parsed.text, document.document_code) is Subject.DOCUMENT
    return is_about_document or not is_generic(parsed.text)


def claims_success(parsed: ParsedObject) -> bool:
    """Whether it reports success, whatever else it says."""
    return says_success(parsed.text) or parsed.fields.get("success") is True


def is_api_form(parsed: ParsedObject, document: Document | None = None) -> bool:
    """Whether it is an envelope that only the API writes: no key that the API does not use has a value.

    Together with `mess`, a few further keys without meaning are allowed. A document code or a facility code in it must
    be those of `document`, and it must contain no national id: this check is for answers that report a failure.
    """
    fields = {key: value for key, value in parsed.fields.items() if not is_blank(value)}
    texts = {text_of(fields.get(key)) for key in ("mess", "message")} - {""}
    if len(texts) > 1:
        return False
    if document is not None:
        fields.pop("ma_co_so", None) if not is_of_another_facility(fields, document) else None
        if same(text_of(fields.get(document.endpoint.document_code_field)), document.document_code):
            fields.pop(document.endpoint.document_code_field)
    if not parsed.has_mess:
        return fields.keys() <= _ENVELOPE
    for key in ("status", "statuscode"):
        if text_of(fields.get(key)) == str(parsed.code):
            fields.pop(key)
    return fields.keys() <= _ENVELOPE | _IGNORED_KEYS


def contradicts_success(parsed: ParsedObject) -> bool:
    """Whether a field of the object, or of its `data`, says that the call failed, whatever the `code` is."""
    return any(_says_failure(fields) for fields in objects(parsed))


def _says_failure(fields: Mapping[str, Any]) -> bool:
    if any(key in fields and folded(str(fields[key])) in _NEGATIVE_VALUES for key in _SUCCESS_FLAGS):
        return True
    if any(fields.get(key) for key in _ERROR_KEYS):
        return True
    states = [folded(text_of(fields.get(key))) for key in ("status", "statuscode")]
    if any(state in {"error", "fail", "failed"} or (state.isdigit() and int(state[:9]) >= 400) for state in states):
        return True
    if "code" in fields and _code(fields["code"]) not in (None, 200, 201):
        return True
    return any(is_failure(text_of(fields.get(key))) for key in ("mess", "message"))


def is_of_another_facility(fields: Mapping[str, Any], document: Document) -> bool:
    """Whether it names a facility (ma_co_so) other than the document's."""
    facility_code = text_of(fields.get("ma_co_so"))
    return bool(facility_code) and not same(facility_code, document.facility_code)


def names_document(fields: Mapping[str, Any], document: Document) -> bool:
    """Whether it names this document of this facility."""
    has_code = same(text_of(fields.get(document.endpoint.document_code_field)), document.document_code)
    return has_code and not is_of_another_facility(fields, document)


def objects(parsed: ParsedObject) -> Iterator[Mapping[str, Any]]:
    """Yield the object itself, and the one under `data`, which may be in a list of one, or in a JSON string."""
    yield parsed.fields
    data = parsed.fields.get("data")
    if isinstance(data, str):
        data = _load_json(data.encode(errors="surrogatepass"))
    match data:
        case dict() as inner:
            yield inner
        case [dict() as inner]:
            yield inner


def id_of(value: object, document: Document) -> str | None:
    """Return `value` if it has the form of a national id, else None. Our own codes and field names are not ids."""
    text = text_of(value)
    if not text or len(text) > MAX_ID_LENGTH or not _ID.fullmatch(text) or is_placeholder(text):
        return None
    own_texts = (
        document.document_code,
        document.facility_code,
        document.endpoint.document_code_field,
        document.endpoint.national_id_field,
    )
    return None if any(same(text, code) for code in own_texts) else text


def bare_id_of(text: str, document: Document) -> str | None:
    """Do the same as `id_of` for a bare text, which may be anything, so it must also contain a digit."""
    return id_of(text, document) if any(char.isdigit() for char in text) else None


def is_placeholder(text: str) -> bool:
    """Whether the text is what programs write when they have no value."""
    return folded(text) in _PLACEHOLDERS or text.startswith("System.") or not text.strip("0-_.")


def is_blank(value: object) -> bool:
    return value is None or (
        isinstance(value, str | list | dict) and not (value.strip() if isinstance(value, str) else value)
    )


def text_of(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if -(10**100) < value < 10**100 else ""
    return value.strip() if isinstance(value, str) else ""


def same(one: str, other: str) -> bool:
    """Compare without case and outer blanks, as SQL Server does: there, codes that differ in case only are equal."""
    return folded(one.strip()) == folded(other.strip())


def storable(text: str) -> str | None:
    """Make a text fit for the database: no NUL, no lone surrogates, bounded length. None when nothing is left."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:MAX_TEXT_LENGTH] or None


def is_stale(answer: Answer) -> bool:
    """Whether the answer comes from a cache."""
    return answer.age.strip().strip("0") != ""


def _load_json(content: bytes) -> Any:
    try:
        return json.loads(content.decode().removeprefix("\ufeff"), object_pairs_hook=_folded_keys)
    except (ValueError, RecursionError):
        return None


def _folded_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object with keys in lower case. Raises `ValueError` for equal keys with different values."""
    fields: dict[str, Any] = {}
    for key, value in pairs:
        key = folded(key.strip())
        if key in fields and fields[key] != value:
            raise ValueError
        fields[key] = value
    return fields


def _code(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return UNREADABLE_CODE
    match = _CODE.fullmatch(str(value).strip()) if isinstance(value, (int, float, str)) else None
    return int(match[1]) if match else UNREADABLE_CODE


_ENVELOPE = frozenset({"code", "mess", "message", "data"})
_IGNORED_KEYS = frozenset({"success", "traceid", "timestamp", "request_id", "requestid", "total"})
_SUCCESS_FLAGS = ("success", "issuccess", "is_success", "succeeded", "result", "ok")
_NEGATIVE_VALUES = frozenset({"false", "0", "no", "fail", "failed", "error"})
_ERROR_KEYS = ("error", "errors", "haserror", "exception", "error_msg", "error_description", "detail")
_CODE = re.compile(r"0*([0-9]{1,9})(?:\.0+)?")
_ID = re.compile(r"\w[\w.:/+=-]*")
_PLACEHOLDERS = frozenset(
    {"null", "none", "nil", "undefined", "nan", "true", "false", "ok", "success", "error", "fail", "failed"}
    | {"string", "id", "n/a", "na", "unknown"}
)
