"""What the answer to a withdrawal (DELETE) proves. It belongs to the tables of `streams.national_api.answers`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from streams.documents.document import Endpoint
from streams.domain.outcome import BrokenRule, InDoubt, Reason, Refused, TryLater, Withdrawn
from streams.domain.reasons import Code
from streams.national_api.answers import (
    refusal_text,
    refuses_as_not_stored,
    says_not_stored,
    token_problem,
    transient_failure,
    unclear,
)
from streams.national_api.own_form import (
    Answer,
    Document,
    ParsedObject,
    answer_text,
    contradicts_success,
    is_api_form,
    is_blank,
    read_json,
    storable,
)
from streams.national_api.subjects import is_generic
from streams.runtime.frozen import frozen


@frozen
class NothingToWithdraw:
    """The national system answered that it does not store the document."""

    refused: Refused
    """The same answer as a refusal, should a look-up contradict it."""


WithdrawalResult: TypeAlias = Withdrawn | NothingToWithdraw | Refused | TryLater | InDoubt


def read_withdrawal(
    answer: Answer, endpoint: Endpoint, facility_code: str, document_code: str, not_stored_phrases: Sequence[str] = ()
) -> WithdrawalResult:
    """Return what the answer to a DELETE proves.

    `not_stored_phrases`: further phrases, from the settings, by which the API says that it does not store a document.
    """
    document = Document(endpoint, facility_code, document_code)
    parsed = read_json(answer)
    if token_problem(answer) == "proven":
        return InDoubt(Reason(Code.TOKEN_REJECTED, answer.status))
    if transient := transient_failure(answer, parsed, document):
        return transient
    if says_not_stored(answer, parsed, document, not_stored_phrases) or refuses_as_not_stored(
        answer, parsed, document, not_stored_phrases
    ):
        text = storable(answer_text(answer, parsed))
        return NothingToWithdraw(Refused(Reason(Code.API_REFUSED, answer.status), text))
    if answer.status == 200 and isinstance(parsed, ParsedObject) and _reports_withdrawal(parsed, document):
        return Withdrawn()
    if answer.status in (200, 400, 409, 422) and (text := refusal_text(answer, parsed, document)):
        return Refused(Reason(Code.API_REFUSED, answer.status), storable(text))
    return unclear(answer)


def _reports_withdrawal(parsed: ParsedObject, document: Document) -> bool:
    """Whether it is the API's own report of success. It shows no document: that would be the answer to a look-up."""
    code_field, id_field = document.endpoint.document_code_field, document.endpoint.national_id_field
    return (
        parsed.code == 200
        and bool(parsed.text)
        and not is_generic(parsed.text)
        and not contradicts_success(parsed)
        and is_api_form(parsed, document)
        and all(is_blank(parsed.fields.get(key)) for key in ("data", code_field, id_field))
    )


def unusable_codes(endpoint: Endpoint, facility_code: str, document_code: str) -> tuple[BrokenRule, ...]:
    """Return which of the codes cannot be part of an address. With them, a DELETE would name something else: blanks and
    dots are removed from addresses, by some servers after the slashes of a code were decoded.
    """
    codes = {"ma_co_so": facility_code, endpoint.document_code_field: document_code}
    return tuple(
        BrokenRule(field, "in_an_address" if code.strip() else "required")
        for field, code in codes.items()
        if {"", ".", ".."} & {part.strip() for part in re.split(r"[/\\]", code)}
    )
