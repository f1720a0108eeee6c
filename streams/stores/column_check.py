"""Read the types of the columns when a worker starts, and refuse those with which every document would fail."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from streams.documents.document import DocumentType
from streams.stores.column_rules import ColumnProblem, column_problems
from streams.stores.column_types import ColumnTypes, read_column_types
from streams.stores.sales_db import SalesDb, StoreError
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)


class UnusableColumns(Exception):
    """The sales database has columns of types that cannot be used."""

    def __init__(self, problems: list[ColumnProblem]) -> None:
        super().__init__("; ".join(f"{problem.column} {problem.what}" for problem in problems))
        self.action = " ".join(dict.fromkeys(problem.action for problem in problems))


async def known_column_types(db: SalesDb) -> ColumnTypes:
    """Return the types of all columns; empty if the server does not tell them. Waits for a server that is
    unavailable.
    """
    try:
        return await until_available(lambda: read_column_types(db), "read column types")
    except StoreError as error:
        log.warning("columns.unknown", error=str(error), action="`faust -A streams.app doctor` says what is missing")
        return {}


def require_usable(types: ColumnTypes, document_types: Iterable[DocumentType]) -> None:
    """Log what is lost in the columns of these document types. Raises `UnusableColumns`."""
    problems = [problem for each in document_types for problem in column_problems(types, each)]
    unusable = [problem for problem in problems if problem.is_unusable]
    if unusable:
        raise UnusableColumns(list(dict.fromkeys(unusable)))
    for problem in dict.fromkeys(problems):
        log.warning("columns.lossy", column=problem.column, problem=problem.what, action=problem.action)
