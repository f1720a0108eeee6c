"""Which document types a worker carries: those that DOCUMENTS names; without it the first one, and of the others those
for which the database is complete and the change topic is there."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog

from streams.documents.document import DocumentType
from streams.settings import Settings
from streams.stores.column_rules import column_problems
from streams.stores.column_types import ColumnTypes
from streams.stores.sales_db import SalesDb
from streams.stores.schema import Missing, missing
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

ACTION = "run connectors/sql/30_indexes.sql and 40_worker_login.sql, then `connectors deploy`; restart the workers"
"""What an operator does so that a document type is carried whose tables are there."""


class UnknownDocumentType(ValueError):
    """DOCUMENTS names something that is no document type."""


class IncompleteDatabase(Exception):
    """The database lacks something for a document type that DOCUMENTS names."""


def wanted_types(settings: Settings, document_types: Sequence[DocumentType]) -> list[DocumentType]:
    """Return the document types that may be carried, in their own order. Raises `UnknownDocumentType`."""
    names = settings.documents
    if names is None:
        return list(document_types)
    known = [document_type.name for document_type in document_types]
    if unknown := [name for name in names if name not in known]:
        raise UnknownDocumentType(f"{', '.join(unknown)}: no such document type; there are {', '.join(known)}")
    return [document_type for document_type in document_types if document_type.name in names]


def required_types(settings: Settings, document_types: Sequence[DocumentType]) -> list[DocumentType]:
    """Return those of `wanted_types` that are carried in any case. Raises `UnknownDocumentType`."""
    wanted = wanted_types(settings, document_types)
    return wanted if settings.documents is not None else wanted[:1]


class CarriedTypes:
    """Decides at a worker's start, in two steps: what the database is complete for, and what has its topic."""

    def __init__(self, settings: Settings, document_types: Sequence[DocumentType]) -> None:
        """Raises `UnknownDocumentType`."""
        self._are_named = settings.documents is not None
        self.required = required_types(settings, document_types)
        """Those that are carried in any case."""
        self.all = wanted_types(settings, document_types)
        """Those that have not been left out."""
        self._left_out: dict[str, str] = {}
        self._needs_action = False

    async def check_database(self, db: SalesDb, columns: ColumnTypes) -> None:
        """Leave out what the database is not complete for. `columns`: the types of all columns. Waits for a database
        that is unavailable. Raises `IncompleteDatabase` if the type is named.
        """
        for document_type in list(self.all):
            if document_type in self.required and not self._are_named:
                continue
            found = await until_available(lambda each=document_type: missing(db, each), "look for tables")  # type: ignore[misc]
            if not found.parts and not self._are_named:
                unusable = [each for each in column_problems(columns, document_type) if each.is_unusable]
                found = Missing(tuple(f"{each.column} {each.what}" for each in unusable), is_absent=False)
            if not found.parts:
                continue
            if self._are_named:
                raise IncompleteDatabase(f"{document_type.name}: {'; '.join(found.parts)}")
            self._leave_out(document_type, "its tables are missing" if found.is_absent else "; ".join(found.parts))
            self._needs_action |= not found.is_absent

    def leave_out_without_topics(self, missing_topics: Collection[str], topics: Sequence[str]) -> None:
        """Leave out the types whose change topic is missing. `topics`: those of `all`, in the same order."""
        for document_type, topic in list(zip(self.all, topics, strict=True)):
            if topic in missing_topics and document_type not in self.required:
                self._leave_out(document_type, f"the topic {topic} is missing")
                self._needs_action = True

    def report(self) -> None:
        """Say in one log line what is carried, and what is not and why."""
        names = [document_type.name for document_type in self.all]
        if self._needs_action:
            log.warning("documents.carried", documents=names, left_out=self._left_out, action=ACTION)
        else:
            log.info("documents.carried", documents=names, left_out=self._left_out)

    def _leave_out(self, document_type: DocumentType, why: str) -> None:
        self.all.remove(document_type)
        self._left_out[document_type.name] = why
