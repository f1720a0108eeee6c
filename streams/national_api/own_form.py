"""What counts as the national API's own words: the one grammar that every table of answers relies on.

Gateways, firewalls, proxies, caches and log-in pages stand between a worker and the API, and answer in its place. An
answer is believed only where it has the API's own form, and only for what it says in that form:

- JSON, UTF-8, an object (a text that is JSON again is read once more). Keys are read without regard to case; two keys
  that are the same but for their case, and disagree, make it nobody's.
- `code`: a number, or a text of digits. `mess` or `message`: a text. `data`: an object, a list of one, or nothing.
- `mess` is a key that nothing else in the field writes. `message` is everybody's: it counts beside no key that the API
  does not have, and only where its text says more than the phrase of an HTTP status.
- A text alone counts where it speaks of the document: in Vietnamese, or by a wire field's name.
- An id is an id by its form: no blanks, no markup, no JSON, and no placeholder such as ``null`` or ``0``.

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
from streams.national_api.subjects import Subject, folded, is_failure, is_generic, is_markup, says_done, subject
from streams.runtime.frozen import frozen

LONGEST_TEXT = 2_000
LONGEST_ID = 100
"""Characters that the column for a national id takes."""
UNREADABLE: Final = -1
"""In place of a `code` that is neither a number nor a text of digits."""


@frozen
class Answer:
    """One answer over HTTP, as it came."""

    status: int
    content: bytes = field(repr=False)
    received_at: datetime
    """With its zone: dates in `retry_after` are measured from it."""
    content_type: str = field(default="", repr=False)
    """This header as it came; so are the next three."""
    retry_after: str = field(default="", repr=False)
    location: str = field(default="", repr=False)
    age: str = field(default="", repr=False)
    """Seconds that the answer spent in a cache."""
    whole: bool = True
    """False where the content was longer than is read."""


@frozen
class Document:
    """The document that a call is about."""

    endpoint: Endpoint
    facility_code: str
    """ma_co_so."""
    document_code: str


@frozen
class Said:
    """A JSON object in an answer. `fields` has its keys in lower case."""

    fields: Mapping[str, Any] = field(repr=False)
    code: int | None
    """None where there is none, `UNREADABLE` where it cannot be read."""
    text: str = field(repr=False)
    """`mess` or `message`; empty where there is none."""

    @property
    def has_mess(self) -> bool:
        return isinstance(self.fields.get("mess"), str) and bool(self.text)


@lru_cache(maxsize=1)  # each answer is asked for it by several tables, one after the other
def read_json(answer: Answer) -> Said | str | None:
    """The object or the bare text that an answer consists of; None for everything else, and for a cache's copy, which
    speaks of a moment that has passed."""
    if not answer.whole or is_stale(answer):
        return None
    value = _parsed(answer.content)
    if isinstance(value, str):
        again = _parsed(value.encode(errors="surrogatepass"))
        value = again if isinstance(again, (dict, str)) else value
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "[", '"'}:
        return None  # serialized more than twice, or cut off
    if isinstance(value, dict):
        text = next(
            (v.strip() for v in (value.get("mess"), value.get("message")) if isinstance(v, str) and v.strip()), ""
        )
        return Said(value, _code(value.get("code")), text)
    return value.strip() if isinstance(value, str) else None


def read_text(answer: Answer) -> str:
    """A text that is no JSON and no page; empty where there is none."""
    if not answer.whole or is_stale(answer) or "html" in answer.content_type.casefold():
        return ""
    try:
        text = answer.content.decode().lstrip("\ufeff").strip()
    except ValueError:
        return ""
    is_data = text[:1] in {"{", "[", '"'} or '{"' in text  # cut off, or in a wrapper of somebody's
    return "" if is_markup(text) or is_data else text


def is_empty(answer: Answer) -> bool:
    """Whether it has no content at all, and is no cache's copy."""
    return answer.whole and not answer.content.strip() and not is_stale(answer)


def words_of(answer: Answer, said: Said | str | None) -> str:
    """What an answer says, in whatever form; empty where it says nothing that can be read. `said`: its JSON."""
    if isinstance(said, Said):
        return said.text
    return said if isinstance(said, str) else read_text(answer)


def is_own_refusal(said: Said, document: Document | None) -> bool:
    """Whether it says no in the API's own words: in its own form, and nothing that a gateway would have said."""
    if not said.text or is_markup(said.text) or is_done(said) or not is_own_form(said, document):
        return False
    # A log-in is about no document: letters of a name that a gateway echoes prove nothing there.
    about = document is not None and subject(said.text, document.document_code) is Subject.DOCUMENT
    return about or not is_generic(said.text)


def is_done(said: Said) -> bool:
    """Whether it says yes, beside whatever else it says."""
    return says_done(said.text) or said.fields.get("success") is True


