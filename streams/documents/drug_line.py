"""What the lines of all documents have in common, and more of what those of receipts and issues have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, Field

from streams.documents.wire_format import Quantity, RequiredDay, Text50, Text200, Text500
from streams.domain.outcome import BrokenRule

_NATIONAL_CODE = "DQG"
"""How the drug codes begin that the national system gives."""


class DrugLine(BaseModel):
    """Which drug, of which lot."""

    ma_thuoc: Text50 = Field(validation_alias="drug_code")
    ten_thuoc: Text500 = Field(validation_alias="drug_name")
    so_lo: Text50 = Field(validation_alias="lot_number")


class StockLine(DrugLine):
    """A quantity that comes into stock or leaves it, in the smallest unit."""

    han_dung: RequiredDay = Field(validation_alias="expiry_date")
    so_dklh: Text50 = Field(validation_alias="registration_number")
    so_luong: Quantity = Field(validation_alias="quantity")
    don_vi_tinh: Text200 = Field(validation_alias="unit")


class _Line(Protocol):
    ma_thuoc: str
    so_luong: int | float


def doubtful_fields(lines_field: str, lines: Sequence[_Line]) -> tuple[BrokenRule, ...]:
    """Return the fields that may be why the national API refuses the document, if it does."""
    found = []
    for number, line in enumerate(lines, 1):
        if not line.ma_thuoc.upper().startswith(_NATIONAL_CODE):
            found.append(BrokenRule(f"{lines_field}[{number}].ma_thuoc", "not_national"))
        if isinstance(line.so_luong, float):
            found.append(BrokenRule(f"{lines_field}[{number}].so_luong", "fraction"))
    return tuple(found)


STOCK_COLUMNS = ("drug_code", "drug_name", "lot_number", "expiry_date", "registration_number", "quantity", "unit")
"""The columns that a `StockLine` is made of."""

LINE_LABELS = {
    "ma_thuoc": ("mã thuốc", "drug code"),
    "ten_thuoc": ("tên thuốc", "drug name"),
    "so_lo": ("số lô", "lot number"),
    "han_dung": ("hạn dùng", "expiry day"),
    "don_vi_tinh": ("đơn vị tính", "unit"),
    "so_luong": ("số lượng", "quantity"),
    "don_gia": ("đơn giá", "unit price"),
}
PRODUCTION_DAY_LABEL = {"ngay_san_xuat": ("ngày sản xuất", "production day")}
STOCK_LABELS = LINE_LABELS | {
    "ma_phieu": ("mã phiếu", "slip code"),
    "ma_co_so": ("mã cơ sở", "pharmacy code"),
    "ghi_chu": ("ghi chú", "notes"),
    "chi_tiet": ("chi tiết phiếu", "lines"),
    "so_dklh": ("số đăng ký lưu hành", "registration number"),
}
"""Wire field -> its name for pharmacists: those that receipts and issues share."""
