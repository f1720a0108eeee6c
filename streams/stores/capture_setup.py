"""How SQL Server's change data capture is set up, as far as the login may see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.stores.catalogues import Catalogue
from streams.stores.permitted_rows import permitted_rows
from streams.stores.sales_db import SalesDb


@dataclass(frozen=True, slots=True)
class CapturedColumn:
    """A column of a capture instance."""

    instance: str
    table: str | None
    """The table that it captures, by its present name; None: there is no such table any more."""
    column: str
    is_ours: bool
    """Whether connectors/sql/10_capture_on.sql made the instance."""
    is_outdated: bool
    """Whether the table's column is missing, or of another type or length."""


@dataclass(frozen=True, slots=True)
class Capture:
    """The state of change data capture for one table; None in a field: this login may not see it."""

    database: bool | None
    """Whether it is on in the database."""
    snapshots: bool | None
    """Whether snapshot isolation is allowed in the database."""
    table: bool | None
    """Whether it captures the document type's table."""
    job: bool | None
    """Whether its capture job runs; False also if there is none."""
    kept_days: float | None
    """How long changes are kept, in days."""
    columns: Sequence[CapturedColumn] | None = None
    """Of all capture instances."""


async def read_capture(db: SalesDb, catalogue: Catalogue, table: str) -> Capture | None:
    """Return the state of change data capture; None: the server is not SQL Server. Raises `StoreError`."""
    if catalogue.captures_database is None:
        return None
    database = await permitted_rows(db, catalogue.captures_database)
    tracked = await permitted_rows(db, (catalogue.captures_table or "").format(table=table))
    job = await permitted_rows(db, catalogue.capture_job)
    kept = await permitted_rows(db, catalogue.kept_minutes)
    columns = await permitted_rows(db, catalogue.captured_columns)
    return Capture(
        database=None if database is None else bool(database and database[0][0]),
        snapshots=None if database is None else bool(database and database[0][1] == 1),
        table=None if tracked is None else bool(tracked and tracked[0][0]),
        job=None if job is None else bool(job and job[0][0]),
        kept_days=kept[0][0] / 1440 if kept else None,
        columns=None if columns is None else [_captured_column(*row) for row in columns],
    )


def _captured_column(instance: str, table: str | None, column: str, is_ours: int, is_outdated: int) -> CapturedColumn:
    return CapturedColumn(instance, table, column, is_ours=bool(is_ours), is_outdated=bool(is_outdated))
