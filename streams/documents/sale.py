"""The sale (hóa đơn): its tables, its wire form, its endpoint in the national API.

Source of field names, lengths and required fields: the interface description of the national pharmacy API.
Source of the columns: the tables that point-of-sale software writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pydantic import BaseModel, Field

from streams.documents.document import Body, BodyOptions, DocumentType, Endpoint, Row
from streams.documents.drug_line import LINE_LABELS, PRODUCTION_DAY_LABEL, DrugLine, doubtful_fields
from streams.documents.wire_format import (
    Amount,
    Optional50,
    Optional200,
    OptionalPastDay,
    PositiveAmount,
    Quantity,
    RequiredDay,
    RequiredPastDay,
    Text50,
    Text500,
    TextAny,
    is_blank,
    serialize,
    validate,
)
from streams.domain.nouns import Nouns
from streams.domain.outcome import BrokenRule


class SaleLine(DrugLine):
    ngay_san_xuat: OptionalPastDay = Field(None, validation_alias="production_date")
    han_dung: RequiredDay = Field(validation_alias="expiry_date")
    don_vi_tinh: Text50 = Field(validation_alias="unit")
    ham_luong: Text500 = Field(validation_alias="concentration")
    duong_dung: Optional200 = Field(None, validation_alias="route_of_administration")
    lieu_dung: TextAny = Field(validation_alias="dosage")
    so_dang_ky: Optional50 = Field(None, validation_alias="registration_number")
    so_luong: Quantity = Field(validation_alias="quantity")
    don_gia: Amount = Field(validation_alias="unit_price")
    thanh_tien: Amount = Field(validation_alias="line_total")
    ty_le_quy_doi: PositiveAmount = Field(validation_alias="conversion_ratio")


class SaleBody(BaseModel):
    ma_hoa_don: Text50 = Field(validation_alias="local_invoice_id")
    ma_co_so: Text50 = Field(validation_alias="pharmacy_code")
    ma_don_thuoc_quoc_gia: Optional50 = Field(None, validation_alias="national_prescription_id")
    ngay_ban: RequiredPastDay = Field(validation_alias="sale_date")
    ho_ten_nguoi_ban: Optional50 = Field(None, validation_alias="seller_name")
    ho_ten_khach_hang: Optional50 = Field(None, validation_alias="customer_name")
    hoa_don_chi_tiet: list[SaleLine] = Field(min_length=1)


def make_body(header: Row, lines: Sequence[Row], today: date, options: BodyOptions) -> Body:
    """Turn a sale into its body. Raises `BrokenRules`, which names every rule that the sale breaks.

    `today`: the pharmacy's local date.
    """
    lines, replaced = _without_empty_dosage(lines, options.empty_dosage)
    sale = validate(SaleBody, {**header, "hoa_don_chi_tiet": lines}, today, options)
    return Body(
        serialize(sale),
        facility_code=header["pharmacy_code"],
        document_code=header["local_invoice_id"],
        replaced=replaced,
        doubtful=doubtful_fields("hoa_don_chi_tiet", sale.hoa_don_chi_tiet),
    )


def _without_empty_dosage(lines: Sequence[Row], text: str | None) -> tuple[list[Row], tuple[BrokenRule, ...]]:
    """Return the lines with `text` in place of each empty dosage, and the fields that have it."""
    if text is None:
        return [*lines], ()
    empty = [index for index, line in enumerate(lines) if is_blank(line.get("dosage"))]
    return (
        [{**line, "dosage": text} if index in empty else line for index, line in enumerate(lines)],
        tuple(BrokenRule(f"hoa_don_chi_tiet[{index + 1}].lieu_dung", f"sent_as:{text}") for index in empty),
    )


SALE = DocumentType(
    name="sale",
    table="SalesInvoices",
    document_code_column="local_invoice_id",
    national_id_column="national_invoice_id",
    header_columns=("national_prescription_id", "sale_date", "seller_name", "customer_name"),
    day_column="sale_date",
    lines_table="SalesInvoiceDetails",
    lines_parent_column="sales_invoice_id",
    line_columns=(
        "drug_code",
        "drug_name",
        "lot_number",
        "production_date",
        "expiry_date",
        "unit",
        "concentration",
        "dosage",
        "route_of_administration",
        "registration_number",
        "quantity",
        "unit_price",
        "line_total",
        "conversion_ratio",
    ),
    lines_field="hoa_don_chi_tiet",
    endpoint=Endpoint(
        path="/api/lien_thong/hoa_don",
        document_code_field="ma_hoa_don",
        national_id_field="ma_hoa_don_quoc_gia",
    ),
    make_body=make_body,
    labels=LINE_LABELS
    | PRODUCTION_DAY_LABEL
    | {
        "ma_hoa_don": ("mã hóa đơn", "invoice code"),
        "ma_co_so": ("mã cơ sở", "pharmacy code"),
        "ma_don_thuoc_quoc_gia": ("mã đơn thuốc quốc gia", "national prescription code"),
        "ngay_ban": ("ngày bán", "day of sale"),
        "ho_ten_nguoi_ban": ("họ tên người bán", "seller's name"),
        "ho_ten_khach_hang": ("họ tên khách hàng", "customer's name"),
        "hoa_don_chi_tiet": ("chi tiết hóa đơn", "lines"),
        "ham_luong": ("hàm lượng", "strength"),
        "duong_dung": ("đường dùng", "route"),
        "lieu_dung": ("liều dùng", "dosage"),
        "so_dang_ky": ("số đăng ký", "registration number"),
        "thanh_tien": ("thành tiền", "line total"),
        "ty_le_quy_doi": ("tỷ lệ quy đổi", "conversion ratio"),
    },
    nouns=Nouns("hóa đơn", "sale", "sales"),
    sent_after=("purchase_receipt",),
)
