"""Tests that what a stored message names is read back from it, whatever its column made of it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import BrokenRules, DocumentType
from streams.documents.sale import SALE
from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import RULE_TEXTS, TLS_RULE_TEXTS, Code
from streams.domain.sale_status import status_reason
from streams.domain.stored_particulars import Particulars, read_particulars
from streams.stores.column_types import Column
from streams.stores.message_fit import fit

LIMITS = {"max_length": "50", "max_digits": "15", "one_of": "1, 2, 3", "stored_as": "HD-1"}
RULES = [f"{rule}:{LIMITS[rule]}" if rule in LIMITS else rule for rule in RULE_TEXTS]
LIST = SALE.lines_field
PAGES = [None, 437, 1252, 1258, 65001]


def stored(reason: Reason, document_type: DocumentType = SALE, api_text: str = "") -> str:
    """Return the message as write-back builds it."""
    message = status_reason(reason, document_type.labels, document_type.nouns).message
    return f"{message.vi}\n{message.en}{api_text and f'{chr(10)}API: {api_text}'}"


@st.composite
def broken_rules(draw: st.DrawFn, document_type: DocumentType) -> tuple[BrokenRule, ...]:
    fields = st.sampled_from(sorted(document_type.labels))
    in_a_line = st.builds(lambda n, name: f"{document_type.lines_field}[{n}].{name}", st.integers(1, 400), fields)
    rule = st.builds(BrokenRule, fields | in_a_line, st.sampled_from(RULES))
    return tuple(draw(st.lists(rule, min_size=1, max_size=8)))


@given(st.data(), st.sampled_from(DOCUMENT_TYPES), st.sampled_from(PAGES))
def test_every_broken_rule_is_read_back(data: st.DataObject, document_type: DocumentType, page: int | None) -> None:
    rules = data.draw(broken_rules(document_type))
    text = fit(stored(Reason(Code.RULES_BROKEN, details=rules), document_type), Column("varchar", None, page))
    assert read_particulars(text, Code.RULES_BROKEN, document_type.lines_field) == Particulars(rules)


@given(st.data(), st.integers(1, 700), st.sampled_from(PAGES))
def test_a_message_that_was_cut_names_its_first_rules_and_says_that_there_are_more(
    data: st.DataObject, length: int, page: int | None
) -> None:
    rules = data.draw(broken_rules(SALE))
    text = fit(stored(Reason(Code.RULES_BROKEN, details=rules)), Column("varchar", length, page))
    found = read_particulars(text, Code.RULES_BROKEN, LIST)
    assert found.broken_rules == rules[: len(found.broken_rules)]
    if 0 < len(found.broken_rules) < len(rules):
        assert not found.are_complete


@pytest.mark.parametrize("rule", TLS_RULE_TEXTS)
def test_a_problem_with_the_connection_is_read_back(rule: str) -> None:
    broken = BrokenRule("certificate", rule)
    text = stored(Reason(Code.CERTIFICATE, details=(broken,)))
    assert read_particulars(text, Code.CERTIFICATE, LIST).broken_rules == (broken,)


@pytest.mark.parametrize("code", [Code.NEVER_TAKEN, Code.NOT_TAKEN, Code.UNCLEAR_ANSWER])
@pytest.mark.parametrize("status", [200, 403, 599])
def test_the_status_of_an_answer_is_read_back(code: Code, status: int) -> None:
    assert read_particulars(stored(Reason(code, status)), code, LIST) == Particulars(http_status=status)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, Code.RULES_BROKEN),
        ("", Code.RULES_BROKEN),
        ("Lỗi: thiếu số lô của khách Nguyễn Thị Ánh", Code.RULES_BROKEN),
        ("line 2, Lan (so_lo) is ill;", Code.RULES_BROKEN),
        ("Đã gửi\nSent\nAPI: line 2, lot number (so_lo) is required; HTTP 403", Code.RULES_BROKEN),
        ("Đã gửi\nSent\nAPI: HTTP 403", Code.NEVER_TAKEN),
        (stored(Reason(Code.RULES_BROKEN, details=(BrokenRule("ngay_ban", "date"),))), Code.API_REFUSED),
        (stored(Reason(Code.RULES_BROKEN, details=(BrokenRule("ngay_ban", "date"),))), None),
        (stored(Reason(Code.API_REFUSED), api_text="line 2, lot number (so_lo) is required;"), Code.API_REFUSED),
        (stored(Reason(Code.RULES_BROKEN)), "a_code_of_another_version"),
    ],
)
def test_a_text_of_others_or_of_another_reason_names_nothing(text: str | None, code: str | None) -> None:
    """Promise 7. Broken by: a list repeats what the national system wrote, which may name a customer."""
    assert read_particulars(text, code, LIST) == Particulars()


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES, ids=lambda each: each.name)
def test_the_field_of_the_lines_is_that_of_the_wire_form(document_type: DocumentType) -> None:
    with pytest.raises(BrokenRules) as caught:
        document_type.transform({}, [], date(2026, 11, 24))
    assert BrokenRule(document_type.lines_field, "at_least_one") in caught.value.rules


@pytest.mark.parametrize("code", [Code.API_REFUSED, Code.OLDER_VERSION_STORED])
def test_the_remarks_of_a_refusal_are_read_back(code: Code) -> None:
    remarks = (
        BrokenRule(f"{LIST}[1].lieu_dung", "sent_as:0"),
        BrokenRule(f"{LIST}[2].ma_thuoc", "not_national"),
        BrokenRule(f"{LIST}[2].so_luong", "fraction"),
    )
    assert read_particulars(stored(Reason(code, 400, remarks)), code, LIST) == Particulars(remarks)
