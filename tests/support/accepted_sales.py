"""Documents that the national system has accepted and that nothing waits for."""

from __future__ import annotations

from typing import Any

from streams.stores.sent_rows import sent_rows
from streams.stores.source_rows import SourceRows
from tests.contract.stores.point_of_sale import PointOfSale
from tests.support.decided_sales import body_of

AT_REST: dict[str, Any] = {"attempt": 1, "published_attempt": 1, "ever_accepted": 1, "lease_until": 0}
ALL = 2**62
"""An id above all others."""


async def accept(point_of_sale: PointOfSale, *ids: int, with_digest: bool = True, **state: Any) -> None:
    """Add complete documents that were accepted just now; `state`: what differs from that in `dbo.SaleSync`."""
    now = await point_of_sale.db.now_ms()
    await point_of_sale.sell(*ids, status="SYNC_SUCCESS")
    for id_ in ids:
        await point_of_sale.add_lines(id_, "DRUG-1", "DRUG-2")
        (found,) = await SourceRows(point_of_sale.db).read(point_of_sale.document_type, [id_])
        assert found is not None
        body_hash = (await body_of(point_of_sale, id_)).hash
        version = {"sent_hash": body_hash, "sent_rows": sent_rows(body_hash, found.digest, "79-1", f"HD-{id_}")}
        await point_of_sale.sync(
            id_, **(AT_REST | {"sent_at": now} | version | ({} if with_digest else {"sent_rows": None}) | state)
        )


async def changed_ids(point_of_sale: PointOfSale) -> list[int]:
    """Return the ids of the marked documents."""
    rows = await point_of_sale.rows("SELECT id FROM dbo.SaleSync WHERE changed_at > 0 ORDER BY id")
    return [row["id"] for row in rows]


async def edit(point_of_sale: PointOfSale, *ids: int, quantity: str = "7") -> None:
    for id_ in ids:
        document_type = point_of_sale.document_type
        which = f"{document_type.lines_parent_column} = ? AND drug_code = 'DRUG-2'"
        sql = f"UPDATE dbo.{document_type.lines_table} SET quantity = ? WHERE {which}"  # noqa: S608
        await point_of_sale.run(sql, quantity, id_)
