"""A made-up document type, in one file as every type is: drugs that one shop gives to another for a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pydantic import BaseModel, Field

from streams.documents.document import Body, BodyOptions, DocumentType, Endpoint, Row
from streams.documents.wire_format import Amount, RequiredPastDay, Text50, serialize, validate
from streams.domain.nouns import Nouns


class LoanLine(BaseModel):
    ma_thuoc: Text50 = Field(validation_alias="drug_code")
    so_luong: Amount = Field(validation_alias="quantity")


class LoanBody(BaseModel):
    ma_phieu_muon: Text50 = Field(validation_alias="local_loan_id")
    ma_co_so: Text50 = Field(validation_alias="pharmacy_code")
    ngay_muon: RequiredPastDay = Field(validation_alias="loan_date")
    chi_tiet: list[LoanLine] = Field(min_length=1)


def make_body(header: Row, lines: Sequence[Row], today: date, options: BodyOptions) -> Body:
    loan = validate(LoanBody, {**header, "chi_tiet": [dict(line) for line in lines]}, today, options)
    return Body(serialize(loan), facility_code=header["pharmacy_code"], document_code=header["local_loan_id"])


LOAN_SLIP = DocumentType(
    name="loan_slip",
    table="LoanSlips",
    document_code_column="local_loan_id",
    national_id_column="national_loan_id",
    header_columns=("loan_date",),
    day_column="loan_date",
    lines_table="LoanSlipDetails",
    lines_parent_column="loan_slip_id",
    line_columns=("drug_code", "quantity"),
    lines_field="chi_tiet",
    endpoint=Endpoint("/api/lien_thong/phieu_muon", "ma_phieu_muon", "ma_phieu_muon_quoc_gia"),
    make_body=make_body,
    labels={
        "ma_phieu_muon": ("mã phiếu mượn", "loan code"),
        "ma_co_so": ("mã cơ sở", "pharmacy code"),
        "ngay_muon": ("ngày mượn", "day of loan"),
        "chi_tiet": ("chi tiết", "lines"),
        "ma_thuoc": ("mã thuốc", "drug code"),
        "so_luong": ("số lượng", "quantity"),
    },
    nouns=Nouns("phiếu mượn", "loan", "loans"),
)

TABLES = (
    """CREATE TABLE LoanSlips (id INTEGER PRIMARY KEY, local_loan_id NVARCHAR(50) NOT NULL,
    national_loan_id NVARCHAR(100), pharmacy_code NVARCHAR(50) NOT NULL,
    shop_pharmacy_code NVARCHAR(50) NOT NULL, loan_date DATETIME NOT NULL,
    status NVARCHAR(20) NOT NULL, sync_response_message TEXT, created_at DATETIME2(3), updated_at DATETIME2(3))""",
    """CREATE TABLE LoanSlipDetails (id INTEGER PRIMARY KEY, loan_slip_id INT NOT NULL, drug_code NVARCHAR(50),
    quantity DECIMAL(18,2))""",
)
