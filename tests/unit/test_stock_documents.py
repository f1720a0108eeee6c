"""Purchase receipts and goods issues as they go over the wire, and every rule that they may break."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from streams.documents import GOODS_ISSUE, PURCHASE_RECEIPT
from streams.documents.document import BrokenRules, DocumentType
from tests.support.stock_rows import STOCK_HEADER, STOCK_LINE

TODAY = date(2026, 11, 24)
BOTH = pytest.mark.parametrize("kind", [PURCHASE_RECEIPT, GOODS_ISSUE], ids=lambda kind: kind.name)
TYPE = {"purchase_receipt": "receipt_type", "goods_issue": "issue_type"}
DAY = {"purchase_receipt": "receipt_date", "goods_issue": "issue_date"}

Rules = list[tuple[str, str]]


def sent(kind: DocumentType, line: Mapping[str, Any] | None = None, **changes: Any) -> Any:
    return json.loads(kind.transform({**STOCK_HEADER, **changes}, [{**STOCK_LINE, **(line or {})}], TODAY).content)


def broken(kind: DocumentType, line: Mapping[str, Any] | None = None, **changes: Any) -> Rules:
    with pytest.raises(BrokenRules) as caught:
        sent(kind, line, **changes)
    return [(rule.field, rule.rule) for rule in caught.value.rules]


def test_a_full_receipt_byte_for_byte() -> None:
    body = PURCHASE_RECEIPT.transform(STOCK_HEADER, [STOCK_LINE], TODAY)
    assert body.content.decode() == (
        '{"ma_phieu":"PN-1","ma_co_so":"79-00001","ngay_nhap":"20261123","loai_phieu_nhap":1,"ghi_chu":"Đủ hàng",'
        '"ten_co_so_cung_cap":"Công ty Dược Đỏ","chi_tiet":[{"ma_thuoc":"DQG1","ten_thuoc":"Thuốc Đỏ","so_lo":"L1",'
        '"han_dung":"20280131","so_dklh":"VD-1","so_luong":100,"don_vi_tinh":"Viên","ngay_san_xuat":"20260131",'
        '"don_gia":1234.5}]}'
    )
    assert (body.facility_code, body.document_code) == ("79-00001", "PN-1")


def test_a_full_issue_byte_for_byte() -> None:
    body = GOODS_ISSUE.transform({**STOCK_HEADER, "issue_type": 3}, [STOCK_LINE], TODAY)
    assert body.content.decode() == (
        '{"ma_phieu":"PX-1","ma_co_so":"79-00001","ngay_xuat":"20261123","loai_phieu_xuat":3,"ghi_chu":"Đủ hàng",'
        '"ten_co_so_nhan":"Kho Đỏ","chi_tiet":[{"ma_thuoc":"DQG1","ten_thuoc":"Thuốc Đỏ","so_lo":"L1",'
        '"han_dung":"20280131","so_dklh":"VD-1","so_luong":100,"don_vi_tinh":"Viên","don_gia":1234.5}]}'
    )
    assert (body.facility_code, body.document_code) == ("79-00001", "PX-1")


@BOTH
@pytest.mark.parametrize("value", [2, "2", Decimal("2.00"), 3])
def test_a_type_is_a_json_integer_whatever_the_driver_returns(kind: DocumentType, value: Any) -> None:
    [(name, found)] = [
        (name, found) for name, found in sent(kind, None, **{TYPE[kind.name]: value}).items() if "loai" in name
    ]
    assert (name, found) == (f"loai_phieu_{'nhap' if kind is PURCHASE_RECEIPT else 'xuat'}", int(value))
    assert type(found) is int


@pytest.mark.parametrize("value", [0, 4, -1, "hai", 1.5, True, Decimal("1.5"), "1e9", 10**400, float("nan")])
def test_any_other_type_breaks_a_rule(value: Any) -> None:
    """Promise 2. Broken by: a type that the national system does not know is sent."""
    assert broken(PURCHASE_RECEIPT, receipt_type=value) == [("loai_phieu_nhap", "one_of:1, 2, 3")]
    assert broken(GOODS_ISSUE, issue_type=value) == [("loai_phieu_xuat", "one_of:2, 3")]


def test_an_issue_has_no_type_1() -> None:
    """It is what one client was seen to send for transfers."""
    assert broken(GOODS_ISSUE, issue_type=1) == [("loai_phieu_xuat", "one_of:2, 3")]
    assert sent(PURCHASE_RECEIPT, receipt_type=1)["loai_phieu_nhap"] == 1


def test_notes_of_an_issue_have_to_be_there_and_may_be_empty() -> None:
    """Promise 2. Broken by: an issue without notes is sent, and one whose notes are empty lacks them."""
    assert sent(GOODS_ISSUE, notes="")["ghi_chu"] == ""
    assert broken(GOODS_ISSUE, notes=None) == [("ghi_chu", "required")]
    assert broken(GOODS_ISSUE, notes="x" * 501) == [("ghi_chu", "max_length:500")]
    assert broken(GOODS_ISSUE, notes="\ufffd") == [("ghi_chu", "readable")]


def test_notes_of_a_receipt_may_be_missing() -> None:
    for absent in (None, "", "  "):
        assert "ghi_chu" not in sent(PURCHASE_RECEIPT, notes=absent, supplier_name=absent)
    assert broken(PURCHASE_RECEIPT, notes="x" * 501, supplier_name="x" * 501) == [
        ("ghi_chu", "max_length:500"),
        ("ten_co_so_cung_cap", "max_length:500"),
    ]


def test_the_price_is_required_of_an_issue_alone() -> None:
    assert "don_gia" not in sent(PURCHASE_RECEIPT, {"unit_price": None})["chi_tiet"][0]
    assert broken(GOODS_ISSUE, {"unit_price": None}) == [("chi_tiet[1].don_gia", "required")]


@BOTH
def test_a_day_may_be_tomorrow_at_the_latest(kind: DocumentType) -> None:
    day = DAY[kind.name]
    assert sent(kind, None, **{day: TODAY + timedelta(days=1)})
    field = "ngay_nhap" if kind is PURCHASE_RECEIPT else "ngay_xuat"
    assert broken(kind, None, **{day: TODAY + timedelta(days=2)}) == [(field, "not_in_future")]
    assert broken(kind, None, **{day: None}) == [(field, "required")]
    assert sent(kind, None, **{day: datetime(2026, 11, 23, 23, 59)})[field] == "20261123"  # noqa: DTZ001 - local time


@BOTH
@pytest.mark.parametrize(
    ("column", "field", "longest"),
    [
        ("drug_code", "ma_thuoc", 50),
        ("drug_name", "ten_thuoc", 500),
        ("lot_number", "so_lo", 50),
        ("registration_number", "so_dklh", 50),
        ("unit", "don_vi_tinh", 200),
    ],
)
def test_a_lines_texts_are_required_and_have_their_lengths(
    kind: DocumentType, column: str, field: str, longest: int
) -> None:
    assert sent(kind, {column: "x" * longest})["chi_tiet"][0][field] == "x" * longest
    assert broken(kind, {column: "x" * (longest + 1)}) == [(f"chi_tiet[1].{field}", f"max_length:{longest}")]
    for absent in (None, "", " "):
        assert broken(kind, {column: absent}) == [(f"chi_tiet[1].{field}", "required")]


@BOTH
@pytest.mark.parametrize(
    ("value", "rule"),
    [(None, "required"), (-1, "not_negative"), (0, "positive"), ("mười", "valid"), (10**15, "max_digits:15")],
)
def test_a_quantity_follows_the_rules_of_a_sale(kind: DocumentType, value: Any, rule: str) -> None:
    assert broken(kind, {"quantity": value}) == [("chi_tiet[1].so_luong", rule)]


@BOTH
def test_a_document_has_at_least_one_line(kind: DocumentType) -> None:
    with pytest.raises(BrokenRules) as caught:
        kind.transform(STOCK_HEADER, [], TODAY)
    assert [(rule.field, rule.rule) for rule in caught.value.rules] == [("chi_tiet", "at_least_one")]


@BOTH
def test_exactly_the_columns_that_the_form_needs_are_read(kind: DocumentType) -> None:
    header = {column: STOCK_HEADER[column] for column in kind.sent_columns}
    line = {column: STOCK_LINE[column] for column in kind.line_columns}
    assert kind.transform(header, [line], TODAY) == kind.transform(STOCK_HEADER, [STOCK_LINE], TODAY)
    for column in kind.sent_columns[2:]:
        assert body(kind, without(header, column), line) != body(kind, header, line), column
    for column in kind.line_columns:
        assert body(kind, header, without(line, column)) != body(kind, header, line), column


def without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column != name}


def body(kind: DocumentType, header: Mapping[str, Any], line: Mapping[str, Any]) -> bytes | None:
    """None where a rule is broken."""
    try:
        return kind.transform(header, [line], TODAY).content
    except BrokenRules:
        return None
