"""Checks the types of the point of sale's columns: those that cannot be used, and those that lose something."""

from __future__ import annotations

from streams.documents.document import DocumentType
from streams.operators.checks import Finding, error, ok, warning
from streams.stores.column_rules import column_problems, digested_columns
from streams.stores.column_types import ColumnTypes, column_of, read_column_types
from streams.stores.sales_db import SalesDb

_ABOUT = "sales database: column types"


async def probe_columns(db: SalesDb) -> ColumnTypes:
    """Return the types of all columns. Raises `StoreError`."""
    return await read_column_types(db)


def judge_columns(types: ColumnTypes, document_type: DocumentType) -> list[Finding]:
    problems = column_problems(types, document_type)
    findings = [
        (error if problem.is_unusable else warning)(f"{_ABOUT}: {problem.column}", problem.what, problem.action)
        for problem in problems
    ]
    if findings:
        return findings
    known = sum(column_of(types, *names) is not None for names in digested_columns(document_type))
    return [ok(_ABOUT, f"all {known} that are sent can be read as they are")]
