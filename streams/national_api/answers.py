"""What an answer of the national API means: one table for what is sent, one for the look-up, pure.

Only evidence is believed, for *accepted*, for *not stored* and for *refused*: what has the API's own form
(`streams.national_api.own_form`) and is about the document. All else is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from streams.documents.document import Endpoint
from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused
from streams.domain.reasons import Code
from streams.national_api.own_form import (
    UNREADABLE,
    Answer,
    Document,
    Said,
    bare_id_of,
    contradicts_success,
    id_of,
    is_blank,
    is_empty,
    is_of_another_place,
    is_ours,
    is_own_form,
    is_own_refusal,
    objects,
    read_json,
    read_text,
    same,
    storable,
    text_of,
    words_of,
)
from streams.national_api.retry_after import retry_after
from streams.national_api.subjects import Subject, folded, is_generic, is_markup, says_done, says_not_found, subject
from streams.runtime.frozen import frozen


@frozen
class NothingToReplace:
    """A PUT was refused because the national system does not hold the document."""


@frozen
class Stored:
    national_id: str | None
    """None where the answer shows the document but no id."""


@frozen
class NotStored:
    pass


@frozen
class NotOffered:
    """This API has no look-up."""


@frozen
class NoAnswer:
    reason: Reason
    wait_s: float | None = None


LookUp: TypeAlias = Stored | NotStored | NotOffered | NoAnswer
Call: TypeAlias = Literal["create", "replace"]

_DONE = (200, 201)
_ABOUT_THE_DOCUMENT = (400, 409, 422)
_ABOUT_THE_TOKEN = (401, 403)


def read_submission(
    call: Call,
    answer: Answer,
    endpoint: Endpoint,
    facility_code: str,
    document_code: str,
    not_stored_phrases: Sequence[str] = (),
) -> Outcome | NothingToReplace:
    """A POST's or PUT's answer."""
    document = Document(endpoint, facility_code, document_code)
    said = read_json(answer)
    if token_problem(answer) == "proven":
        # Only a look-up tells that nothing was taken.
        return InDoubt(Reason(Code.TOKEN_REJECTED, answer.status))
    if passing := _passing(answer, said, document):
        return passing
    if call == "replace" and (
        _says_not_stored(answer, said, document, not_stored_phrases)
        or _refuses_as_not_stored(answer, said, document, not_stored_phrases)
    ):
        return NothingToReplace()
    match answer.status, said:
        case ((200 | 201), Said(code=None | 200 | 201) as fields):
            return _read_success(answer, fields, document)
        case ((200 | 201), str() as bare) if endpoint.bare_id:
            national_id = bare_id_of(bare, document)
            return Accepted(national_id) if national_id else _unclear(answer, only_id_missing=same(bare, document_code))
        case ((200 | 400 | 409 | 422), _):
            words = _refusal(answer, said, document)
            return Refused(Reason(Code.API_REFUSED, answer.status), storable(words)) if words else _unclear(answer)
    return _unclear(answer)


def _read_success(answer: Answer, said: Said, document: Document) -> Outcome:
    """HTTP and the code, where there is one, say yes. The id says to what."""
    fields, endpoint, own = said.fields, document.endpoint, document.document_code
    told, named = fields.get(endpoint.national_id_field), fields.get(endpoint.document_code_field)
    if contradicts_success(said) or is_of_another_place(fields, document):
        return _unclear(answer)
    if any(_names_another(inner, document) for inner in objects(said) if inner is not fields):
        return _unclear(answer)
    if any(not is_blank(value) and not text_of(value) for value in (told, named) if not isinstance(value, str)):
        return _unclear(answer)  # no text and no number
    is_named = same(text_of(named), own) or same(text_of(told), own)
    national_id = id_of(told, document)
    if national_id is not None:
        # A code of somebody else's beside it: somebody else's record.
        strange = bool(text_of(named)) and not is_named and text_of(named) != national_id
        return _unclear(answer) if strange else Accepted(national_id)
    if text_of(told) and not is_named:
        return _unclear(answer)
    if said.code is not None or is_named:
        national_id = id_of(named, document)
        if national_id is not None:
            return Accepted(national_id)
    says_yes = is_named or (not text_of(named) and said.code is not None and said.has_mess)
    return _unclear(answer, only_id_missing=says_yes)


def _refusal(answer: Answer, said: Said | str | None, document: Document) -> str:
    """The API's own words for why it refuses the document; empty where this is no refusal of the API's."""
    if isinstance(said, Said):
        refuses = said.code in _ABOUT_THE_DOCUMENT or (said.code is None and answer.status in _ABOUT_THE_DOCUMENT)
        return said.text if refuses and is_own_refusal(said, document) else ""
    if answer.status not in _ABOUT_THE_DOCUMENT:
        return ""
    text = words_of(answer, said)
    # What is echoed of a sale makes a gateway's text speak Vietnamese too.
    return text if subject(text, document.document_code) is Subject.DOCUMENT and not is_generic(text) else ""


def _says_not_stored(
    answer: Answer, said: Said | str | None, document: Document, not_stored_phrases: Sequence[str] = ()
) -> bool:
    """404 in the API's own words, which speak of a document."""
    if not isinstance(said, Said) or answer.status not in (200, 404):
        return False
    if not (said.code == 404 or (answer.status == 404 and said.code is None and said.text)):
        return False
    if not is_own_form(said, document) or not is_blank(said.fields.get("data")):
        return False
    return not said.text or says_not_found(said.text) or _has_phrase(said.text, not_stored_phrases)


