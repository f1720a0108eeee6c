"""Tests the reason codes, and their texts for whatever a document of any type can be refused for."""

from __future__ import annotations

import inspect
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from streams.documents import DOCUMENT_TYPES, GOODS_ISSUE, PURCHASE_RECEIPT
from streams.documents.document import BrokenRules, DocumentType
from streams.documents.sale import SALE
from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import ACCOUNT_PROBLEMS, REASON_TEXTS, RULE_TEXTS, TLS_PROBLEMS, TLS_RULE_TEXTS, Code
from streams.domain.sale_status import status_reason
from streams.domain.withdrawal_reasons import WITHDRAWAL_TEXTS, reason_text
from tests.support.stock_rows import STOCK_HEADER, STOCK_LINE

TODAY = date(2026, 11, 23)
HEADER: dict[str, Any] = {
    "local_invoice_id": "HD-1",
    "pharmacy_code": "79-1",
    "sale_date": TODAY,
}
LINE: dict[str, Any] = {
    "drug_code": "T-1",
    "drug_name": "Paracetamol",
    "lot_number": "L-1",
    "expiry_date": date(2028, 1, 31),
    "unit": "viên",
    "concentration": "500 mg",
    "dosage": "2 viên/ngày",
    "quantity": Decimal("10"),
    "unit_price": Decimal("1000"),
    "line_total": Decimal("10000"),
    "conversion_ratio": Decimal("1"),
}


def test_reason_codes_are_never_removed_or_renamed() -> None:
    """Consumers and alert rules depend on them, so a code may only be added here."""
    assert set(Code) >= {
        *("id_unknown", "rules_broken", "no_lines", "api_refused", "older_version_stored", "time_limit"),
        *("no_account", "several_accounts", "login_refused", "lines_missing", "shop_busy", "login_unavailable"),
        *("token_rejected", "unreachable", "timed_out", "connection_lost", "api_error", "rate_limited"),
        *("unclear_answer", "look_up_failed", "replace_refused", "internal_error", "certificate", "tls_failed"),
        *("row_unreadable", "values_replaced", "earlier_documents"),
    }
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in Code)


def test_every_reason_code_has_a_text() -> None:
    assert REASON_TEXTS.keys() == set(Code)


@pytest.mark.parametrize("code", Code)
def test_reason_texts_are_whole_sentences_in_their_language(code: Code) -> None:
    texts = REASON_TEXTS[code]
    for sentence in (texts.vi, texts.en, texts.action_vi, texts.action_en):
        assert sentence.endswith(".")
        assert "{" not in sentence
    assert (texts.en + texts.action_en).isascii()
    assert not texts.vi.isascii()
    assert not texts.action_vi.isascii()


@pytest.mark.parametrize("code", WITHDRAWAL_TEXTS)
def test_texts_of_withdrawals_are_whole_sentences_that_do_not_speak_of_sending(code: Code) -> None:
    texts = WITHDRAWAL_TEXTS[code]
    for sentence in (texts.vi, texts.en, texts.action_vi, texts.action_en):
        assert sentence.endswith(".")
    assert (texts.en + texts.action_en).isascii()
    assert not (texts.vi + texts.action_vi).isascii()
    assert "gửi lại" not in texts.vi + texts.action_vi
    assert "sent again" not in texts.en + texts.action_en
    published = status_reason(Reason(code), withdrawal=True).message
    assert (published.vi, published.en) == (f"{texts.vi} {texts.action_vi}", f"{texts.en} {texts.action_en}")


_OF_SENDING_ALONE = {
    *(Code.ID_UNKNOWN, Code.NO_LINES, Code.OLDER_VERSION_STORED, Code.STORED_UNDER_OTHER_CODES, Code.TIME_LIMIT),
    *(Code.LINES_MISSING, Code.REPLACE_REFUSED, Code.EARLIER_DOCUMENTS, Code.VALUES_REPLACED),
}


@pytest.mark.parametrize("code", [code for code in Code if code not in _OF_SENDING_ALONE])
def test_no_reason_of_a_withdrawal_speaks_of_sending_again(code: Code) -> None:
    text = reason_text(code, withdrawal=True)
    assert "gửi lại" not in text.vi + text.action_vi
    assert "sent again" not in text.en + text.action_en


