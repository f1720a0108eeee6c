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
from typing import Any, Final

from streams.documents.document import Endpoint
from streams.national_api.subjects import Subject, folded, is_failure, is_generic, is_markup, subject
from streams.record import record

LONGEST_TEXT = 2_000
LONGEST_ID = 100
"""Characters that the column for a national id takes."""
UNREADABLE: Final = -1
"""In place of a `code` that is neither a number nor a text of digits."""


@record
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


@record
class Document:
    """The document that a call is about."""

    endpoint: Endpoint
    place_code: str
    """ma_co_so."""
    own_code: str


@record
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


def read_json(answer: Answer) -> Said | str | None:
    """The object or the bare text that an answer consists of; None for everything else, and for a cache's copy, which
    speaks of a moment that has passed."""
    if not answer.whole or _is_stale(answer):
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
    if not answer.whole or _is_stale(answer) or "html" in answer.content_type.casefold():
        return ""
    try:
        text = answer.content.decode().lstrip("\ufeff").strip()
    except ValueError:
        return ""
    return "" if is_markup(text) or text[:1] in {"{", "[", '"'} else text


def words_of(answer: Answer, said: Said | str | None) -> str:
    """What an answer says, in whatever form; empty where it says nothing that can be read. `said`: its JSON."""
    if isinstance(said, Said):
        return said.text
    return said if isinstance(said, str) else read_text(answer)


def is_own_refusal(said: Said, document: Document | None) -> bool:
    """Whether the words are the API's: `mess`, or a `message` that no gateway would have written."""
    if not said.text or is_markup(said.text) or has_others_keys(said):
        return False
    about = subject(said.text, document.own_code if document else "") is Subject.DOCUMENT
    if not about and is_generic(said.text):
        return False
    return said.has_mess or ((about or said.code is not None) and _has_only_own_keys(said, document))


def has_own_keys(said: Said) -> bool:
    """Whether it is an envelope of the API's and nothing else stands in it."""
    return said.fields.keys() <= _ENVELOPE


def has_others_keys(said: Said) -> bool:
    """Whether keys stand in it by which other systems report their errors, or two texts that differ."""
    texts = {text_of(said.fields.get(key)) for key in ("mess", "message")} - {""}
    return len(texts) > 1 or not said.fields.keys().isdisjoint(_OF_OTHERS)


def contradicts_success(said: Said) -> bool:
    """Whether something in it, or in what stands under `data`, says that the call failed, whatever the code is."""
    return any(_says_failure(fields) for fields in objects(said))


def _says_failure(fields: Mapping[str, Any]) -> bool:
    if fields.get("success") is False or any(fields.get(key) for key in _NAMES_OF_ERRORS):
        return True
    states = [text_of(fields.get(key)) for key in ("status", "statuscode")]
    if any(state in {"error", "fail", "failed"} or (state.isdigit() and int(state[:9]) >= 400) for state in states):
        return True
    if _code(fields.get("code")) not in (None, 200, 201):
        return True
    return any(is_failure(text_of(fields.get(key))) for key in ("mess", "message"))


def is_of_another_place(fields: Mapping[str, Any], document: Document) -> bool:
    """Whether it names a facility (ma_co_so) that is not the document's."""
    place = text_of(fields.get("ma_co_so"))
    return bool(place) and not same(place, document.place_code)


def is_ours(fields: Mapping[str, Any], document: Document) -> bool:
    """Whether it names this very document of this facility."""
    names = same(text_of(fields.get(document.endpoint.own_code_field)), document.own_code)
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


def id_of(value: object, own_code: str) -> str | None:
    """A national id, where `value` has the form of one; our own code given back is none."""
    text = text_of(value)
    if not text or len(text) > LONGEST_ID or same(text, own_code) or not _ID.fullmatch(text):
        return None
    return None if is_placeholder(text) else text


def bare_id_of(text: str, own_code: str) -> str | None:
    """As `id_of`, for a text alone, which may be anything: it needs a digit too."""
    return id_of(text, own_code) if any(char.isdigit() for char in text) else None


def is_placeholder(text: str) -> bool:
    """Whether programs write this where they have nothing to write."""
    return folded(text) in _PLACEHOLDERS or not text.strip("0-_.")


def is_blank(value: object) -> bool:
    return value is None or value == "" or value == [] or value == {}


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


def _is_stale(answer: Answer) -> bool:
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


def _has_only_own_keys(said: Said, document: Document | None) -> bool:
    own = _ENVELOPE | {"ma_co_so"}
    if document is not None:
        own |= {document.endpoint.own_code_field, document.endpoint.national_id_field}
    return said.fields.keys() <= own


_ENVELOPE = frozenset({"code", "mess", "message", "data"})
_NAMES_OF_ERRORS = ("error", "errors", "exception", "error_msg", "error_description", "detail", "details")
_OF_OTHERS = frozenset(_NAMES_OF_ERRORS) | {
    *("success", "status", "statuscode", "timestamp", "path", "traceid", "title", "type", "kind", "reason"),
    *(
        "request_id",
        "requestid",
        "description",
        "errormessage",
        "error_code",
        "supportid",
        "extensions",
        "token",
        "access_token",
    ),
}
_CODE = re.compile(r"0*([0-9]{1,9})(?:\.0+)?")
_ID = re.compile(r"\w[\w.:/+=-]*")
_PLACEHOLDERS = frozenset(
    {"null", "none", "nil", "undefined", "nan", "true", "false", "ok", "success", "error", "fail", "failed"}
    | {"string", "id", "n/a", "na", "unknown"}
)