def is_own_form(said: Said, document: Document | None = None) -> bool:
    """Whether it is an envelope of the API's and nobody else's: its keys alone have values.

    Beside `mess` a few more may stand that say nothing. A code or a facility in it must be the document's, and no
    national id may stand in it: this is asked of answers that say no.
    """
    fields = {key: value for key, value in said.fields.items() if not is_blank(value)}
    texts = {text_of(fields.get(key)) for key in ("mess", "message")} - {""}
    if len(texts) > 1:
        return False
    if document is not None:
        fields.pop("ma_co_so", None) if not is_of_another_place(fields, document) else None
        if same(text_of(fields.get(document.endpoint.document_code_field)), document.document_code):
            fields.pop(document.endpoint.document_code_field)
    if not said.has_mess:
        return fields.keys() <= _ENVELOPE
    for key in ("status", "statuscode"):
        if text_of(fields.get(key)) == str(said.code):
            fields.pop(key)
    return fields.keys() <= _ENVELOPE | _SAYING_NOTHING


def contradicts_success(said: Said) -> bool:
    """Whether something in it, or in what stands under `data`, says that the call failed, whatever the code is."""
    return any(_says_failure(fields) for fields in objects(said))


def _says_failure(fields: Mapping[str, Any]) -> bool:
    if any(key in fields and folded(str(fields[key])) in _NO for key in _FLAGS):
        return True
    if any(fields.get(key) for key in _NAMES_OF_ERRORS):
        return True
    states = [folded(text_of(fields.get(key))) for key in ("status", "statuscode")]
    if any(state in {"error", "fail", "failed"} or (state.isdigit() and int(state[:9]) >= 400) for state in states):
        return True
    if "code" in fields and _code(fields["code"]) not in (None, 200, 201):
        return True
    return any(is_failure(text_of(fields.get(key))) for key in ("mess", "message"))


def is_of_another_place(fields: Mapping[str, Any], document: Document) -> bool:
    """Whether it names a facility (ma_co_so) that is not the document's."""
    place = text_of(fields.get("ma_co_so"))
    return bool(place) and not same(place, document.facility_code)


def is_ours(fields: Mapping[str, Any], document: Document) -> bool:
    """Whether it names this very document of this facility."""
    names = same(text_of(fields.get(document.endpoint.document_code_field)), document.document_code)
    return names and not is_of_another_place(fields, document)


def objects(said: Said) -> Iterator[Mapping[str, Any]]:
    """The object itself, and the one under `data`, which may be a list of one, or a text that is JSON again."""
    yield said.fields
    data = said.fields.get("data")
    if isinstance(data, str):
        data = _parsed(data.encode(errors="surrogatepass"))
    match data:
        case dict() as inner:
            yield inner
        case [dict() as inner]:
            yield inner


def id_of(value: object, document: Document) -> str | None:
    """A national id, where `value` has the form of one. Our own codes given back are none, nor is a field's name."""
    text = text_of(value)
    if not text or len(text) > LONGEST_ID or not _ID.fullmatch(text) or is_placeholder(text):
        return None
    ours = (
        document.document_code,
        document.facility_code,
        document.endpoint.document_code_field,
        document.endpoint.national_id_field,
    )
    return None if any(same(text, code) for code in ours) else text


def bare_id_of(text: str, document: Document) -> str | None:
    """As `id_of`, for a text alone, which may be anything: it needs a digit too."""
    return id_of(text, document) if any(char.isdigit() for char in text) else None


def is_placeholder(text: str) -> bool:
    """Whether programs write this where they have nothing to write."""
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
    """As SQL Server compares: codes that differ in case only are one code there."""
    return folded(one.strip()) == folded(other.strip())


def storable(text: str) -> str | None:
    """Fit for a database: no NUL, no half characters, of a bounded length."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:LONGEST_TEXT] or None


def is_stale(answer: Answer) -> bool:
    """Whether a cache kept it."""
    return answer.age.strip().strip("0") != ""


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content.decode().removeprefix("\ufeff"), object_pairs_hook=_folded_keys)
    except (ValueError, RecursionError):
        return None


def _folded_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises `ValueError` where two keys are one and disagree."""
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
        return UNREADABLE
    match = _CODE.fullmatch(str(value).strip()) if isinstance(value, (int, float, str)) else None
    return int(match[1]) if match else UNREADABLE


_ENVELOPE = frozenset({"code", "mess", "message", "data"})
_SAYING_NOTHING = frozenset({"success", "traceid", "timestamp", "request_id", "requestid", "total"})
_FLAGS = ("success", "issuccess", "is_success", "succeeded", "result", "ok")
_NO = frozenset({"false", "0", "no", "fail", "failed", "error"})
_NAMES_OF_ERRORS = ("error", "errors", "haserror", "exception", "error_msg", "error_description", "detail")
_CODE = re.compile(r"0*([0-9]{1,9})(?:\.0+)?")
_ID = re.compile(r"\w[\w.:/+=-]*")
_PLACEHOLDERS = frozenset(
    {"null", "none", "nil", "undefined", "nan", "true", "false", "ok", "success", "error", "fail", "failed"}
    | {"string", "id", "n/a", "na", "unknown"}
)
