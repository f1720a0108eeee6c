"""The sales that failed, and those that wait: newest first, page by page, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streams.documents.document import DocumentType
from streams.domain.local_time import read_moment
from streams.operators.desk.figures import waits_for
from streams.operators.desk.search import DocumentState, Search, conditions
from streams.stores.sales_db import SalesDb, Transaction


@dataclass(frozen=True, slots=True)
class Sale:
    """Names nobody: what was refused stands in `one_sale` alone."""

    id: int
    document_code: str
    pharmacy_code: str
    shop: str
    national_id: str | None
    """Of a failed one: an older version is held."""
    updated_at: datetime
    """Wall clock."""
    reason: str | None
    attempt: int
    """0: nobody ever was at it."""
    next_attempt_at: int | None
    """UTC milliseconds."""


@dataclass(frozen=True, slots=True)
class SalePage:
    sales: Sequence[Sale]
    next: str | None
    """To ask for the next page with; None: there is none."""


@dataclass(frozen=True, slots=True)
class IdPage:
    ids: Sequence[int]
    next: str | None
    """As of a `SalePage`."""


class Sales:
    def __init__(self, db: SalesDb, document_type: DocumentType) -> None:
        self._db = db
        self._document_type = document_type

    async def page(
        self, standing: DocumentState, search: Search | None = None, *, after: str | None = None, most: int = 50
    ) -> SalePage:
        """`after`: the `next` of the page before. Raises `ValueError` where it is none, `StoreError`."""
        where, parameters = conditions(self._document_type, standing, search or Search())
        if after is not None:
            moment, id_ = _read_place(after)
            where += _BEHIND
            parameters += [moment, moment, id_]
        sql = _PAGE.format(where=where, **_names(self._document_type))

        def ask(tx: Transaction) -> list[Sale]:
            limit = tx.dialect.limit.format(n=most + 1)
            return [_sale(*row) for row in tx.rows(f"{sql} {limit}", [self._document_type.name, *parameters])]

        sales = await self._db.transaction(ask)
        return SalePage(
            sales[:most], _place(sales[most - 1].updated_at, sales[most - 1].id) if len(sales) > most else None
        )

    async def count(self, standing: DocumentState, search: Search | None = None) -> dict[str | None, int]:
        """How many there are, by reason. Raises `StoreError`."""
        where, parameters = conditions(self._document_type, standing, search or Search())
        sql = _COUNT.format(table=self._document_type.table, where=where)

        def ask(tx: Transaction) -> dict[str | None, int]:
            return {code: int(count) for code, count in tx.rows(sql, [self._document_type.name, *parameters])}

        return await self._db.transaction(ask)

    async def ids(self, standing: DocumentState, search: Search, *, most: int, after: str | None = None) -> IdPage:
        """The oldest `most`. `after`: the `next` of the page before. Raises `ValueError`, `StoreError`."""
        where, parameters = conditions(self._document_type, standing, search)
        if after is not None:
            moment, id_ = _read_place(after)
            where += _AHEAD
            parameters += [moment, moment, id_]
        sql = _IDS.format(table=self._document_type.table, where=where)

        def ask(tx: Transaction) -> list[tuple[Any, ...]]:
            limit = tx.dialect.limit.format(n=most + 1)
            return tx.rows(f"{sql} {limit}", [self._document_type.name, *parameters])

        rows = await self._db.transaction(ask)
        last = None
        if len(rows) > most:
            last_id, changed = rows[most - 1]
            last = _place(read_moment(changed), last_id)
        return IdPage([int(id_) for id_, _ in rows[:most]], last)


def _sale(pending: Any, reason: str | None, updated_at: Any, attempt: int | None, *rest: Any) -> Sale:
    id_, document_code, pharmacy_code, shop, national_id, next_attempt_at = rest
    changed = read_moment(updated_at)
    code = waits_for(reason) if int(pending) else reason
    return Sale(id_, document_code, pharmacy_code, shop, national_id, changed, code, attempt or 0, next_attempt_at)


def _place(changed: datetime, id_: int) -> str:
    return f"{changed.isoformat()}~{id_}"


def _read_place(text: str) -> tuple[datetime, int]:
    moment, _, id_ = text.partition("~")
    try:
        return datetime.fromisoformat(moment).replace(tzinfo=None), int(id_)
    except ValueError:
        raise ValueError("after: no place in a list: take the `next` of the page before") from None


def _names(document_type: DocumentType) -> Mapping[str, str]:
    return {
        "table": document_type.table,
        "code": document_type.document_code_column,
        "national_id": document_type.national_id_column,
    }


# name: a page of sales that failed or wait
_PAGE = (
    "SELECT CASE WHEN d.status = 'PENDING_SYNC' THEN 1 ELSE 0 END AS pending, s.reason_code, d.updated_at, s.attempt, "
    "d.id, d.{code}, d.pharmacy_code, d.shop_pharmacy_code, d.{national_id}, s.next_attempt_at "
    "FROM dbo.{table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id "
    "WHERE {where} ORDER BY d.updated_at DESC, d.id DESC"
)
_BEHIND = " AND d.updated_at <= ? AND (d.updated_at < ? OR d.id < ?)"
# name: how many of them, by reason; of all of dbo.SaleSync few rows have one
_COUNT = (
    "SELECT s.reason_code, COUNT(*) FROM dbo.{table} d LEFT JOIN (SELECT id, reason_code FROM dbo.SaleSync "
    "WHERE document_type = ? AND reason_code > '') s ON s.id = d.id "
    "WHERE {where} GROUP BY s.reason_code"
)
# name: which of them
_IDS = (
    "SELECT d.id, d.updated_at FROM dbo.{table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id "
    "WHERE {where} ORDER BY d.updated_at, d.id"
)
_AHEAD = " AND d.updated_at >= ? AND (d.updated_at > ? OR d.id > ?)"
