"""Turn answers of the national API into outcomes: one table for submissions, one for look-ups. Pure functions.

*Accepted*, *not stored* and *refused* are believed only on evidence: an answer in the API's own form
(`streams.national_api.own_form`) that is about the document. Anything else counts as no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from streams.documents.document import Endpoint
from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused
from streams.domain.reasons import Code
from streams.national_api.own_form import (
    SUCCESS_CODES,
    UNREADABLE_CODE,
    Answer,
    Document,
    ParsedObject,
    answer_text,
    bare_id_of,
    contradicts_success,
    id_of,
    is_api_form,
    is_api_refusal,
    is_blank,
    is_empty,
    is_of_another_facility,
    names_document,
    objects,
    read_json,
    read_text,
    same,
    storable,
    text_of,
)
from streams.national_api.retry_after import retry_after
from streams.national_api.subjects import Subject, folded, is_generic, is_markup, says_not_found, says_success, subject
from streams.runtime.frozen import frozen


@frozen
class NothingToReplace:
    """A PUT was refused because the national system does not store the document."""


@frozen
class Stored:
    """The national system stores the document."""

    national_id: str | None
    """None when the answer shows the document but no id."""


@frozen
class NotStored:
    """The national system does not store the document."""


@frozen
class NotOffered:
    """The API offers no look-up."""


@frozen
class NoAnswer:
    """The look-up proved nothing."""

    reason: Reason
    wait_s: float | None = None
    """The minimum seconds to wait, if the server named them (Retry-After)."""


LookUp: TypeAlias = Stored | NotStored | NotOffered | NoAnswer
Call: TypeAlias = Literal["create", "replace"]

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
    """Return what the answer to a POST or PUT proves.

    `not_stored_phrases`: further phrases, from the settings, by which the API says that it does not store a document.
    """
    document = Document(endpoint, facility_code, document_code)
    parsed = read_json(answer)
    if token_problem(answer) == "proven":
        # Only a look-up can prove that nothing was stored.
        return InDoubt(Reason(Code.TOKEN_REJECTED, answer.status))
    if transient := transient_failure(answer, parsed, document):
        return transient
    if call == "replace" and (
        says_not_stored(answer, parsed, document, not_stored_phrases)
        or refuses_as_not_stored(answer, parsed, document, not_stored_phrases)
    ):
        return NothingToReplace()
    match answer.status, parsed:
        case ((200 | 201), ParsedObject(code=None | 200 | 201) as fields):
            return _read_success(answer, fields, document)
        case ((200 | 201), str() as bare) if endpoint.bare_id:
            national_id = bare_id_of(bare, document)
            return Accepted(national_id) if national_id else unclear(answer, only_id_missing=same(bare, document_code))
        case ((200 | 400 | 409 | 422), _):
            text = refusal_text(answer, parsed, document)
            return Refused(Reason(Code.API_REFUSED, answer.status), storable(text)) if text else unclear(answer)
    return unclear(answer)


def _read_success(answer: Answer, parsed: ParsedObject, document: Document) -> Outcome:
    """Read an answer that reports success by its HTTP status and, if it has one, by its `code`.

    It proves that the document was accepted only if it shows a national id and nothing in it is about another document.
    The id is in the national id's field, or in that of the document code.
    """
    fields, endpoint, document_code = parsed.fields, document.endpoint, document.document_code
    id_value, document_code_value = fields.get(endpoint.national_id_field), fields.get(endpoint.document_code_field)
    if contradicts_success(parsed) or is_of_another_facility(fields, document):
        return unclear(answer)
    if any(_names_another_document(inner, document) for inner in objects(parsed) if inner is not fields):
        return unclear(answer)
    for value in (id_value, document_code_value):
        if not isinstance(value, str) and not is_blank(value) and not text_of(value):
            return unclear(answer)  # neither a text nor a number
    is_named = same(text_of(document_code_value), document_code) or same(text_of(id_value), document_code)
    national_id = id_of(id_value, document)
    if national_id is not None:
        # An id next to the code of another document belongs to that document.
        is_foreign = bool(text_of(document_code_value)) and not is_named and text_of(document_code_value) != national_id
        return unclear(answer) if is_foreign else Accepted(national_id)
    if text_of(id_value) and not is_named:  # neither a national id nor about our document
        return unclear(answer)
    if parsed.code is not None or is_named:
        national_id = id_of(document_code_value, document)
        if national_id is not None:
            return Accepted(national_id)
    reports_success = is_named or (not text_of(document_code_value) and parsed.code is not None and parsed.has_mess)
    return unclear(answer, only_id_missing=reports_success)


def refusal_text(answer: Answer, parsed: ParsedObject | str | None, document: Document) -> str:
    """Return the API's own text for why it refuses the document; empty when the answer is not the API's refusal."""
    if isinstance(parsed, ParsedObject):
        refuses = parsed.code in _ABOUT_THE_DOCUMENT or (parsed.code is None and answer.status in _ABOUT_THE_DOCUMENT)
        return parsed.text if refuses and is_api_refusal(parsed, document) else ""
    if answer.status not in _ABOUT_THE_DOCUMENT:
        return ""
    text = answer_text(answer, parsed)
    # A gateway's text that echoes part of a sale contains Vietnamese, too.
    return text if subject(text, document.document_code) is Subject.DOCUMENT and not is_generic(text) else ""


def says_not_stored(
    answer: Answer, parsed: ParsedObject | str | None, document: Document, not_stored_phrases: Sequence[str] = ()
) -> bool:
    """Whether the API itself says, as a 404 about a document, that it does not store it."""
    if not isinstance(parsed, ParsedObject) or answer.status not in (200, 404):
        return False
    if not (parsed.code == 404 or (answer.status == 404 and parsed.code is None and parsed.text)):
        return False
    if not is_api_form(parsed, document) or not is_blank(parsed.fields.get("data")):
        return False
    return not parsed.text or says_not_found(parsed.text) or _has_phrase(parsed.text, not_stored_phrases)


def _names_another_document(fields: Mapping[str, Any], document: Document) -> bool:
    """Whether `fields` contain the code of another document, or any national id."""
    code_value = fields.get(document.endpoint.document_code_field)
    is_other = not is_blank(code_value) and not same(text_of(code_value), document.document_code)
    return is_other or not is_blank(fields.get(document.endpoint.national_id_field))


def _has_phrase(text: str, phrases: Sequence[str]) -> bool:
    """Whether the text contains one of the phrases and is not about the token, which may be "not found" as well."""
    return subject(text) is not Subject.TOKEN and any(folded(phrase) in folded(text) for phrase in phrases if phrase)


def refuses_as_not_stored(
    answer: Answer, parsed: ParsedObject | str | None, document: Document, phrases: Sequence[str]
) -> bool:
    """Whether a call is refused with one of the configured `phrases`, whatever `code` the API uses for it."""
    text = answer_text(answer, parsed)
    if answer.status not in (200, *_ABOUT_THE_DOCUMENT) or not _has_phrase(text, phrases) or is_generic(text):
        return False
    if not isinstance(parsed, ParsedObject):
        return answer.status != 200
    is_refusal = parsed.code not in (None, UNREADABLE_CODE, *SUCCESS_CODES) or (
        parsed.code is None and answer.status != 200
    )
    return is_refusal and is_api_form(parsed, document) and is_blank(parsed.fields.get("data"))


def transient_failure(answer: Answer, parsed: ParsedObject | str | None, document: Document) -> InDoubt | None:
    """Return the outcome of a failure that passes by itself, whether the HTTP status or the body reports it."""
    code = parsed.code if isinstance(parsed, ParsedObject) else None
    if 429 in (answer.status, code):
        return InDoubt(Reason(Code.RATE_LIMITED, answer.status), retry_after(answer))
    by_code = code == 408 or (code is not None and 500 <= code < 600)
    # The text counts only when nothing says that the call was carried out.
    text = answer_text(answer, parsed)
    by_text = code not in SUCCESS_CODES and subject(text, document.document_code) is Subject.TRANSIENT
    if answer.status == 408 or answer.status >= 500 or by_code or by_text:
        return InDoubt(Reason(Code.API_ERROR, answer.status), retry_after(answer))
    return None


def unclear(answer: Answer, *, only_id_missing: bool = False) -> InDoubt:
    return InDoubt(Reason(Code.UNCLEAR_ANSWER, answer.status), only_id_missing=only_id_missing)


def token_problem(answer: Answer) -> Literal["proven", "suspected"] | None:
    """Return whether the API rejected the token; None when nothing says so.

    *Proven*: the API itself says so. *Suspected*: any other 401 or 403, a text about tokens, or a redirect to a log-in
    page; firewalls answer like that too.
    """
    parsed = read_json(answer)
    if answer.status in (200, 201, *_ABOUT_THE_TOKEN, *_ABOUT_THE_DOCUMENT) and isinstance(parsed, ParsedObject):
        by_code = parsed.code in _ABOUT_THE_TOKEN or (answer.status == 401 and parsed.code is None)
        by_text = parsed.code not in SUCCESS_CODES and subject(parsed.text) is Subject.TOKEN
        if (by_code or by_text) and is_api_form(parsed) and not is_markup(parsed.text):
            return "proven"
    if answer.status == 401 and is_empty(answer):
        return "proven"  # how frameworks reject a bearer token; a gateway sends a body
    if answer.status in _ABOUT_THE_TOKEN or _redirects_to_login(answer):
        return "suspected"
    if isinstance(parsed, ParsedObject) and parsed.code in SUCCESS_CODES:
        return None
    return "suspected" if answer.status < 500 and subject(answer_text(answer, parsed)) is Subject.TOKEN else None


def _redirects_to_login(answer: Answer) -> bool:
    if not 300 <= answer.status < 400:
        return False
    try:
        path = folded(urlsplit(answer.location).path)
    except ValueError:
        return False
    return any(part in path for part in _LOGIN_PAGES)


_LOGIN_PAGES = ("login", "log-in", "log_in", "signin", "sign-in", "dang-nhap", "dang_nhap", "dangnhap", "auth", "sso")


def read_look_up(
    answer: Answer, endpoint: Endpoint, facility_code: str, document_code: str, not_stored_phrases: Sequence[str] = ()
) -> LookUp:
    """Return what the answer to a GET proves.

    Its form is not published, so it is believed only if it shows this document of this facility, or says in the API's
    own form that there is none.
    """
    document = Document(endpoint, facility_code, document_code)
    parsed = read_json(answer)
    if answer.status == 401 or token_problem(answer) == "proven":
        return NoAnswer(Reason(Code.TOKEN_REJECTED, answer.status))
    if answer.status in (405, 501) and _comes_from_the_api(answer, parsed):
        return NotOffered()
    if transient := transient_failure(answer, parsed, document):
        code = Code.RATE_LIMITED if transient.reason.code is Code.RATE_LIMITED else Code.LOOK_UP_FAILED
        return NoAnswer(Reason(code, answer.status), transient.wait_s)
    if isinstance(parsed, ParsedObject):
        if answer.status == 200 and parsed.code in (None, *SUCCESS_CODES):
            found = _read_found(parsed, document, not_stored_phrases)
            if found is not None:
                return found
        if says_not_stored(answer, parsed, document, not_stored_phrases):
            return NotStored()
    if answer.status == 404 and not endpoint.look_up_is_known:
        # The API itself may have no such call. If something else wrote this 404, the PUT proves nothing either.
        return NotOffered()
    return NoAnswer(Reason(Code.LOOK_UP_FAILED, answer.status), retry_after(answer))


def _comes_from_the_api(answer: Answer, parsed: ParsedObject | str | None) -> bool:
    """Whether a 405 or 501 comes from the API itself; firewalls use the same statuses for their pages."""
    if isinstance(parsed, ParsedObject):
        return is_api_form(parsed)
    return is_empty(answer) or bool(read_text(answer))


def _read_found(
    parsed: ParsedObject, document: Document, not_stored_phrases: Sequence[str]
) -> Stored | NotStored | None:
    """Read a look-up that reports success. None when it proves neither `Stored` nor `NotStored`."""
    endpoint, document_code = document.endpoint, document.document_code
    found: Stored | None = None
    for fields in objects(parsed):
        id_value, code_value = fields.get(endpoint.national_id_field), fields.get(endpoint.document_code_field)
        is_swapped = same(text_of(id_value), document_code) and not is_of_another_facility(fields, document)
        if names_document(fields, document) or is_swapped:
            found = Stored(id_of(id_value, document) or id_of(code_value, document))
        elif text_of(code_value) or is_of_another_facility(fields, document):
            return None  # it names another document
    if found is not None:
        return None if contradicts_success(parsed) else found
    if "data" not in parsed.fields or not is_blank(parsed.fields["data"]) or parsed.code == 201:
        return None
    text = parsed.text
    agrees = not text or says_success(text) or says_not_found(text) or _has_phrase(text, not_stored_phrases)
    failed = folded(str(parsed.fields.get("success"))) == "false"
    return NotStored() if agrees and not failed and is_api_form(parsed, document) else None
