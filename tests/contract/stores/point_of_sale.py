"""What a point of sale, an operator and a test do with the tables, in SQL that runs on every server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from streams.documents import SALE
from streams.documents.document import DocumentType
from streams.domain.document_status import Status
from streams.domain.outcome import Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import SaleStatus, Version, event_id, status_reason, utc_from_ms
from streams.domain.status_message import StatusMessage
from streams.stores.sales_db import SalesDb, Transaction

SOLD = datetime(2026, 11, 23, 8, 0, 0)  # noqa: DTZ001 - the local time at the point of sale
_CODES = ("pharmacy_code", "shop_pharmacy_code")
_STATUS = ("status", "created_at", "updated_at")
_LINE = ("drug_code", "drug_name", "lot_number", "expiry_date", "quantity", "unit_price")


_OF_HEADER: dict[str, dict[str, Any]] = {
    "sale": {"sale_date": SOLD, "customer_name": "Nguyễn Thị Ánh"},
    "purchase_receipt": {"receipt_date": SOLD, "receipt_type": 1, "supplier_name": "Công ty Dược Đỏ"},
    "goods_issue": {"issue_date": SOLD, "issue_type": 3, "notes": ""},
}
_OF_LINE: dict[str, dict[str, Any]] = {
    "sale": {"unit": "Hộp", "concentration": "500mg", "dosage": "1 viên", "line_total": "3", "conversion_ratio": "1"},
    "purchase_receipt": {"unit": "Viên", "registration_number": "VD-1"},
    "goods_issue": {"unit": "Viên", "registration_number": "VD-1"},
}


class PointOfSale:
    def __init__(self, db: SalesDb, document_type: DocumentType = SALE) -> None:
        """`document_type`: of the documents that it writes and reads."""
        self.db = db
        self.document_type = document_type

    async def sell(self, *ids: int, shop: str = "SHOP-1", status: str = "PENDING_SYNC") -> None:
        """Add documents without lines; their own code is ``HD-<id>``."""
        document_type = self.document_type
        own = _OF_HEADER[document_type.name]
        columns = ("id", document_type.document_code_column, *_CODES, *own, *_STATUS)
        headers = [(i, f"HD-{i}", "79-1", shop, *own.values(), status, SOLD, SOLD) for i in ids]
        await self._insert(document_type.table, columns, headers)

    async def add_lines(self, id_: int, *drugs: str) -> None:
        day = date(2028, 1, 31)
        own = _OF_LINE[self.document_type.name]
        columns = (self.document_type.lines_parent_column, *_LINE, *own)
        lines = [(id_, drug, "Thuốc Đỏ", "LO1", day, "1.50", "2", *own.values()) for drug in drugs]
        await self._insert(self.document_type.lines_table, columns, lines)

    async def open_account(self, shop: str, name: str | None, password: str | None, *, status: int = 1) -> None:
        columns = ("shop_pharmacy_code", "pharmacy_code", "account", "password", "status")
        await self._insert("AccountShop", columns, [(shop, "79-1", name, password, status)])

    async def set_status(self, id_: int, status: str) -> None:
        await self.run(f"UPDATE dbo.{self.document_type.table} SET status = ? WHERE id = ?", status, id_)  # noqa: S608

    async def sync(self, id_: int, **columns: Any) -> None:
        """Write the row of `dbo.SaleSync` with these columns."""
        await self.syncs([id_], **columns)

    async def syncs(self, ids: Iterable[int], **columns: Any) -> None:
        rows = [(self.document_type.name, i, *columns.values()) for i in ids]
        await self._insert("SaleSync", ("document_type", "id", *columns), rows)

    async def run(self, sql: str, *parameters: Any) -> None:
        def work(tx: Transaction) -> None:
            tx.execute(sql, parameters)

        await self.db.transaction(work)

    async def row(self, id_: int) -> dict[str, Any]:
        """Return the document as the point of sale sees it."""
        return (await self.rows(f"SELECT * FROM dbo.{self.document_type.table} WHERE id = ?", id_))[0]  # noqa: S608

    async def state(self, id_: int) -> dict[str, Any]:
        """Return the document's row of `dbo.SaleSync`, empty where there is none."""
        query = "SELECT * FROM dbo.SaleSync WHERE document_type = ? AND id = ?"
        rows = await self.rows(query, self.document_type.name, id_)
        return rows[0] if rows else {}

    async def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        def work(tx: Transaction) -> list[dict[str, Any]]:
            return tx.dicts(sql, parameters)

        return await self.db.transaction(work)

    async def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        def work(tx: Transaction) -> None:
            for start in range(0, len(rows), 200):
                part = rows[start : start + 200]
                values = ", ".join([f"({', '.join('?' * len(columns))})"] * len(part))
                sql = f"INSERT INTO dbo.{table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608
                tx.execute(sql, [value for row in part for value in row])

        await self.db.transaction(work)


def decided(
    id_: int,
    attempt: int,
    status: Status,
    *,
    code: Code | None = None,
    national_id: str | None = None,
    next_at: int | None = None,
    body_hash: str | None = None,
    rows: str | None = None,
    document_type: str = "sale",
) -> StatusMessage:
    """Build a decision as it is read from `sale-status`; `next_at` is in UTC milliseconds."""
    message = SaleStatus(
        event_id=event_id(document_type, "chain", id_, attempt, status),
        document=document_type,
        source_database="chain",
        id=id_,
        attempt=attempt,
        local_invoice_id=f"HD-{id_}",
        pharmacy_code="79-1",
        shop_pharmacy_code="SHOP-1",
        status=status,
        national_invoice_id=national_id,
        reason=status_reason(Reason(code)) if code else None,
        next_attempt_at=utc_from_ms(next_at) if next_at is not None else None,
        captured_at=utc_from_ms(1_800_000_000_000),
        decided_at=utc_from_ms(1_800_000_001_234),
    )
    return StatusMessage(message, Version(body_hash, rows) if body_hash else None)


def accepted(
    id_: int, attempt: int, national_id: str | None = "QG-1", body_hash: str | None = None, rows: str | None = None
) -> StatusMessage:
    return decided(id_, attempt, "SYNC_SUCCESS", national_id=national_id, body_hash=body_hash, rows=rows)


def refused(id_: int, attempt: int, code: Code = Code.API_REFUSED) -> StatusMessage:
    return decided(id_, attempt, "SYNC_FAILED", code=code)


def pending(id_: int, attempt: int, next_at: int, code: Code = Code.UNREACHABLE) -> StatusMessage:
    return decided(id_, attempt, "PENDING_SYNC", code=code, next_at=next_at)


def withdrawn(id_: int, attempt: int) -> StatusMessage:
    return decided(id_, attempt, "CANCELLED")


def not_withdrawn(id_: int, attempt: int, code: Code = Code.API_REFUSED) -> StatusMessage:
    return decided(id_, attempt, "CANCEL_FAILED", code=code, national_id="QG-1")


def withdrawal_pending(id_: int, attempt: int, next_at: int, code: Code = Code.UNREACHABLE) -> StatusMessage:
    return decided(id_, attempt, "PENDING_CANCEL", code=code, next_at=next_at)
