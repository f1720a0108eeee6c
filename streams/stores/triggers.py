"""The triggers of the point of sale that run when a decision is written into a document's row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.stores.catalogues import Catalogue
from streams.stores.permitted_rows import permitted_rows
from streams.stores.sales_db import SalesDb


@dataclass(frozen=True, slots=True)
class Trigger:
    name: str
    reaches_out: bool
    """Whether it may use another database, in which the worker's login has no rights."""


@dataclass(frozen=True, slots=True)
class Triggers:
    """Those of one table that run when a statement changes several rows of it."""

    visible: Sequence[Trigger] = ()
    hidden: int = 0
    """How many this login cannot see; disabled ones among them count, too."""


async def read_triggers(db: SalesDb, catalogue: Catalogue, table: str) -> Triggers | None:
    """Return the triggers of the table; None: those of this server run for each row, or cannot be asked for. Raises
    `StoreError` if the server cannot be reached.
    """
    if catalogue.triggers is None:
        return None
    visible = await permitted_rows(db, catalogue.triggers.format(table=table))
    hidden = await permitted_rows(db, catalogue.hidden_triggers and catalogue.hidden_triggers.format(table=table))
    if visible is None:
        return None
    found = [Trigger(name, reaches_out=bool(reaches_out)) for name, reaches_out in visible]
    return Triggers(found, int(hidden[0][0] or 0) if hidden else 0)