def _names_another(fields: Mapping[str, Any], document: Document) -> bool:
    """Whether a document stands in it that is not ours, or an id."""
    named = fields.get(document.endpoint.document_code_field)
    other = not is_blank(named) and not same(text_of(named), document.document_code)
    return other or not is_blank(fields.get(document.endpoint.national_id_field))


def _has_phrase(text: str, phrases: Sequence[str]) -> bool:
    """Whether it says so, and of nothing else than a document: a token is not found either."""
    return subject(text) is not Subject.TOKEN and any(folded(phrase) in folded(text) for phrase in phrases if phrase)


def _refuses_as_not_stored(answer: Answer, said: Said | str | None, document: Document, phrases: Sequence[str]) -> bool:
    """Whether a PUT is refused in words that the settings name, under whatever code the API has for them."""
    text = words_of(answer, said)
    if answer.status not in (200, *_ABOUT_THE_DOCUMENT) or not _has_phrase(text, phrases) or is_generic(text):
        return False
    if not isinstance(said, Said):
        return answer.status != 200
    says_no = said.code not in (None, UNREADABLE, *_DONE) or (said.code is None and answer.status != 200)
    return says_no and is_own_form(said, document) and is_blank(said.fields.get("data"))


def _passing(answer: Answer, said: Said | str | None, document: Document) -> InDoubt | None:
    """What passes is the same whether HTTP or the body says it."""
    code = said.code if isinstance(said, Said) else None
    if 429 in (answer.status, code):
        return InDoubt(Reason(Code.RATE_LIMITED, answer.status), retry_after(answer))
    by_code = code == 408 or (code is not None and 500 <= code < 600)
    # Words count where nothing says that the call was carried out.
    by_words = code not in _DONE and subject(words_of(answer, said), document.document_code) is Subject.PASSING
    if answer.status == 408 or answer.status >= 500 or by_code or by_words:
        return InDoubt(Reason(Code.API_ERROR, answer.status), retry_after(answer))
    return None


def _unclear(answer: Answer, *, only_id_missing: bool = False) -> InDoubt:
    return InDoubt(Reason(Code.UNCLEAR_ANSWER, answer.status), only_id_missing=only_id_missing)


