"""What the peers other than the worker read from and write to the sales database: one sale and one decision at a
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from streams.documents.document import Row
from streams.documents.sale import SALE

HEADER = (
    f"SELECT id, {SALE.document_code_column}, pharmacy_code, shop_pharmacy_code, {', '.join(SALE.header_columns)} "  # noqa: S608
    f"FROM dbo.{SALE.table} WHERE id = ? AND status = 'PENDING_SYNC'"
)
LINES = (
    f"SELECT {', '.join(SALE.line_columns)} FROM dbo.{SALE.lines_table} "  # noqa: S608
    f"WHERE {SALE.lines_parent_column} = ? ORDER BY id"
)
ACCOUNT = "SELECT account, password FROM dbo.AccountShop WHERE shop_pharmacy_code = ? AND status = 1"
WRITE_END = (
    f"UPDATE dbo.{SALE.table} SET status = ?, {SALE.national_id_column} = ?, sync_response_message = ?, "  # noqa: S608
    "updated_at = ? WHERE id = ?"
)


def rows(cursor: Any, fetched: Sequence[Sequence[Any]]) -> list[Row]:
    """By column name, as `SALE.transform` takes them."""
    names = [column[0].lower() for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in fetched]


def headers(token: str) -> dict[str, str]:
    """Of a POST."""
    return {"content-type": "application/json; charset=utf-8", "authorization": f"bearer {token}"}


def end(id_: int, answer: httpx.Response, now: datetime) -> tuple[str, tuple[object, ...]]:
    """Return the status that an answer means if it is believed, and the parameters of `WRITE_END`."""
    status = "SYNC_SUCCESS" if answer.is_success else "SYNC_FAILED"
    said = answer.json() if answer.is_success else {}
    national_id = said.get(SALE.endpoint.national_id_field) or said.get(SALE.endpoint.document_code_field)
    return status, (status, national_id, answer.text[:500], now, id_)
