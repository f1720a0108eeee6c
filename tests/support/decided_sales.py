"""Sales that wait for their decisions, and what stands in their rows."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from streams.documents.document import Body
from streams.documents.sale import SALE
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows
from tests.contract.stores.point_of_sale import SOLD, Till

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
BODY = '{"ma_hoa_don":"HD-1","ho_ten_khach_hang":"Nguyễn Thị Ánh"}'
FAR = 4_000_000_000_000  # a moment long after this test
KEPT: dict[str, Any] = {"refused_body": BODY, "refused_text": "Sai mã thuốc"}


def ends_on(db: SalesDb) -> DecisionWriter:
    return DecisionWriter(db, {SALE.name: SALE}, ZONE)


async def sold_and_refused(till: Till, attempt: int, **sync: Any) -> Body:
    """A whole sale whose body was refused in this attempt, and is not told yet. Gives the body."""
    await till.sell(1)
    await till.add_lines(1, "DRUG-1")
    body = await body_of(till)
    kept = KEPT | {"refused_attempt": attempt, "refused_body": body.content.decode()}
    await till.sync(
        1, **{"attempt": attempt, "lease_until": FAR, "next_attempt_at": FAR, "sent_hash": None} | kept | sync
    )
    return body


async def body_of(till: Till, id_: int = 1) -> Body:
    """Of the row as it stands now."""
    (found,) = await SourceRows(till.db).read(till.kind, [id_])
    assert found is not None
    return till.kind.transform(found.header, found.lines, SOLD.date())
