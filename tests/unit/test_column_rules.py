"""Tests what `doctor` says of a database whose columns have other types than ours."""

from __future__ import annotations

import re

import pytest

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import DocumentType
from streams.documents.sale import SALE
from streams.operators.checks import Level
from streams.operators.checks.columns import judge_columns
from streams.stores.column_types import Column, ColumnTypes
from tests.support.source_tables import POINT_OF_SALE_TABLES

VARCHAR = Column("varchar", 500, 1252)


@pytest.mark.parametrize(
    ("table", "name", "column", "level", "what", "action"),
    [
        ("SalesInvoices", "id", Column("uniqueidentifier"), Level.ERROR, "a key must be INT or BIGINT", "vendor"),
        ("SalesInvoices", "id", Column("decimal"), Level.ERROR, "a key must be INT or BIGINT", "vendor"),
        ("SalesInvoiceDetails", "sales_invoice_id", Column("varchar", 9, 1252), Level.ERROR, "a key must be", "vendor"),
        ("SalesInvoices", "status", Column("nvarchar", 10), Level.ERROR, "too short for PENDING_SYNC", "at least 12"),
        ("SalesInvoices", "status", Column("nchar", 20), Level.WARNING, "fills with blanks", "NVARCHAR"),
        ("SalesInvoices", "sale_date", Column("datetimeoffset"), Level.ERROR, "no time zone is converted", "vendor"),
        ("SalesInvoices", "sale_date", Column("varchar", 20, 1252), Level.WARNING, "'2026-11-23'", "DATE"),
        ("SalesInvoices", "updated_at", Column("date"), Level.ERROR, "a time must be", "vendor"),
        ("SalesInvoices", "national_invoice_id", Column("nvarchar", 50), Level.WARNING, "is not cut", "100 letters"),
        ("SalesInvoices", "sync_response_message", Column("nvarchar", 255), Level.WARNING, "cut at a word", "(MAX)"),
        (
            "SalesInvoices",
            "sync_response_message",
            Column("varchar", None, 1252),
            Level.WARNING,
            "without their marks",
            "NVARCHAR(MAX)",
        ),
        (
            "SalesInvoiceDetails",
            "drug_name",
            Column("varchar", 500, 1252),
            Level.WARNING,
            "may already have ?",
            "NVARCHAR",
        ),
        ("SalesInvoiceDetails", "drug_name", Column("int"), Level.ERROR, "a text must be NVARCHAR", "vendor"),
        ("SalesInvoiceDetails", "quantity", Column("real"), Level.WARNING, "seven digits", "DECIMAL(18,2)"),
        ("SalesInvoiceDetails", "quantity", Column("bit"), Level.ERROR, "an amount must be", "vendor"),
        ("SalesInvoiceDetails", "quantity", Column("nvarchar", 20), Level.WARNING, "'12.5'", "DECIMAL"),
        ("AccountShop", "account", Column("char", 50, 1252), Level.WARNING, "fills with blanks", "NVARCHAR"),
        ("AccountShop", "status", Column("nvarchar", 10), Level.ERROR, "1 for an active account", "vendor"),
    ],
)
def test_each_column_type_that_hurts_is_named_with_its_action(
    table: str, name: str, column: Column, level: Level, what: str, action: str
) -> None:
    [found] = judge_columns({(table.lower(), name): column}, SALE)
    assert found.level is level
    assert f"dbo.{table}.{name}" in found.about
    assert what in found.what
    assert action in found.action


def test_our_own_tables_with_narrower_ids_than_the_sales_are_named_with_their_scripts() -> None:
    types: ColumnTypes = {
        ("salesinvoices", "id"): Column("bigint"),
        ("salesync", "id"): Column("int"),
        ("saleaction", "id"): Column("int"),
    }
    found = judge_columns(types, SALE)
    assert [each.level for each in found] == [Level.ERROR] * 2
    assert "sale_sync.sql" in found[0].action
    assert "sale_action.sql" in found[1].action
    assert [f.level for f in judge_columns({**types, ("salesinvoices", "id"): Column("int")}, SALE)] == [Level.OK]


def test_columns_with_the_same_loss_are_one_finding() -> None:
    types = {("salesinvoicedetails", name): Column("real") for name in ("quantity", "unit_price", "line_total")}
    types[("salesinvoicedetails", "conversion_ratio")] = Column("real")
    [found] = judge_columns(types, SALE)
    assert found.about.endswith("dbo.SalesInvoiceDetails.line_total and 1 more")


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES, ids=lambda document_type: document_type.name)
def test_the_documented_types_give_no_finding(document_type: DocumentType) -> None:
    """The names of the columns tell what they are used for: a new document type with other names fails here."""
    types = {
        (table.lower(), name): Column(re.split(r"[( ]", declared.lower())[0])
        for table, columns in POINT_OF_SALE_TABLES.items()
        for name, declared in columns.items()
    }
    [found] = judge_columns(types, document_type)
    sent = len(document_type.sent_columns) + len(document_type.line_columns)
    assert (found.level, found.what) == (Level.OK, f"all {sent} that are sent can be read as they are")
