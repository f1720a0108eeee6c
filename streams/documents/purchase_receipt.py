"""The purchase receipt (phiếu nhập): drugs that come into a pharmacy's stock.

Sources: as those of `streams.documents.sale`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field

from streams.documents.document import Body, BodyOptions, DocumentType, Endpoint, Row
from streams.documents.drug_line import PRODUCTION_DAY_LABEL, STOCK_COLUMNS, STOCK_LABELS, StockLine, doubtful_fields
from streams.documents.wire_format import (
    Optional500,
    OptionalAmount,
    OptionalPastDay,
    RequiredPastDay,
    Text50,
    one_of,
    serialize,
    validate,
)
from streams.domain.nouns import Nouns


class PurchaseReceiptLine(StockLine):
    ngay_san_xuat: OptionalPastDay = Field(None, validation_alias="production_date")
    don_gia: OptionalAmount = Field(None, validation_alias="unit_price")


class PurchaseReceiptBody(BaseModel):
    ma_phieu: Text50 = Field(validation_alias="local_receipt_id")
    ma_co_so: Text50 = Field(validation_alias="pharmacy_code")
    ngay_nhap: RequiredPastDay = Field(validation_alias="receipt_date")
    # 1 from a supplier, 2 returned by a customer, 3 opening stock
    loai_phieu_nhap: Annotated[int, one_of(1, 2, 3)] = Field(validation_alias="receipt_type")
    ghi_chu: Optional500 = Field(None, validation_alias="notes")
    ten_co_so_cung_cap: Optional500 = Field(None, validation_alias="supplier_name")
    chi_tiet: list[PurchaseReceiptLine] = Field(min_length=1)


def make_body(header: Row, lines: Sequence[Row], today: date, options: BodyOptions) -> Body:
    """Turn a receipt into its body. Raises `BrokenRules`. `today`: the pharmacy's local date."""
    receipt = validate(PurchaseReceiptBody, {**header, "chi_tiet": [*lines]}, today, options)
    return Body(
        serialize(receipt),
        facility_code=header["pharmacy_code"],
        document_code=header["local_receipt_id"],
        doubtful=doubtful_fields("chi_tiet", receipt.chi_tiet),
    )


PURCHASE_RECEIPT = DocumentType(
    name="purchase_receipt",
    table="PurchaseReceipts",
    document_code_column="local_receipt_id",
    national_id_column="national_receipt_id",
    header_columns=("receipt_date", "receipt_type", "supplier_name", "notes"),
    day_column="receipt_date",
    lines_table="PurchaseReceiptDetails",
    lines_parent_column="purchase_receipt_id",
    line_columns=(*STOCK_COLUMNS, "production_date", "unit_price"),
    lines_field="chi_tiet",
    endpoint=Endpoint(
        path="/api/lien_thong/phieu_nhap",
        document_code_field="ma_phieu",
        national_id_field="ma_phieu_nhap_quoc_gia",
        bare_id=True,
        look_up_is_known=False,
    ),
    make_body=make_body,
    labels=STOCK_LABELS
    | PRODUCTION_DAY_LABEL
    | {
        "ngay_nhap": ("ngày nhập", "day of receipt"),
        "loai_phieu_nhap": ("loại phiếu nhập", "type of receipt"),
        "ten_co_so_cung_cap": ("tên cơ sở cung cấp", "supplier's name"),
    },
    nouns=Nouns("phiếu nhập", "purchase receipt", "purchase receipts"),
    column_labels={
        "receipt_date": ("Ngày nhập", "Date of receipt"),
        "receipt_type": ("Loại phiếu nhập", "Type"),
        "supplier_name": ("Cơ sở cung cấp", "Supplier"),
        "notes": ("Ghi chú", "Notes"),
    },
)
