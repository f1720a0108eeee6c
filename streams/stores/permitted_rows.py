"""Queries that a login may be forbidden to run, or that its server is too old for."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from streams.stores.sales_db import SalesDb, StoreError

T = TypeVar("T")


async def permitted_rows(db: SalesDb, sql: str | None) -> list[tuple[Any, ...]] | None:
    """Return the rows; None: there is no such query, or this login may not run it. Raises `StoreError` if the server
    cannot be reached.
    """
    return None if sql is None else await if_permitted(db.transaction(lambda tx: tx.rows(sql)))


async def if_permitted(query: Awaitable[T]) -> T | None:
    """Return what `query` returns; None: this login may not run it. Raises `StoreError` if the server cannot be
    reached.
    """
    try:
        return await query
    except StoreError as error:
        if error.is_of_connection:
            raise
        return None
