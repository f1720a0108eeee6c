"""Sales that wait for their decisions, and the contents of their rows."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from streams.documents.document import Body
from streams.documents.sale import SALE
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows
from tests.contract.stores.point_of_sale import SOLD, PointOfSale

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
BODY = '{"ma_hoa_don":"HD-1","ho_ten_khach_hang":"Nguyễn Thị Ánh"}'
FAR = 4_000_000_000_000  # a moment long after this test
KEPT: dict[str, Any] = {"refused_body": BODY, "refused_text": "Sai mã thuốc"}


def decision_writer_on(db: SalesDb) -> DecisionWriter:
    return DecisionWriter(db, {SALE.name: SALE}, ZONE)


async def sold_and_refused(point_of_sale: PointOfSale, attempt: int, **sync: Any) -> Body:
    """Add a complete sale whose body was refused in this attempt, and not yet published, and return the body."""
    await point_of_sale.sell(1)
    await point_of_sale.add_lines(1, "DRUG-1")
    body = await body_of(point_of_sale)
    kept = KEPT | {"refused_attempt": attempt, "refused_body": body.content.decode()}
    await point_of_sale.sync(
        1, **{"attempt": attempt, "lease_until": FAR, "next_attempt_at": FAR, "sent_hash": None} | kept | sync
    )
    return body


async def body_of(point_of_sale: PointOfSale, id_: int = 1) -> Body:
    """Build the body of the current row."""
    document_type = point_of_sale.document_type
    (found,) = await SourceRows(point_of_sale.db).read(document_type, [id_])
    assert found is not None
    return document_type.transform(found.header, found.lines, SOLD.date())
