"""Isolate the items of a batch that raise errors, of whatever class, by bisection; the other items are processed."""

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
    """Takes the place of a result: the error that this item raises by itself."""

    error: Exception


async def bisect_failures(
    work: Callable[[Sequence[K]], Awaitable[Sequence[V | Failed]]],
    items: Sequence[K],
    unavailable: type[Exception] | tuple[type[Exception], ...] = (),
) -> list[V | Failed]:
    """Process a batch at once; if that raises an error, bisect until only the items that raise one by themselves fail.

    Errors of a database that is unavailable, and those of the classes `unavailable`, are raised: no item causes them.
    """
    try:
        return list(await work(items))
    except Exception as error:
        if is_unavailable(error) or isinstance(error, unavailable):
            raise
        if len(items) == 1:
            return [Failed(error)]
    middle = len(items) // 2
    return [
        *await bisect_failures(work, items[:middle], unavailable),
        *await bisect_failures(work, items[middle:], unavailable),
    ]


async def run_isolated(
    work: Callable[[Sequence[K]], Awaitable[Sequence[V]]], items: Sequence[K], what: str, *, locked: V, no_item: K
) -> Sequence[V | Failed]:
    """Process a batch in one statement; wait for a database that is unavailable.

    On a lock timeout each item is processed by itself, and `locked` is the result of those whose rows are locked: a
    point of sale that keeps a transaction open delays its own rows, not the others of the batch. Any other error is
    isolated by bisection.

    `no_item`: an item without a row. An error that it raises too (a missing right or table) is no item's fault, and is
    raised.
    """

    async def wait_for_database(part: Sequence[K]) -> Sequence[V | Failed]:
        try:
            return await until_available(lambda: work(part), what, locked_for=0)
        except StoreUnavailable as error:
            if not error.is_lock:
                raise
            if len(part) == 1:
                log.warning("sales_database.locked", doing=what, row=part[0], error=str(error))
                return [locked]
        separate = await asyncio.gather(*(bisect_failures(wait_for_database, [item]) for item in part))
        return [result for [result] in separate]

    try:
        return await wait_for_database(items)
    except Exception as error:
        log.warning("sales_database.one_by_one", doing=what, items=len(items), error=class_and_state(error))
    await wait_for_database([no_item])
    return await bisect_failures(wait_for_database, items)


def is_unavailable(error: BaseException) -> bool:
    """Whether the database answers no statement at all, unlike with a lock timeout or a statement timeout."""
    return isinstance(error, StoreUnavailable) and not (error.is_lock or error.is_time_out)


def class_and_state(error: BaseException) -> str:
    """Describe an error for the log: of foreign errors only the class, as their texts may quote a value."""
    return str(error) if isinstance(error, StoreError) else type(error).__name__
