"""Checks of SQL Server's replicas: Always On, and database mirroring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streams.operators.checks import Finding, error, ok, warning
from streams.stores.catalogues import Catalogue
from streams.stores.permitted_rows import permitted_rows
from streams.stores.sales_db import SalesDb

_WORKING_MIRROR = {"SYNCHRONIZED", "SYNCHRONIZING"}


@dataclass(frozen=True, slots=True)
class Availability:
    in_group: bool = False
    """Whether the database belongs to an availability group."""
    replicas_behind: int | None = None
    """How many replicas do not receive the log; None: this login may not see them."""
    mirroring: str | None = None
    """The state of mirroring; None: the database is not mirrored."""


async def probe_availability(db: SalesDb, catalogue: Catalogue) -> Availability:
    """Return what the server tells; an old one has no Always On. Raises `StoreError` if it cannot be reached."""
    in_group = await permitted_rows(db, catalogue.availability_group)
    behind = await permitted_rows(db, catalogue.replicas_behind) if in_group else None
    mirroring = await permitted_rows(db, catalogue.mirroring)
    return Availability(
        in_group=bool(in_group),
        replicas_behind=int(behind[0][0]) if behind else None,
        mirroring=str(mirroring[0][0]) if mirroring else None,
    )


def judge_availability(found: Availability, *, is_read_only: bool, polls: bool) -> Iterator[Finding]:
    """Judge the replicas. `is_read_only`: nothing can be written into the database that answers."""
    if is_read_only:
        yield error(
            "SQL Server: read only",
            "this database is a secondary replica, or was set to read only: no result can be written",
            "Set SALES_DB_SERVER to the listener of the availability group, or to the primary server.",
        )
    if found.in_group:
        about = "SQL Server: Always On"
        if found.replicas_behind:
            waits = "" if polls else "; changes are captured only when every replica has them"
            what = f"{found.replicas_behind} replicas of the availability group do not receive the log{waits}"
            yield warning(about, what, "See the dashboard of the availability group: resume or remove these replicas.")
        else:
            scripts = "40" if polls else "10, 20 and 40"
            yield ok(about, f"belongs to an availability group: run {scripts} of connectors/sql on every replica")
    if found.mirroring is not None:
        about = "SQL Server: mirroring"
        if found.mirroring in _WORKING_MIRROR:
            yield ok(about, f"is {found.mirroring}")
        else:
            what = f"is {found.mirroring}: the transaction log cannot be emptied meanwhile"
            yield warning(about, what, "ALTER DATABASE <name> SET PARTNER RESUME, or end the mirroring (PARTNER OFF).")
