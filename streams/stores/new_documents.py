"""Find new documents by asking the point of sale's table, where nothing captures its changes.

It is asked for what is pending, not for ids above the last one: a transaction may commit later than one with higher
ids.

The past of a document is known if its id is above the cut-over mark: the highest id of the table when the first poll
was made. Nobody else has sent such a document, so it is created without a look-up. The mark is stored in
`dbo.SaleSync`, in a row of its own: a database that has lost this table has lost the mark with it, and then the past of
no document counts as known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from streams.documents.document import DocumentType
from streams.stores.isolation import Failed, bisect_failures
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.schedule import DueDocument
from streams.stores.sql_fragments import PENDING_STATUSES, chunks, one_of
from streams.stores.sync_state import retry_on_duplicate_key

log = structlog.get_logger(__name__)

ANNOUNCED = "new"
"""The `owner` of documents that were announced on their change topic and are not claimed yet."""


def mark_name(document_type: DocumentType) -> str:
    """Return the `document_type` under which `dbo.SaleSync` stores the cut-over mark as an id."""
    return f"{document_type.name}:new"


@dataclass(frozen=True, slots=True)
class Pending:
    """Pending documents that nothing waits for."""

    unseen: Sequence[int]
    """The ids that have no row in `dbo.SaleSync`, round robin over the shops."""
    requested_again: int
    """How many were decided before and set back to pending since."""


class NewDocuments:
    """The new documents of one type."""

    def __init__(self, db: SalesDb, document_type: DocumentType) -> None:
        self._db = db
        self._document_type = document_type

    async def known_mark(self) -> int | None:
        """Return the cut-over mark; None: there is none yet. Raises `StoreError`."""
        name = mark_name(self._document_type)
        mark: int | None = await self._db.transaction(lambda tx: tx.rows(_MARK, [name])[0][0])
        return mark

    async def mark(self) -> int:
        """Return the cut-over mark; where there is none yet, the highest id becomes it. Raises `StoreError`."""
        name, table = mark_name(self._document_type), self._document_type.table

        def write(tx: Transaction) -> int:
            highest = tx.rows(_HIGHEST_ID.format(table=table, skip_locked=tx.dialect.skip_locked))[0][0] or 0
            tx.execute(_SET_MARK, [name, highest])
            return int(highest)

        mark = await self.known_mark()
        if mark is None:  # should two workers set it, the higher one counts
            mark = await self._db.transaction(write)
            log.info("polling.cut_over", document=self._document_type.name, mark=mark)
        return mark

    async def find(self, limit: int, mark: int) -> Pending:
        """Return the pending documents that nothing waits for, at most `limit`; those above `mark` come first, so that
        a backlog from before the cut-over delays no new document. Raises `StoreError`.
        """
        now = await self._db.now_ms()

        name = self._document_type.name

        def read(tx: Transaction) -> Pending:
            table, hint = self._document_type.table, tx.dialect.skip_locked
            sql = _FIND.format(table=table, skip_locked=hint, pending=PENDING_STATUSES)
            rows = tx.rows(tx.dialect.first(sql, limit), [mark, name, name, now])
            unseen = [id_ for id_, attempt in rows if attempt is None]
            return Pending(unseen, len(rows) - len(unseen))

        return await self._db.transaction(read)

    async def announced_and_unclaimed(self) -> int:
        """Return how many documents are announced, not claimed yet, and not due again. Raises `StoreError`."""
        now = await self._db.now_ms()

        def read(tx: Transaction) -> int:
            return int(tx.rows(_ANNOUNCED_AND_UNCLAIMED, [self._document_type.name, ANNOUNCED, now])[0][0])

        return await self._db.transaction(read)

    async def announce(self, ids: Sequence[int], after_ms: int) -> tuple[list[DueDocument], Exception | None]:
        """Create the rows in `dbo.SaleSync` of documents that are about to be announced: unless claimed, they are due
        in `after_ms`. Rows that others have locked are left for the next poll.

        Returns the documents, and the first error of a row once all rows were tried. Raises `StoreError`.
        """
        now = await self._db.now_ms()
        name, table = self._document_type.name, self._document_type.table

        def write(tx: Transaction, part: Sequence[int]) -> list[DueDocument]:
            placeholders, parameters = one_of(part)
            text = {"table": table, "code": self._document_type.document_code_column}
            hint = tx.dialect.skip_locked
            codes = _CODES.format(**text, ids=placeholders, skip_locked=hint, pending=PENDING_STATUSES)
            found = {row[0]: DueDocument(row[0], 0, now, *row[1:]) for row in tx.rows(codes, parameters)}
            if found:
                placeholders, parameters = one_of(list(found))
                sql = _ANNOUNCE.format(table=table, ids=placeholders)
                tx.execute(sql, [name, now + after_ms, now, ANNOUNCED, *parameters, name])
            return [found[id_] for id_ in part if id_ in found]

        async def announce(part: Sequence[int]) -> Sequence[DueDocument | None]:
            found = {due.id: due for due in await retry_on_duplicate_key(lambda tx: write(tx, part), self._db)}
            return [found.get(id_) for id_ in part]

        results = [result for part in chunks(ids) for result in await bisect_failures(announce, part)]
        announced = [result for result in results if isinstance(result, DueDocument)]
        failed = [result.error for result in results if isinstance(result, Failed)]
        return announced, failed[0] if failed else None


# name: the cut-over mark
_MARK = "SELECT MAX(s.id) FROM dbo.SaleSync s WHERE s.document_type = ?"
# name: the highest id
_HIGHEST_ID = "SELECT MAX(d.id) FROM dbo.{table} d{skip_locked}"
# name: set the cut-over mark
_SET_MARK = "INSERT INTO dbo.SaleSync (document_type, id) VALUES (?, ?)"
# name: pending rows that nothing waits for, new ones first, round robin over the shops, each shop's oldest first. What
# waits is found in the index of due times, and only what is left is looked up among all documents.
_FIND = (
    "SELECT q.id, s.attempt FROM (SELECT p.id, p.is_old, "
    "ROW_NUMBER() OVER (PARTITION BY p.is_old, p.shop_pharmacy_code ORDER BY p.id) AS place "
    "FROM (SELECT d.id, d.shop_pharmacy_code, CASE WHEN d.id > ? THEN 0 ELSE 1 END AS is_old "
    "FROM dbo.{table} d{skip_locked} WHERE d.status IN {pending} "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync w WHERE w.document_type = ? AND w.id = d.id "
    "AND w.next_attempt_at IS NOT NULL)) p) q "
    "LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = q.id "
    "WHERE s.id IS NULL OR s.lease_until <= ? ORDER BY q.is_old, q.place, q.id"
)
# name: how many documents are announced and not claimed yet
_ANNOUNCED_AND_UNCLAIMED = (
    "SELECT COUNT(*) FROM dbo.SaleSync WHERE document_type = ? AND owner = ? AND next_attempt_at > ?"
)
# name: the codes of new documents
_CODES = (
    "SELECT d.id, d.{code}, d.pharmacy_code, d.shop_pharmacy_code FROM dbo.{table} d{skip_locked} "
    "WHERE d.id IN ({ids}) AND d.status IN {pending} ORDER BY d.id"
)
# name: create the states of new documents
_ANNOUNCE = (
    "INSERT INTO dbo.SaleSync (document_type, id, next_attempt_at, attempts_since, owner) "
    "SELECT ?, d.id, CAST(? AS BIGINT), CAST(? AS BIGINT), ? FROM dbo.{table} d WHERE d.id IN ({ids}) "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = d.id)"
)