@pytest.mark.parametrize("code", sorted(ACCOUNT_PROBLEMS | TLS_PROBLEMS))
def test_a_reason_that_waits_for_a_person_says_that_the_sale_is_then_sent_automatically(code: Code) -> None:
    assert REASON_TEXTS[code].action_vi.lower().endswith("hóa đơn sẽ tự được gửi.")
    assert REASON_TEXTS[code].action_en.lower().endswith("the sale is then sent automatically.")


BREAKS: list[tuple[dict[str, Any], dict[str, Any] | None, str, str]] = [
    ({"local_invoice_id": " "}, {}, "required", "mã hóa đơn (ma_hoa_don) bắt buộc phải có"),
    ({}, None, "at_least_one", "chi tiết hóa đơn (hoa_don_chi_tiet) phải có ít nhất một dòng"),
    ({"seller_name": "x" * 51}, {}, "max_length:50", "họ tên người bán (ho_ten_nguoi_ban) dài quá 50 ký tự"),
    ({"seller_name": 7}, {}, "text", "họ tên người bán (ho_ten_nguoi_ban) phải là chữ"),
    (
        {"customer_name": "Khách \ufffd"},
        {},
        "readable",
        "họ tên khách hàng (ho_ten_khach_hang) có ký tự không đọc được",
    ),
    ({"sale_date": "hôm qua"}, {}, "date", "ngày bán (ngay_ban) không phải là ngày"),
    ({"sale_date": date(1900, 1, 1)}, {}, "date_absurd", "ngày bán (ngay_ban) là ngày vô lý"),
    ({"sale_date": date(2026, 11, 25)}, {}, "not_in_future", "ngày bán (ngay_ban) là ngày trong tương lai"),
    ({}, {"quantity": -1}, "not_negative", "dòng 1, số lượng (so_luong) là số âm"),
    ({}, {"quantity": 0}, "positive", "dòng 1, số lượng (so_luong) phải lớn hơn 0"),
    ({}, {"quantity": Decimal("NaN")}, "finite", "dòng 1, số lượng (so_luong) không phải là số hữu hạn"),
    ({}, {"quantity": 10**15}, "max_digits:15", "dòng 1, số lượng (so_luong) có quá 15 chữ số"),
    ({}, {"quantity": "mười"}, "valid", "dòng 1, số lượng (so_luong) không hợp lệ"),
]
"""What is wrong in the header, in the line (None: there is none); the rule; what a pharmacist reads."""


@pytest.mark.parametrize(("header", "line", "rule", "says"), BREAKS, ids=[each[2] for each in BREAKS])
def test_a_broken_rule_is_described_by_line_and_field(
    header: dict[str, Any], line: dict[str, Any] | None, rule: str, says: str
) -> None:
    with pytest.raises(BrokenRules) as caught:
        SALE.transform(HEADER | header, [] if line is None else [LINE | line], TODAY)
    assert [broken.rule for broken in caught.value.rules] == [rule]
    published = status_reason(Reason(Code.RULES_BROKEN, details=caught.value.rules), SALE.labels)
    name, _, limit = rule.partition(":")
    assert says in published.message.vi
    assert RULE_TEXTS[name][1].format(limit=limit) in published.message.en
    assert "{" not in published.message.vi + published.message.en


@pytest.mark.parametrize(
    ("document_type", "column", "says"),
    [
        (PURCHASE_RECEIPT, "receipt_type", "loại phiếu nhập (loai_phieu_nhap) phải là một trong các số 1, 2, 3"),
        (GOODS_ISSUE, "issue_type", "loại phiếu xuất (loai_phieu_xuat) phải là một trong các số 2, 3"),
    ],
    ids=["receipt", "issue"],
)
def test_an_unknown_type_is_described_with_the_known_ones(document_type: DocumentType, column: str, says: str) -> None:
    with pytest.raises(BrokenRules) as caught:
        document_type.transform({**STOCK_HEADER, column: 4}, [STOCK_LINE], TODAY)
    published = status_reason(Reason(Code.RULES_BROKEN, details=caught.value.rules), document_type.labels)
    assert says in published.message.vi
    assert "must be one of " in published.message.en
    assert [broken.rule.partition(":")[0] for broken in caught.value.rules] == ["one_of"]


