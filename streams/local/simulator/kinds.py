"""The kinds of document that the API takes, and the published rules of their fields, as one table.

Source: the interface description of the national pharmacy API. Where it gives no length for a receipt's
or an issue's line, that of the invoice's line is taken.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Field(BaseModel):
    """One field of a document or of its lines. Days are ``yyyyMMdd``, numbers are JSON numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: Literal["text", "day", "number"] = "text"
    required: bool = False
    may_be_empty: bool = False
    """Of a required text: it has to be there, and may say nothing."""
    longest: int | None = None
    """Of a text, in characters."""
    choices: tuple[int, ...] | None = None
    """Of a number: the only values allowed."""


class Kind(BaseModel):
    """A kind of document. Tests may register more of them while the simulator runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: str
    """POST and PUT go here; GET and DELETE to ``{path}/{ma_co_so}/{own code}``."""
    document_code_field: str
    """The pharmacy's own code; ``ma_co_so`` stands beside it in every kind."""
    national_id_field: str
    """Where field servers put the national id."""
    id_prefix: str
    """Of the national ids that are given out, e.g. ``HD_QG_``."""
    bare_id: bool = False
    """The documented answer is the national id as a bare JSON string, not an object."""
    fields: tuple[Field, ...] = ()
    lines_field: str
    line_fields: tuple[Field, ...] = ()


def _text(name: str, longest: int | None, *, required: bool = False) -> Field:
    return Field(name=name, longest=longest, required=required)


def _day(name: str, *, required: bool = False) -> Field:
    return Field(name=name, type="day", required=required)


def _number(name: str, *, required: bool = False, choices: tuple[int, ...] | None = None) -> Field:
    return Field(name=name, type="number", required=required, choices=choices)


SALE = Kind(
    name="sale",
    path="/api/lien_thong/hoa_don",
    document_code_field="ma_hoa_don",
    national_id_field="ma_hoa_don_quoc_gia",
    id_prefix="HD_QG_",
    fields=(
        _text("ma_hoa_don", 50, required=True),
        _text("ma_co_so", 50, required=True),
        _text("ma_don_thuoc_quoc_gia", 50),
        _day("ngay_ban", required=True),
        _text("ho_ten_nguoi_ban", 50),
        _text("ho_ten_khach_hang", 50),
    ),
    lines_field="hoa_don_chi_tiet",
    line_fields=(
        _text("ma_thuoc", 50, required=True),
        _text("ten_thuoc", 500, required=True),
        _text("so_lo", 50, required=True),
        _day("ngay_san_xuat"),
        _day("han_dung", required=True),
        _text("don_vi_tinh", 50, required=True),
        _text("ham_luong", 500, required=True),
        _text("duong_dung", 200),
        _text("lieu_dung", None, required=True),
        _text("so_dang_ky", 50),
        _number("so_luong", required=True),
        _number("don_gia", required=True),
        _number("thanh_tien", required=True),
        _number("ty_le_quy_doi", required=True),
    ),
)

PURCHASE_RECEIPT = Kind(
    name="purchase_receipt",
    path="/api/lien_thong/phieu_nhap",
    document_code_field="ma_phieu",
    national_id_field="ma_phieu_nhap_quoc_gia",
    id_prefix="PN_QG_",
    bare_id=True,
    fields=(
        _text("ma_phieu", 50, required=True),
        _text("ma_co_so", 50, required=True),
        _day("ngay_nhap", required=True),
        _number("loai_phieu_nhap", required=True, choices=(1, 2, 3)),
        _text("ghi_chu", 500),
        _text("ten_co_so_cung_cap", 500),
    ),
    lines_field="chi_tiet",
    line_fields=(
        _text("ma_thuoc", 50, required=True),
        _text("ten_thuoc", 500, required=True),
        _text("so_lo", 50, required=True),
        _day("ngay_san_xuat"),
        _day("han_dung", required=True),
        _text("so_dklh", 50, required=True),
        _number("so_luong", required=True),
        _number("don_gia"),
        _text("don_vi_tinh", 200, required=True),
    ),
)

GOODS_ISSUE = Kind(
    name="goods_issue",
    path="/api/lien_thong/phieu_xuat",
    document_code_field="ma_phieu",
    national_id_field="ma_phieu_xuat_quoc_gia",
    id_prefix="PX_QG_",
    bare_id=True,
    fields=(
        _text("ma_phieu", 50, required=True),
        _text("ma_co_so", 50, required=True),
        _day("ngay_xuat", required=True),
        _number("loai_phieu_xuat", required=True, choices=(2, 3)),
        Field(name="ghi_chu", longest=500, required=True, may_be_empty=True),
        _text("ten_co_so_nhan", 500),
    ),
    lines_field="chi_tiet",
    line_fields=(
        _text("ma_thuoc", 50, required=True),
        _text("ten_thuoc", 500, required=True),
        _text("so_lo", 50, required=True),
        _day("han_dung", required=True),
        _text("so_dklh", 50, required=True),
        _number("so_luong", required=True),
        _number("don_gia", required=True),
        _text("don_vi_tinh", 200, required=True),
    ),
)

PUBLISHED = (SALE, PURCHASE_RECEIPT, GOODS_ISSUE)
