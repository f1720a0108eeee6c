"""Tests what becomes of values that the national API may be picky about, in all three document types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from streams.documents import DOCUMENT_TYPES, GOODS_ISSUE, PURCHASE_RECEIPT, SALE
from streams.documents.document import Body, BodyOptions, BrokenRules, DocumentType
from streams.domain.outcome import Accepted, BrokenRule, InDoubt, Outcome, Reason, Refused, Withdrawn
from streams.domain.reasons import REMARK_TEXTS, RULE_TEXTS, TLS_RULE_TEXTS, Code
from streams.domain.sale_status import status_reason
from streams.pipeline.body_remarks import with_remarks
from tests.support.stock_rows import STOCK_HEADER, STOCK_LINE
from tests.unit.played_connect import settings

TODAY = date(2026, 11, 24)
ALL = pytest.mark.parametrize("kind", DOCUMENT_TYPES, ids=lambda kind: kind.name)
LINES = {"sale": "hoa_don_chi_tiet", "purchase_receipt": "chi_tiet", "goods_issue": "chi_tiet"}
HEADER = STOCK_HEADER | {"local_invoice_id": "HD-1", "sale_date": datetime(2026, 11, 23)}  # noqa: DTZ001 - local time
LINE = STOCK_LINE | {
    "concentration": "500 mg",
    "dosage": "Ngày 2 lần",
    "line_total": Decimal(123450),
    "conversion_ratio": Decimal(10),
}


def body(kind: DocumentType, *lines: Mapping[str, Any], **options: Any) -> Body:
    configured = replace(kind, options=BodyOptions(**options))
    return configured.transform(HEADER, [{**LINE, **line} for line in lines or ({},)], TODAY)


def sent_lines(kind: DocumentType, *lines: Mapping[str, Any], **options: Any) -> Any:
    return json.loads(body(kind, *lines, **options).content)[LINES[kind.name]]


def broken(kind: DocumentType, *lines: Mapping[str, Any], **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(BrokenRules) as caught:
        body(kind, *lines, **options)
    return [(rule.field.removeprefix(LINES[kind.name]), rule.rule) for rule in caught.value.rules]


# --- quantities


@ALL
@pytest.mark.parametrize("zero", [0, "0.00", Decimal("-0.00"), 0.0])
def test_a_quantity_of_zero_breaks_a_rule_and_its_line_is_named(kind: DocumentType, zero: Any) -> None:
    """Promise 2. Broken by: a line with a quantity of zero is sent."""
    assert broken(kind, {}, {"quantity": zero}) == [("[2].so_luong", "positive")]


@ALL
def test_a_negative_quantity_breaks_a_rule_that_says_what_a_return_is(kind: DocumentType) -> None:
    assert broken(kind, {"quantity": -1}) == [("[1].so_luong", "not_negative")]
    reason = Reason(Code.RULES_BROKEN, details=(BrokenRule("hoa_don_chi_tiet[1].so_luong", "not_negative"),))
    published = status_reason(reason, SALE.labels)
    assert "phiếu nhập loại 2" in published.message.vi
    assert "purchase receipt of type 2" in published.message.en


def test_a_price_may_be_zero_and_a_conversion_ratio_may_not() -> None:
    """A gift has no price; a unit of no base units is none."""
    [line] = sent_lines(SALE, {"unit_price": 0, "line_total": 0})
    assert (line["don_gia"], line["thanh_tien"]) == (0, 0)
    assert broken(SALE, {"conversion_ratio": 0}) == [("[1].ty_le_quy_doi", "positive")]


@ALL
def test_a_fractional_quantity_is_sent_as_it_is_unless_the_settings_refuse_it(kind: DocumentType) -> None:
    assert [line["so_luong"] for line in sent_lines(kind, {"quantity": "0.50"}, {"quantity": "2.00"})] == [0.5, 2]
    assert broken(kind, {"quantity": "0.50"}, {"quantity": "2.00"}, fractions=False) == [("[1].so_luong", "whole")]
    assert sent_lines(kind, {"quantity": "2.00"}, fractions=False)[0]["so_luong"] == 2


def test_a_price_and_a_ratio_may_have_a_fraction_whatever_the_settings_say() -> None:
    [line] = sent_lines(SALE, {"unit_price": "0.5", "conversion_ratio": "2.5"}, fractions=False)
    assert (line["don_gia"], line["ty_le_quy_doi"]) == (0.5, 2.5)


@ALL
def test_units_are_sent_as_they_are_in_the_row(kind: DocumentType) -> None:
    """A sale's unit is the one that it was sold in, with its ratio. Receipts and issues have no ratio to convert by."""
    [line] = sent_lines(kind, {"unit": "Vỉ", "quantity": 3})
    assert (line["don_vi_tinh"], line["so_luong"]) == ("Vỉ", 3)
    assert line.get("ty_le_quy_doi") == (10 if kind is SALE else None)


