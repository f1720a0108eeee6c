"""The goods issue (phiếu xuất): drugs that leave a pharmacy's stock otherwise than by a sale.

Sources: as those of `streams.documents.sale`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field

from streams.documents.document import Body, BodyOptions, DocumentType, Endpoint, Row
from streams.documents.drug_line import STOCK_COLUMNS, STOCK_LABELS, StockLine, doubtful_fields
from streams.documents.wire_format import (
    Amount,
    EmptyOrText500,
    Optional500,
    RequiredPastDay,
    Text50,
    one_of,
    serialize,
    validate,
)
from streams.domain.nouns import Nouns


class GoodsIssueLine(StockLine):
    don_gia: Amount = Field(validation_alias="unit_price")


class GoodsIssueBody(BaseModel):
    ma_phieu: Text50 = Field(validation_alias="local_slip_id")
    ma_co_so: Text50 = Field(validation_alias="pharmacy_code")
    ngay_xuat: RequiredPastDay = Field(validation_alias="issue_date")
    # 2 back to the supplier, 3 destroyed
    loai_phieu_xuat: Annotated[int, one_of(2, 3)] = Field(validation_alias="issue_type")
    ghi_chu: EmptyOrText500 = Field(validation_alias="notes")
    ten_co_so_nhan: Optional500 = Field(None, validation_alias="recipient_name")
    chi_tiet: list[GoodsIssueLine] = Field(min_length=1)


def make_body(header: Row, lines: Sequence[Row], today: date, options: BodyOptions) -> Body:
    """Turn an issue into its body. Raises `BrokenRules`. `today`: the pharmacy's local date."""
    issue = validate(GoodsIssueBody, {**header, "chi_tiet": [*lines]}, today, options)
    return Body(
        serialize(issue),
        facility_code=header["pharmacy_code"],
        document_code=header["local_slip_id"],
        doubtful=doubtful_fields("chi_tiet", issue.chi_tiet),
    )


GOODS_ISSUE = DocumentType(
    name="goods_issue",
    table="GoodsIssueSlips",
    document_code_column="local_slip_id",
    national_id_column="national_slip_id",
    header_columns=("issue_date", "issue_type", "recipient_name", "notes"),
    day_column="issue_date",
    lines_table="GoodsIssueSlipDetails",
    lines_parent_column="goods_issue_slip_id",
    line_columns=(*STOCK_COLUMNS, "unit_price"),
    lines_field="chi_tiet",
    endpoint=Endpoint(
        path="/api/lien_thong/phieu_xuat",
        document_code_field="ma_phieu",
        national_id_field="ma_phieu_xuat_quoc_gia",
        bare_id=True,
        look_up_is_known=False,
    ),
    make_body=make_body,
    labels=STOCK_LABELS
    | {
        "ngay_xuat": ("ngày xuất", "day of issue"),
        "loai_phieu_xuat": ("loại phiếu xuất", "type of issue"),
        "ten_co_so_nhan": ("tên cơ sở nhận", "recipient's name"),
    },
    nouns=Nouns("phiếu xuất", "goods issue", "goods issues"),
    column_labels={
        "issue_date": ("Ngày xuất", "Date of issue"),
        "issue_type": ("Loại phiếu xuất", "Type"),
        "recipient_name": ("Cơ sở nhận", "Recipient"),
        "notes": ("Ghi chú", "Notes"),
    },
    sent_after=("purchase_receipt", "sale"),
)
