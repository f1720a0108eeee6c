"""Pieces of plain SQL: lists and per-row values as parameters, bounded for SQL Server's 2,100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_ROWS = 128
"""Rows in one statement: with up to 14 parameters each it stays below SQL Server's limit of 2,100."""


def one_of(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """``IN (...)`` list and its parameters, filled up to a power of two so that few plans serve all sizes."""
    size = 1
    while size < len(values):
        size *= 2
    padded = [*values, *([values[-1]] * (size - len(values)))]
    return ", ".join("?" * size), padded


def by_id(values: Mapping[int, Any], *, otherwise: str, cast: str | None = None) -> tuple[str, list[Any]]:
    """``CASE id WHEN ? THEN ? ... ELSE otherwise END`` and its parameters: another value for each row."""
    if not values:
        return otherwise, []
    then = f"CAST(? AS {cast})" if cast else "?"
    parameters = [part for pair in values.items() for part in pair]
    return "CASE id " + f"WHEN ? THEN {then} " * len(values) + f"ELSE {otherwise} END", parameters


def chunks(items: Sequence[Any], size: int = MOST_ROWS) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
