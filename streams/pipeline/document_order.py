"""Keeps the order of a day where the settings ask for one: in each shop, receipts go before sales, and both before
issues, as `DocumentType.sent_after` says.

Nothing waits forever. A document waits only for types that never wait for its own type, only while a document of one of
them is pending, and only until it has waited for `limit` seconds, whatever the other one waits for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import structlog

from streams.documents.document import DocumentType, Row
from streams.documents.wire_format import wire_day
from streams.pipeline.batching import Batcher, ConcurrencyLimit
from streams.stores.earlier_documents import after_pending
from streams.stores.isolation import class_and_state
from streams.stores.sales_db import SalesDb, StoreError

log = structlog.get_logger(__name__)

_BATCH = 128


class DocumentOrder:
    """The order of the documents of one type."""

    def __init__(
        self,
        db: SalesDb,
        document_type: DocumentType,
        carried: Iterable[DocumentType],
        limit: float,
        *,
        batch_wait: float,
        concurrency_limit: ConcurrencyLimit | None = None,
    ) -> None:
        """`carried`: all types that are sent: nothing waits for another one. `limit`: seconds that a document may wait;
        0: no order is kept. `batch_wait`: seconds for which checks are collected before they are sent as one statement.
        """
        self._db = db
        self._document_type = document_type
        self._earlier = [each for each in carried if each.name in document_type.sent_after]
        self._limit = limit
        self._is_after_pending = Batcher(self._check, size=_BATCH, wait=batch_wait, concurrency_limit=concurrency_limit)

    async def must_wait(self, id_: int, header: Row, waited_s: float) -> bool:
        """Return whether the document has to wait. `waited_s`: seconds since it was first seen pending."""
        if not self._earlier or waited_s >= self._limit:
            return False
        day = date.fromisoformat(wire_day(header[self._document_type.day_column]))
        return await self._is_after_pending((id_, day))

    async def _check(self, items: Sequence[tuple[int, date]]) -> Sequence[bool]:
        waiting: set[int] = set()
        for day in {day for _, day in items}:
            ids = [id_ for id_, of_day in items if of_day == day]
            try:
                waiting |= await after_pending(self._db, self._document_type, self._earlier, day, ids)
            except StoreError as error:  # the order is given up, not the documents
                log.warning("document_order.unknown", document=self._document_type.name, error=class_and_state(error))
        return [id_ in waiting for id_, _ in items]
