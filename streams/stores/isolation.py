"""Whatever one item raises, of whatever class: found by halving, it stands alone, and the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from streams.runtime.frozen import frozen
from streams.stores.sales_db import StoreError, StoreUnavailable
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")


@frozen
class Failed:
    """In the place of a result: what was raised for this item alone."""

    error: Exception


async def halved(
    work: Callable[[Sequence[K]], Awaitable[Sequence[V | Failed]]],
    items: Sequence[K],
    away: type[Exception] | tuple[type[Exception], ...] = (),
) -> list[V | Failed]:
    """All in one; what that raises is given to the items that raise it also by themselves.

    Raises what says that the database, or whatever is `away`, answers nobody: that is no item's trouble."""
    try:
        return list(await work(items))
    except Exception as error:
        if is_away(error) or isinstance(error, away):
            raise
        if len(items) == 1:
            return [Failed(error)]
    middle = len(items) // 2
    return [*await halved(work, items[:middle], away), *await halved(work, items[middle:], away)]


async def isolated(
    work: Callable[[Sequence[K]], Awaitable[Sequence[V]]], items: Sequence[K], what: str, *, locked: V, nobody: K
) -> Sequence[V | Failed]:
    """All in one statement, and a database that is away is waited for. Where a lock is in the way, each by itself, and
    `locked` in the place of what it is on: a till that keeps a transaction open holds up its own rows, not those that
    were asked for together with them. Any other error is found by halving.

    `nobody`: an item that meets no row. What is raised for it too (a right is missing, or a table) is no item's
    trouble, and is raised.
    """

    async def patient(part: Sequence[K]) -> Sequence[V | Failed]:
        try:
            return await until_available(lambda: work(part), what, through_locks=False)
        except StoreUnavailable as error:
            if not error.is_lock:
                raise
            if len(part) == 1:
                log.warning("sales_database.locked", doing=what, row=part[0], error=str(error))
                return [locked]
        apart = await asyncio.gather(*(halved(patient, [item]) for item in part))
        return [found for [found] in apart]

    try:
        return await patient(items)
    except Exception as error:
        log.warning("sales_database.one_by_one", doing=what, items=len(items), error=class_and_state(error))
    await patient([nobody])
    return await halved(patient, items)


def is_away(error: BaseException) -> bool:
    """Nobody can be answered; not only who meets a lock, or asks for more than can be found in time."""
    return isinstance(error, StoreUnavailable) and not (error.is_lock or error.is_time_out)


def class_and_state(error: BaseException) -> str:
    """For the log: of errors that are not ours the class alone, their texts may quote a value."""
    return str(error) if isinstance(error, StoreError) else type(error).__name__
