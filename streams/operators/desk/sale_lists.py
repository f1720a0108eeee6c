"""Lists of the failed, the pending or the changed sales, newest first and page by page, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streams.documents.document import DocumentType
from streams.domain.local_time import read_timestamp
from streams.domain.stored_particulars import Particulars, read_particulars
from streams.operators.desk.figures import waiting_reason
from streams.operators.desk.search import DocumentState, Search, conditions
from streams.stores.sales_db import SalesDb, Transaction


@dataclass(frozen=True, slots=True)
class Sale:
    """A row of a list, without personal data: that is shown by `SaleCard` only."""

    id: int
    document_code: str
    pharmacy_code: str
    shop: str
    national_id: str | None
    """For a failed sale: the national system has stored an older version under this id."""
    updated_at: datetime
    """Local time without a zone."""
    reason: str | None
    """A `Code`. None: there has been no attempt since the sale was sold or requested again."""
    attempt: int
    """The number of the latest attempt; 0: there was none."""
    next_attempt_at: int | None
    """UTC milliseconds."""
    changed_at: int | None = None
    """When it was noticed that an accepted sale was changed, UTC milliseconds."""
    particulars: Particulars = field(default_factory=Particulars)
    """What is named in addition to `reason`: the broken rules, or the HTTP status of an answer."""


@dataclass(frozen=True, slots=True)
class SalePage:
    sales: Sequence[Sale]
    next: str | None
    """The cursor of the next page; None: this is the last page."""


@dataclass(frozen=True, slots=True)
class IdPage:
    ids: Sequence[int]
    next: str | None
    """The cursor of the next page; None: this is the last page."""


class Sales:
    def __init__(self, db: SalesDb, document_type: DocumentType) -> None:
        self._db = db
        self._document_type = document_type

    async def page(
        self, status: DocumentState, search: Search | None = None, *, after: str | None = None, most: int = 50
    ) -> SalePage:
        """Return a page of up to `most` sales, newest first, beginning after the cursor `after`.

        Raises `ValueError` if `after` is not the `next` of a page, and `StoreError`.
        """
        where, parameters = conditions(self._document_type, status, search or Search())
        if after is not None:
            moment, id_ = _read_cursor(after)
            where += _OLDER_THAN_CURSOR
            parameters += [moment, moment, id_]
        sql = _PAGE.format(where=where, **_names(self._document_type))

        def query(tx: Transaction) -> list[Sale]:
            return [
                _sale(self._document_type, *row)
                for row in tx.rows(tx.dialect.first(sql, most + 1), [self._document_type.name, *parameters])
            ]

        sales = await self._db.transaction(query)
        return SalePage(
            sales[:most], _cursor(sales[most - 1].updated_at, sales[most - 1].id) if len(sales) > most else None
        )

    async def count(self, status: DocumentState, search: Search | None = None) -> dict[str | None, int]:
        """Return the number of sales by reason code. Raises `StoreError`."""
        where, parameters = conditions(self._document_type, status, search or Search())
        states = _CHANGED if status == "CHANGED" else _WITH_REASON
        sql = _COUNT.format(table=self._document_type.table, where=where, states=states)

        def query(tx: Transaction) -> dict[str | None, int]:
            return {code: int(count) for code, count in tx.rows(sql, [self._document_type.name, *parameters])}

        return await self._db.transaction(query)

    async def ids(self, status: DocumentState, search: Search, *, most: int, after: str | None = None) -> IdPage:
        """Return the ids of the oldest `most` sales, oldest first, beginning after the cursor `after`.

        Raises `ValueError` if `after` is not the `next` of a page, and `StoreError`.
        """
        where, parameters = conditions(self._document_type, status, search)
        if after is not None:
            moment, id_ = _read_cursor(after)
            where += _NEWER_THAN_CURSOR
            parameters += [moment, moment, id_]
        sql = _IDS.format(table=self._document_type.table, where=where)

        def query(tx: Transaction) -> list[tuple[Any, ...]]:
            return tx.rows(tx.dialect.first(sql, most + 1), [self._document_type.name, *parameters])

        rows = await self._db.transaction(query)
        last = None
        if len(rows) > most:
            last_id, changed = rows[most - 1]
            last = _cursor(read_timestamp(changed), last_id)
        return IdPage([int(id_) for id_, _ in rows[:most]], last)


def _sale(document_type: DocumentType, pending: Any, reason: str | None, updated_at: Any, *rest: Any) -> Sale:
    attempt, id_, document_code, pharmacy_code, shop, national_id, next_attempt_at, changed_at, message = rest
    changed = read_timestamp(updated_at)
    code = waiting_reason(reason) if int(pending) else reason
    named = read_particulars(message, code, document_type.lines_field)
    codes = id_, document_code, pharmacy_code, shop, national_id
    return Sale(*codes, changed, code, attempt or 0, next_attempt_at, changed_at, named)


def _cursor(changed: datetime, id_: int) -> str:
    return f"{changed.isoformat()}~{id_}"


def _read_cursor(text: str) -> tuple[datetime, int]:
    moment, _, id_ = text.partition("~")
    try:
        return datetime.fromisoformat(moment).replace(tzinfo=None), int(id_)
    except ValueError:
        raise ValueError("after: not a position in a list; use the `next` of the previous page") from None


def _names(document_type: DocumentType) -> Mapping[str, str]:
    return {
        "table": document_type.table,
        "code": document_type.document_code_column,
        "national_id": document_type.national_id_column,
    }


# name: a page of the failed, the pending or the changed sales; a message starts with our own text
_PAGE = (
    "SELECT CASE WHEN d.status = 'PENDING_SYNC' THEN 1 ELSE 0 END AS pending, s.reason_code, d.updated_at, s.attempt, "
    "d.id, d.{code}, d.pharmacy_code, d.shop_pharmacy_code, d.{national_id}, s.next_attempt_at, s.changed_at, "
    "SUBSTRING(d.sync_response_message, 1, 4000) AS named "
    "FROM dbo.{table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id "
    "WHERE {where} ORDER BY d.updated_at DESC, d.id DESC"
)
_OLDER_THAN_CURSOR = " AND d.updated_at <= ? AND (d.updated_at < ? OR d.id < ?)"
# name: how many there are, by reason; of all of dbo.SaleSync few rows have one
_COUNT = (
    "SELECT s.reason_code, COUNT(*) FROM dbo.{table} d LEFT JOIN ({states}) s ON s.id = d.id "
    "WHERE {where} GROUP BY s.reason_code"
)
_WITH_REASON = "SELECT id, reason_code FROM dbo.SaleSync WHERE document_type = ? AND reason_code > ''"
_CHANGED = "SELECT id, reason_code, changed_at FROM dbo.SaleSync WHERE document_type = ? AND changed_at > 0"
# name: their ids
_IDS = (
    "SELECT d.id, d.updated_at FROM dbo.{table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id "
    "WHERE {where} ORDER BY d.updated_at, d.id"
)
_NEWER_THAN_CURSOR = " AND d.updated_at >= ? AND (d.updated_at > ? OR d.id > ?)"
