"""Queries that a login may be forbidden to run, or that its server is too old for."""

from __future__ import annotations

from typing import Any

from streams.stores.sales_db import SalesDb, StoreError


async def permitted_rows(db: SalesDb, sql: str | None) -> list[tuple[Any, ...]] | None:
    """Return the rows; None: there is no such query, or this login may not run it. Raises `StoreError` if the server
    cannot be reached.
    """
    if sql is None:
        return None
    try:
        return await db.transaction(lambda tx: tx.rows(sql))
    except StoreError as error:
        if error.state.startswith(("08", "HYT")):
            raise
        return None
