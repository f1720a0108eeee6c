"""Fragments of plain SQL with parameters: lists, and values per row, within SQL Server's limit of 2,100 parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from streams.domain.document_status import FAILED, PENDING, SUCCEEDED, Operation

T = TypeVar("T")

MAX_ROWS = 128
"""The maximum rows in one statement: with up to 15 parameters each, it stays below SQL Server's limit of 2,100."""


def literals(texts: Iterable[str]) -> str:
    """Return the list of an ``IN``, for texts that are constants of this program."""
    return "(" + ", ".join(f"'{text}'" for text in texts) + ")"


PENDING_STATUSES: Final = literals(PENDING.values())
"""The statuses of the rows that have work to be done."""
OPERATION: Final = "CASE d.status " + "".join(f"WHEN '{PENDING[e]}' THEN {e.value} " for e in Operation) + "ELSE -1 END"
"""What the row `d` asks for, as the value of an `Operation`; -1 for nothing. The server's collation decides whether a
status is a pending one.
"""


def statuses_of(operation: Operation) -> str:
    """Return the list of an ``IN`` with the statuses of rows that ask, or asked last, for this operation."""
    return literals((PENDING[operation], SUCCEEDED[operation], FAILED[operation]))


def one_of(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the placeholders of an ``IN (...)`` list and its parameters.

    The list is padded to a power of two, so that a few query plans serve all sizes.
    """
    padded = _padded(values)
    return ", ".join("?" * len(padded)), padded


def by_id(
    values: Mapping[int, Any], *, otherwise: str, cast: str | None = None, every: bool = False, id_: str = "id"
) -> tuple[str, list[Any]]:
    """Return ``CASE id WHEN ? THEN ? ... ELSE otherwise END`` and its parameters: an own value for each row.

    It is padded as `one_of` pads lists. NULL is written into the text: as a parameter, the driver would query its type
    (see `set_to`). `every`: the statement affects no other rows, so a value that they all share is not wrapped in a
    CASE.
    """
    then = f"CAST(? AS {cast})" if cast else "?"
    if every and len(set(values.values())) == 1:
        value = next(iter(values.values()))
        return ("NULL", []) if value is None else (then, [value])
    some = [pair for pair in values.items() if pair[1] is not None]
    # On SQL Server a CASE whose branches are all NULL is an error.
    none = [id_ for id_, value in values.items() if value is None] if otherwise != "NULL" else []
    if not some and not none:
        return otherwise, []
    some = _padded(some)
    none = _padded(none)
    text = (
        f"CASE {id_} " + f"WHEN ? THEN {then} " * len(some) + "WHEN ? THEN NULL " * len(none) + f"ELSE {otherwise} END"
    )
    return text, [part for pair in some for part in pair] + none


def set_to(columns: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return ``a = ?, b = NULL`` for an UPDATE, and its parameters.

    NULL is written into the text. As a parameter it has no type, so pyodbc asks the server for one before each
    statement; if that fails, SQL Server silently rolls the transaction back (XACT_ABORT).
    """
    text = ", ".join(f"{name} = {'NULL' if value is None else '?'}" for name, value in columns.items())
    return text, [value for value in columns.values() if value is not None]


def _padded(items: Sequence[T]) -> list[T]:
    """Pad to a power of two, by repeating the last item."""
    size = 1
    while size < len(items):
        size *= 2
    return [*items, *list(items[-1:]) * (size - len(items))]


def chunks(items: Sequence[Any], size: int = MAX_ROWS) -> list[Sequence[Any]]:
    """Split items into sequences of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]
