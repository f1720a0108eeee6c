"""Pieces of plain SQL: lists and per-row values as parameters, bounded for SQL Server's 2,100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

MOST_ROWS = 128
"""Rows in one statement: with up to 14 parameters each it stays below SQL Server's limit of 2,100."""


def one_of(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """``IN (...)`` list and its parameters, filled up to a power of two so that few plans serve all sizes."""
    filled = _filled(values)
    return ", ".join("?" * len(filled)), filled


def by_id(
    values: Mapping[int, Any], *, otherwise: str, cast: str | None = None, every: bool = False, id_: str = "id"
) -> tuple[str, list[Any]]:
    """``CASE id WHEN ? THEN ? ... ELSE otherwise END`` and its parameters: another value for each row.

    Filled up as lists are. NULL stands in the text: as a parameter it would be asked about (see `set_to`).
    `every`: the statement is about no other rows, so a value that all of them have in common stands for itself.
    """
    then = f"CAST(? AS {cast})" if cast else "?"
    if every and len(set(values.values())) == 1:
        value = next(iter(values.values()))
        return ("NULL", []) if value is None else (then, [value])
    some = [pair for pair in values.items() if pair[1] is not None]
    # A CASE of nothing but NULLs is an error on SQL Server.
    none = [id_ for id_, value in values.items() if value is None] if otherwise != "NULL" else []
    if not some and not none:
        return otherwise, []
    some = _filled(some)
    none = _filled(none)
    text = (
        f"CASE {id_} " + f"WHEN ? THEN {then} " * len(some) + "WHEN ? THEN NULL " * len(none) + f"ELSE {otherwise} END"
    )
    return text, [part for pair in some for part in pair] + none


def set_to(columns: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """``a = ?, b = NULL`` and its parameters.

    NULL stands in the text. As a parameter it has no type, so pyodbc asks the server for one before each
    statement; where that fails, SQL Server has rolled the transaction back (XACT_ABORT) and nobody is told.
    """
    text = ", ".join(f"{name} = {'NULL' if value is None else '?'}" for name, value in columns.items())
    return text, [value for value in columns.values() if value is not None]


def _filled(items: Sequence[T]) -> list[T]:
    """The last one again and again, up to a power of two."""
    size = 1
    while size < len(items):
        size *= 2
    return [*items, *list(items[-1:]) * (size - len(items))]


def chunks(items: Sequence[Any], size: int = MOST_ROWS) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
