"""Find documents that others are sent before: those of the same shop and day, of types that come first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from streams.documents.document import DocumentType
from streams.domain.local_time import day_bounds
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import one_of


async def after_pending(
    db: SalesDb, document_type: DocumentType, earlier: Sequence[DocumentType], day: date, ids: Sequence[int]
) -> set[int]:
    """Return those of `ids` whose shop has pending documents about `day` of one of the `earlier` types.

    Rows that others have locked are passed over: a point of sale is not waited for because of an order. Raises
    `StoreError`.
    """
    placeholders, parameters = one_of(ids)

    def read(tx: Transaction) -> set[int]:
        found: set[int] = set()
        for each in earlier:
            sql = _AFTER_PENDING.format(
                table=document_type.table,
                earlier=each.table,
                day=each.day_column,
                ids=placeholders,
                skip_locked=tx.dialect.skip_locked,
            )
            found.update(row[0] for row in tx.rows(sql, [*parameters, *day_bounds(day)]))
        return found

    return await db.transaction(read)


# name: documents whose shop has pending documents of another type about this day
_AFTER_PENDING = (
    "SELECT d.id FROM dbo.{table} d{skip_locked} WHERE d.id IN ({ids}) "
    "AND EXISTS (SELECT 1 FROM dbo.{earlier} e{skip_locked} WHERE e.shop_pharmacy_code = d.shop_pharmacy_code "
    "AND e.status = 'PENDING_SYNC' AND e.{day} >= ? AND e.{day} < ?)"
)
