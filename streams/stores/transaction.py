"""The statements of one transaction of the sales database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streams.stores.dialects import Dialect
from streams.stores.sql_fragments import MAX_ROWS
from streams.stores.store_errors import StoreError, UnreadableRow


class Transaction:
    """Runs the statements of one transaction, which as a whole runs in one of the database's threads."""

    def __init__(
        self, cursor: Any, dialect: Dialect, *, digests: bool = False, rows_per_update: int = MAX_ROWS
    ) -> None:
        """`rows_per_update`: how many rows of a point of sale's table one statement may change. A trigger there may
        have been written for one row at a time.
        """
        self._cursor = cursor
        self.rows_per_update = rows_per_update
        self.dialect = dialect
        self.digest = dialect.digest if digests else None

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query; return its rows as tuples. Raises `UnreadableRow` for values that Python cannot represent."""
        self._run(sql, parameters)
        return [tuple(row) for row in self._fetched()]

    def dicts(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run a query; return its rows as dicts. Column names are in lower case, as servers differ in their case."""
        self._run(sql, parameters)
        names = [column[0].lower() for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self._fetched()]

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement without a result. There is no row count, as drivers differ in what they count."""
        self._run(sql, parameters)
        # The output of a trigger, and with it its error, may come after other results.
        while self._cursor.nextset():
            pass

    def _run(self, sql: str, parameters: Sequence[Any]) -> None:
        if self.dialect.declare is not None:
            self._cursor.setinputsizes([self.dialect.declare(value) for value in parameters])
        try:
            self._cursor.execute(sql, *parameters)
        except SystemError:  # the driver cannot decode the text of an error, so it cannot raise the error
            raise StoreError("HY000", None) from None

    def _fetched(self) -> Sequence[Any]:
        try:
            rows: Sequence[Any] = self._cursor.fetchall()
            return rows
        except UnicodeDecodeError:
            raise
        except (ValueError, ArithmeticError, SystemError):  # a date or number that Python cannot represent
            raise UnreadableRow("22000", None) from None