# --- an empty dosage


@pytest.mark.parametrize("empty", [None, "", " \t"])
def test_an_empty_dosage_is_refused_or_replaced_and_never_sent(empty: str | None) -> None:
    """Promise 2. Broken by: an empty dosage is replaced, and nothing says so."""
    assert broken(SALE, {}, {"dosage": empty}) == [("[2].lieu_dung", "required")]
    made = body(SALE, {}, {"dosage": empty}, empty_dosage="0")
    assert [line["lieu_dung"] for line in json.loads(made.content)["hoa_don_chi_tiet"]] == ["Ngày 2 lần", "0"]
    assert made.replaced == (BrokenRule("hoa_don_chi_tiet[2].lieu_dung", "sent_as:0"),)


def test_a_line_without_a_dosage_column_has_an_empty_dosage() -> None:
    line = {name: value for name, value in LINE.items() if name != "dosage"}
    made = replace(SALE, options=BodyOptions(empty_dosage="0")).transform(HEADER, [line], TODAY)
    assert b'"lieu_dung":"0"' in made.content
    assert len(made.replaced) == 1


def test_a_complete_sale_is_the_same_whatever_the_settings_say() -> None:
    """So a change of them sends nothing again."""
    assert body(SALE, empty_dosage="0", fractions=False) == body(SALE)


@pytest.mark.parametrize("kind", [PURCHASE_RECEIPT, GOODS_ISSUE], ids=lambda kind: kind.name)
def test_receipts_and_issues_have_no_dosage_to_replace(kind: DocumentType) -> None:
    assert body(kind, {"dosage": ""}, empty_dosage="0") == body(kind)


# --- what is said of a body


@ALL
@pytest.mark.parametrize("code", ["SP-7", "VN-123", "893110332124", "QG1"])
def test_a_drug_code_that_is_not_national_is_sent_and_named_if_the_document_is_refused(
    kind: DocumentType, code: str
) -> None:
    """Which codes the national system knows, it alone can say."""
    made = body(kind, {}, {"drug_code": code})
    assert made.doubtful == (BrokenRule(f"{LINES[kind.name]}[2].ma_thuoc", "not_national"),)
    assert json.loads(made.content)[LINES[kind.name]][1]["ma_thuoc"] == code


@ALL
def test_a_line_without_a_drug_code_is_named_and_the_document_is_not_sent_without_it(kind: DocumentType) -> None:
    """Promise 1. Broken by: a line without a drug code vanishes, and its sale is sent without it."""
    for empty in (None, "", "  "):
        assert broken(kind, {}, {"drug_code": empty}, {}) == [("[2].ma_thuoc", "required")]
        assert broken(kind, {"drug_code": empty}, {"drug_code": empty}) == [
            ("[1].ma_thuoc", "required"),
            ("[2].ma_thuoc", "required"),
        ]


@ALL
def test_national_codes_and_whole_quantities_are_not_doubtful(kind: DocumentType) -> None:
    assert body(kind, {}, {"drug_code": "dqg00000001"}).doubtful == ()
    assert body(kind, {"quantity": "0.5"}).doubtful == (BrokenRule(f"{LINES[kind.name]}[1].so_luong", "fraction"),)


