"""Rows of a whole receipt and a whole issue."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

STOCK_HEADER: dict[str, Any] = {
    "local_receipt_id": "PN-1",
    "local_slip_id": "PX-1",
    "pharmacy_code": "79-00001",
    "receipt_date": datetime(2026, 11, 23, 8),  # noqa: DTZ001 - the pharmacy's local time
    "issue_date": datetime(2026, 11, 23, 8),  # noqa: DTZ001
    "receipt_type": 1,
    "issue_type": 2,
    "supplier_name": "Công ty Dược Đỏ",
    "recipient_name": "Kho Đỏ",
    "notes": "Đủ hàng",
}
STOCK_LINE: dict[str, Any] = {
    "drug_code": "DQG1",
    "drug_name": "Thuốc Đỏ",
    "lot_number": "L1",
    "production_date": date(2026, 1, 31),
    "expiry_date": date(2028, 1, 31),
    "registration_number": "VD-1",
    "quantity": Decimal("100.00"),
    "unit_price": "1234.50",
    "unit": "Viên",
}
