"""The shops: the figures of each, when its latest sale was accepted, and what is wrong with its log-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.domain.local_time import day_bounds, local_date, read_timestamp
from streams.domain.reasons import Code
from streams.operators.desk.search import containing
from streams.stores.sales_db import SalesDb, Transaction


@dataclass(frozen=True, slots=True)
class Shop:
    code: str
    """`shop_pharmacy_code`."""
    name: str | None
    sent_today: int
    failed: int
    """Failed sales of any day."""
    waiting: int
    """Pending sales of any day."""
    last_success: datetime | None
    """Local time without a zone. None: none of its sales has the status `SYNC_SUCCESS`."""
    problem: Code | None
    """What is wrong with its log-in: one of `ACCOUNT_PROBLEMS`."""


@dataclass(frozen=True, slots=True)
class ShopPage:
    shops: Sequence[Shop]
    next: str | None
    """The cursor of the next page; None: this is the last page."""


class Shops:
    def __init__(self, db: SalesDb, document_type: DocumentType, zone: ZoneInfo) -> None:
        self._db = db
        self._document_type = document_type
        self._zone = zone

    async def page(self, *, search: str = "", after: str = "", most: int = 50) -> ShopPage:
        """Return a page of shops, ordered by code: those with a row in `AccountShop`, and those without a row that have
        pending or failed sales.

        `search` is a part of the code or the name; `after` is the `next` of the previous page. Raises `StoreError`.
        """
        day = day_bounds(local_date(await self._db.now_ms(), self._zone))
        condition, patterns = "", list[Any]()
        if search.strip():
            pattern = containing(search)
            condition, patterns = _CONTAINS, [pattern, pattern]
        sql = _SHOPS.format(table=self._document_type.table, condition=condition)
        parameters = [*day, self._document_type.name, Code.LOGIN_REFUSED.value, after, *patterns]

        def query(tx: Transaction) -> list[Shop]:
            rows = tx.rows(tx.dialect.first(sql, most + 1), parameters)
            return [_shop(*row) for row in rows]

        shops = await self._db.transaction(query)
        return ShopPage(shops[:most], shops[most - 1].code if len(shops) > most else None)


def _shop(
    code: str, name: str | None, active: Any, sent: Any, failed: Any, waiting: Any, last: Any, refused: Any
) -> Shop:
    problem = None
    if int(active) == 0:
        problem = Code.NO_ACCOUNT
    elif int(active) > 1:
        problem = Code.SEVERAL_ACCOUNTS
    elif int(refused):
        problem = Code.LOGIN_REFUSED
    return Shop(code, name, int(sent), int(failed), int(waiting), read_timestamp(last) if last else None, problem)


# name: a page of shops; the server's collation decides which codes are the same shop
_SHOPS = (
    "SELECT q.shop, q.shop_name, q.active, "
    "(SELECT COUNT(*) FROM dbo.{table} d WHERE d.shop_pharmacy_code = q.shop AND d.status = 'SYNC_SUCCESS' "
    "AND d.updated_at >= ? AND d.updated_at < ?) AS sent, "
    "(SELECT COUNT(*) FROM dbo.{table} d WHERE d.shop_pharmacy_code = q.shop AND d.status = 'SYNC_FAILED') AS failed, "
    "(SELECT COUNT(*) FROM dbo.{table} d WHERE d.shop_pharmacy_code = q.shop AND d.status = 'PENDING_SYNC') AS waits, "
    "(SELECT MAX(d.updated_at) FROM dbo.{table} d WHERE d.shop_pharmacy_code = q.shop "
    "AND d.status = 'SYNC_SUCCESS') AS last_success, "
    "(SELECT COUNT(*) FROM dbo.{table} d JOIN dbo.SaleSync s ON s.id = d.id WHERE d.shop_pharmacy_code = q.shop "
    "AND d.status = 'PENDING_SYNC' AND s.document_type = ? AND s.reason_code = ?) AS refused "
    "FROM (SELECT u.shop, MAX(u.shop_name) AS shop_name, SUM(u.active) AS active FROM ("
    "SELECT a.shop_pharmacy_code AS shop, a.shop_name, CASE WHEN a.status = 1 THEN 1 ELSE 0 END AS active "
    "FROM dbo.AccountShop a "
    "UNION ALL SELECT d.shop_pharmacy_code AS shop, NULL AS shop_name, 0 AS active FROM dbo.{table} d "
    "WHERE d.status IN ('PENDING_SYNC', 'SYNC_FAILED')) u GROUP BY u.shop) q "
    "WHERE q.shop > ?{condition} ORDER BY q.shop"
)
_CONTAINS = " AND (LOWER(q.shop) LIKE ? ESCAPE '!' OR LOWER(q.shop_name) LIKE ? ESCAPE '!')"