DOSAGE = BrokenRule("hoa_don_chi_tiet[1].lieu_dung", "sent_as:0")
CODE = BrokenRule("hoa_don_chi_tiet[1].ma_thuoc", "not_national")
REMARKED = Body(b"{}", "79-1", "HD-1", replaced=(DOSAGE,), doubtful=(CODE,))
PLAIN = Body(b"{}", "79-1", "HD-1")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Accepted("QG-1"), Reason(Code.VALUES_REPLACED, details=(DOSAGE,))),
        (Accepted(None, Reason(Code.ID_UNKNOWN)), Reason(Code.ID_UNKNOWN, details=(DOSAGE,))),
        (Refused(Reason(Code.API_REFUSED, 400), "words"), Reason(Code.API_REFUSED, 400, (DOSAGE, CODE))),
        (
            Refused(Reason(Code.OLDER_VERSION_STORED, 400), "words", "QG-1"),
            Reason(Code.OLDER_VERSION_STORED, 400, (DOSAGE, CODE)),
        ),
        (Refused(Reason(Code.TIME_LIMIT)), Reason(Code.TIME_LIMIT)),
        (InDoubt(Reason(Code.TIMED_OUT)), Reason(Code.TIMED_OUT)),
    ],
)
def test_remarks_about_a_body_go_with_its_acceptance_and_with_a_refusal_by_the_api(
    outcome: Outcome, reason: Reason
) -> None:
    remarked = with_remarks(outcome, REMARKED)
    assert not isinstance(remarked, Withdrawn)
    assert not isinstance(outcome, Withdrawn)
    assert remarked.reason == reason
    assert replace(remarked, reason=outcome.reason) == outcome, "nothing else changes"  # type: ignore[arg-type]
    assert with_remarks(outcome, PLAIN) == outcome


def test_an_acceptance_without_replaced_values_has_no_reason() -> None:
    """What is doubtful was not: the API has taken it."""
    assert with_remarks(Accepted("QG-1"), replace(REMARKED, replaced=())) == Accepted("QG-1")


def test_a_remark_is_described_by_line_and_field_in_both_languages() -> None:
    message = status_reason(Reason(Code.VALUES_REPLACED, details=(DOSAGE,)), SALE.labels).message
    assert 'dòng 1, liều dùng (lieu_dung) để trống, được gửi là "0";' in message.vi
    assert 'line 1, dosage (lieu_dung) is empty and was sent as "0";' in message.en
    message = status_reason(Reason(Code.API_REFUSED, 400, (CODE,)), SALE.labels).message
    assert "dòng 1, mã thuốc (ma_thuoc) không bắt đầu bằng DQG" in message.vi


def test_remarks_have_texts_in_both_languages_and_names_of_their_own() -> None:
    assert not REMARK_TEXTS.keys() & (RULE_TEXTS.keys() | TLS_RULE_TEXTS.keys())
    assert all(not vi.isascii() and en.isascii() for vi, en in REMARK_TEXTS.values())


# --- the settings


def test_the_options_of_bodies_are_those_of_the_settings() -> None:
    """Promise 2. Broken by: a fractional quantity is sent although the settings refuse it."""
    assert BodyOptions.of(settings()) == BodyOptions(empty_dosage=None, fractions=True)
    changed = settings(EMPTY_DOSAGE="Theo chỉ dẫn", FRACTIONAL_QUANTITIES="refuse")
    assert BodyOptions.of(changed) == BodyOptions(empty_dosage="Theo chỉ dẫn", fractions=False)


# --- the order of a day


def test_receipts_go_before_sales_and_both_before_issues() -> None:
    after = {kind.name: set(kind.sent_after) for kind in DOCUMENT_TYPES}
    assert after == {
        "sale": {"purchase_receipt"},
        "purchase_receipt": set(),
        "goods_issue": {"purchase_receipt", "sale"},
    }


def test_no_document_type_waits_for_one_that_waits_for_it() -> None:
    """Otherwise two documents could wait for each other."""
    after = {kind.name: set(kind.sent_after) for kind in DOCUMENT_TYPES}
    while after:
        first = [name for name, earlier in after.items() if not earlier]
        assert first, f"a circle: {after}"
        after = {name: earlier - set(first) for name, earlier in after.items() if name not in first}


@ALL
def test_the_day_of_a_document_is_one_of_its_header_columns(kind: DocumentType) -> None:
    assert kind.day_column in kind.header_columns