def test_every_rule_with_a_text_can_be_broken() -> None:
    """`one_of` is a rule of receipts and issues, and `whole` one that the settings ask for."""
    of_codes = {
        "in_an_address",
        "stored_as",
        "of_another",
    }  # see tests.unit.test_withdrawal and tests.unit.test_submission
    others = {"one_of", "whole"} | of_codes
    assert {rule.partition(":")[0] for _, _, rule, _ in BREAKS} | others == RULE_TEXTS.keys()


def test_a_field_without_a_label_is_described_by_its_wire_name() -> None:
    published = status_reason(Reason(Code.RULES_BROKEN, details=(BrokenRule("chi_tiet[3].so_dklh", "required"),)))
    assert "dòng 3, so_dklh (so_dklh) bắt buộc phải có" in published.message.vi
    assert "line 3, so_dklh (so_dklh) is required" in published.message.en


def test_a_missing_intermediate_certificate_is_described_with_its_action() -> None:
    published = status_reason(
        Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", "unknown_issuer"),)), SALE.labels
    )
    assert [(each.field, each.rule) for each in published.details] == [("certificate", "unknown_issuer")]
    assert "Chứng chỉ của máy chủ (certificate) do một CA mà máy gửi không tin cậy cấp" in published.message.vi
    assert "Máy chủ phải gửi đủ chuỗi chứng chỉ, kể cả chứng chỉ trung gian" in published.message.vi
    assert "the server does not send the intermediate certificate that signed it;" in published.message.en
    assert "The server has to send the whole chain, including the intermediate certificate" in published.message.en


def test_tls_rules_have_texts_in_both_languages_and_names_of_their_own() -> None:
    assert not TLS_RULE_TEXTS.keys() & RULE_TEXTS.keys()
    assert all(not vi.isascii() and en.isascii() and "{" not in vi + en for vi, en in TLS_RULE_TEXTS.values())


def wire_fields(document_type: DocumentType) -> set[str]:
    """Return the fields of every wire model in the document type's file."""
    file = inspect.getmodule(document_type.make_body)
    models = [
        each
        for _, each in inspect.getmembers(file, inspect.isclass)
        if issubclass(each, BaseModel) and each.__module__ == document_type.make_body.__module__
    ]
    return {name for model in models for name in model.model_fields}


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES, ids=lambda document_type: document_type.name)
def test_every_wire_field_of_every_document_type_has_a_label_in_both_languages(document_type: DocumentType) -> None:
    fields = wire_fields(document_type)
    assert {document_type.endpoint.document_code_field} < fields, "its models were found"
    assert document_type.labels.keys() == fields
    assert all(vi and en and en.isascii() for vi, en in document_type.labels.values())


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES[1:], ids=lambda document_type: document_type.name)
@pytest.mark.parametrize("code", list(Code))
def test_a_reason_is_described_with_the_nouns_of_the_document_type(document_type: DocumentType, code: Code) -> None:
    published = status_reason(Reason(code), document_type.labels, document_type.nouns).message
    assert "hóa đơn" not in published.vi.lower()
    assert not re.search(r"\bsales?\b(?! software| database)", published.en)
    of_sale = status_reason(Reason(code), SALE.labels, SALE.nouns).message
    assert of_sale == status_reason(Reason(code), SALE.labels).message
    assert ("hóa đơn" in of_sale.vi.lower()) == (document_type.nouns.vi in published.vi.lower())


def test_the_sales_software_and_the_sales_database_keep_their_names() -> None:
    text = "Sales of the sales database: a sale, two sales, the sales software."
    assert GOODS_ISSUE.nouns.in_english(text) == (
        "Sales of the sales database: a goods issue, two goods issues, the sales software."
    )
    assert GOODS_ISSUE.nouns.in_vietnamese("Hóa đơn, hóa đơn") == "Phiếu xuất, phiếu xuất"