def token_problem(answer: Answer) -> Literal["proven", "suspected"] | None:
    """Whether the token is not taken. *Proven*: the API itself says so.

    *Suspected*: any other 401 or 403, a text, or being sent to a log-in page; a firewall answers so too.
    """
    said = read_json(answer)
    if answer.status in (200, 201, *_ABOUT_THE_TOKEN, *_ABOUT_THE_DOCUMENT) and isinstance(said, Said):
        by_code = said.code in _ABOUT_THE_TOKEN or (answer.status == 401 and said.code is None)
        by_words = said.code not in _DONE and subject(said.text) is Subject.TOKEN
        if (by_code or by_words) and is_own_form(said) and not is_markup(said.text):
            return "proven"
    if answer.status == 401 and is_empty(answer):
        return "proven"  # as frameworks write it of a bearer token; a gateway has more to say
    if answer.status in _ABOUT_THE_TOKEN or _leads_to_a_log_in(answer):
        return "suspected"
    if isinstance(said, Said) and said.code in _DONE:
        return None
    return "suspected" if answer.status < 500 and subject(words_of(answer, said)) is Subject.TOKEN else None


def _leads_to_a_log_in(answer: Answer) -> bool:
    if not 300 <= answer.status < 400:
        return False
    try:
        path = folded(urlsplit(answer.location).path)
    except ValueError:
        return False
    return any(word in path for word in _LOG_IN_PAGES)


_LOG_IN_PAGES = ("login", "log-in", "log_in", "signin", "sign-in", "dang-nhap", "dang_nhap", "dangnhap", "auth", "sso")


def read_look_up(
    answer: Answer, endpoint: Endpoint, facility_code: str, document_code: str, not_stored_phrases: Sequence[str] = ()
) -> LookUp:
    """A GET's answer. Its form is not published: only what shows this document of this facility, or says in the API's
    own words that there is none, is believed."""
    document = Document(endpoint, facility_code, document_code)
    said = read_json(answer)
    if answer.status == 401 or token_problem(answer) == "proven":
        return NoAnswer(Reason(Code.TOKEN_REJECTED, answer.status))
    if answer.status in (405, 501) and _comes_from_the_api(answer, said):
        return NotOffered()
    if passing := _passing(answer, said, document):
        code = Code.RATE_LIMITED if passing.reason.code is Code.RATE_LIMITED else Code.LOOK_UP_FAILED
        return NoAnswer(Reason(code, answer.status), passing.wait_s)
    if isinstance(said, Said):
        if answer.status == 200 and said.code in (None, *_DONE):
            found = _read_found(said, document, not_stored_phrases)
            if found is not None:
                return found
        if _says_not_stored(answer, said, document, not_stored_phrases):
            return NotStored()
    return NoAnswer(Reason(Code.LOOK_UP_FAILED, answer.status), retry_after(answer))


def _comes_from_the_api(answer: Answer, said: Said | str | None) -> bool:
    """Of an answer that no method or path is served: firewalls use the same codes for their pages."""
    if isinstance(said, Said):
        return is_own_form(said)
    return is_empty(answer) or bool(read_text(answer))


def _read_found(said: Said, document: Document, not_stored_phrases: Sequence[str]) -> Stored | NotStored | None:
    endpoint, own = document.endpoint, document.document_code
    found: Stored | None = None
    for shown in objects(said):
        told, named = shown.get(endpoint.national_id_field), shown.get(endpoint.document_code_field)
        swapped = same(text_of(told), own) and not is_of_another_place(shown, document)
        if is_ours(shown, document) or swapped:
            found = Stored(id_of(told, document) or id_of(named, document))
        elif text_of(named) or is_of_another_place(shown, document):
            return None  # it names another document
    if found is not None:
        return None if contradicts_success(said) else found
    if "data" not in said.fields or not is_blank(said.fields["data"]) or said.code == 201:
        return None
    text = said.text
    agrees = not text or says_done(text) or says_not_found(text) or _has_phrase(text, not_stored_phrases)
    failed = folded(str(said.fields.get("success"))) == "false"
    return NotStored() if agrees and not failed and is_own_form(said, document) else None
