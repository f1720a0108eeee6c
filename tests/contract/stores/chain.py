"""A chain of 200 shops over some two weeks, and a tenth of the decisions about its sales.

The gate has 200,000 sales, with which every plan is the one that a million has; ``make desk`` has the million.

Vacuumed, as autovacuum leaves it: SQL Server reads an index without the table at any time. With FREEZE, since a plain
VACUUM may leave all pages of dbo.SaleSync unmarked, and then its index is not enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

from streams.documents.sale import SALE
from streams.domain.document_status import Status
from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import SaleStatus, status_reason
from tests.contract.stores.databases import Postgresql
from tests.contract.stores.point_of_sale import accepted, pending, refused

SALES = int(os.environ.get("DESK_SALES", "200000"))
FAILED, WAITING, SHOPS, A_DAY = SALES // 50, max(2_000, SALES // 200), 200, SALES * 6 // 100
CHANGED = 40
"""Sales that were changed after they were accepted."""
FAILS = [Code.API_REFUSED, Code.RULES_BROKEN, Code.NO_LINES, Code.TIME_LIMIT]
RARE = Code.OLDER_VERSION_STORED
DECISIONS = SALES // 10
ONE_FAILED = SALES * 3 // 4
"""No other sale has its number within its own."""
NAMED = status_reason(
    Reason(
        Code.RULES_BROKEN,
        details=tuple(BrokenRule(f"hoa_don_chi_tiet[{line}].so_lo", "required") for line in range(1, 13)),
    ),
    SALE.labels,
).message
"""The message of every sale that has failed or waits: of those that a list reads, a long one."""
TRIED, TRIES = 150, 300
"""A sale that failed after many attempts."""

# ruff: noqa: S608 - the numbers are of this file
_CHAIN = f"""
INSERT INTO dbo.AccountShop
SELECT 'S-' || n, '79-' || n, 'user-' || n, 'secret', 'Nhà thuốc ' || n, 1 FROM generate_series(0, {SHOPS - 1}) n;

INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, created_at,
    updated_at, national_invoice_id, customer_name, sync_response_message)
SELECT n, 'HD-' || n, '79-' || n / 7 % {SHOPS}, 'S-' || n / 7 % {SHOPS}, at, CASE
    WHEN n > {SALES - WAITING} THEN 'PENDING_SYNC' WHEN n % {SALES // FAILED} = 0 THEN 'SYNC_FAILED'
    ELSE 'SYNC_SUCCESS' END, at, at, 'HD_QG_' || n, 'Nguyễn Thị Ánh',
    CASE WHEN n % {SALES // FAILED} = 0 OR n > {SALES - WAITING} THEN '{NAMED.vi}' || chr(10) || '{NAMED.en}' END
FROM (SELECT n, CAST(? AS timestamp) - ({SALES} - n) * interval '1 day' / {A_DAY} AS at
    FROM generate_series(1, {SALES}) n) s;

INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, ever_accepted, reason_code,
    next_attempt_at,
    attempts_since, changed_at)
SELECT 'sale', id, 1, 1, md5(id::text) || md5(id::text), CASE status WHEN 'SYNC_SUCCESS' THEN 1 ELSE 0 END,
    CASE status WHEN 'SYNC_FAILED' THEN CASE WHEN id % {SALES // 5} = 0 THEN '{RARE}' ELSE
        (ARRAY[{", ".join(f"'{code}'" for code in FAILS)}])[1 + id / 50 % {len(FAILS)}] END
    WHEN 'PENDING_SYNC' THEN '{Code.UNREACHABLE}' END,
    CASE status WHEN 'PENDING_SYNC' THEN 4000000000000 + id END, 1800000000000 + id,
    CASE WHEN id % {SALES // CHANGED} = 1 THEN 1800000000000 + id END
FROM dbo.SalesInvoices;

INSERT INTO dbo.SalesInvoiceDetails (sales_invoice_id, drug_code, drug_name, lot_number, expiry_date, unit,
    concentration, dosage, quantity, unit_price, line_total, conversion_ratio)
SELECT {TRIED}, 'VN-' || n, 'Thuốc Đỏ', 'LO1', '2028-01-31', 'Hộp', '500mg', '1 viên', 1, 2, 2, 1
FROM generate_series(1, 20) n;

VACUUM (FREEZE, ANALYZE) dbo.SalesInvoices, dbo.SalesInvoiceDetails, dbo.SaleSync, dbo.AccountShop
"""


def fill(database: Postgresql) -> None:
    now = datetime.now(UTC).astimezone(database.settings().zone).replace(tzinfo=None)
    with closing(database.connect()) as owner:
        for statement in _CHAIN.split(";\n"):
            owner.execute(statement, *[now] * statement.count("?"))


def _decision(id_: int, attempt: int, status: Status) -> SaleStatus:
    """Build a decision as the worker publishes it, for a sale of the chain."""
    published = {
        "SYNC_SUCCESS": accepted(id_, attempt),
        "SYNC_FAILED": refused(id_, attempt),
        "PENDING_SYNC": pending(id_, attempt, 1_800_000_000_000),
    }[status].status
    decided_at = published.decided_at + timedelta(minutes=attempt)
    return published.model_copy(update={"pharmacy_code": f"79-{id_ // 7 % SHOPS}", "decided_at": decided_at})


def decisions() -> Iterator[SaleStatus]:
    """Yield one decision for every tenth sale, and many for one sale that was tried for hours."""
    for attempt in range(1, TRIES):
        yield _decision(TRIED, attempt, "PENDING_SYNC")
    yield _decision(TRIED, TRIES, "SYNC_FAILED")
    for place in range(DECISIONS - TRIES):
        yield _decision(place * 10 + 1, 1, "SYNC_SUCCESS")
