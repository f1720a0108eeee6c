"""Enroll pending rows that may have no change event: they get a due time in `dbo.SaleSync`, so that none is lost.

All times are UTC milliseconds of the database's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from streams.documents.document import DocumentType
from streams.stores.isolation import Failed, bisect_failures
from streams.stores.sales_db import SalesDb, StoreUnavailable, Transaction
from streams.stores.sql_fragments import PENDING_STATUSES, chunks, one_of
from streams.stores.sync_state import ANY_VERSION, retry_on_duplicate_key


async def enroll(db: SalesDb, document_type: DocumentType, after_ms: int, limit: int, up_to: int) -> int:
    """Give pending rows without a due time one that is `after_ms` from now. Return how many were new.

    At most `limit` new rows are enrolled, with ids up to `up_to`.

    A row that is captured meanwhile is claimed long before that. For a row that was set back to pending,
    `attempts_since` stays empty: only its change event knows since when it has been pending. Rows that are no
    longer pending lose their due time.

    It is committed in small transactions, so that a claim meanwhile waits for a few rows, not for all. Raises
    `StoreError`, or the first error of a row, once all rows were tried.
    """
    now = await db.now_ms()

    requested_again = (
        _REQUESTED_AGAIN.format(table=document_type.table, pending=PENDING_STATUSES),
        [now + after_ms, ANY_VERSION, document_type.name, now],
    )
    not_pending = (
        _NOT_PENDING.format(table=document_type.table, pending=PENDING_STATUSES),
        [document_type.name, now, now],
    )

    async def write(sql: str, parameters: Sequence[Any]) -> None:
        await db.transaction(lambda tx: tx.execute(sql, parameters))

    async def run(statements: Sequence[tuple[str, list[Any]]]) -> Sequence[None]:
        for sql, parameters in statements:
            await write(sql, parameters)
        return [None] * len(statements)

    def find_unseen(tx: Transaction, *, without_locked: bool) -> list[int]:
        hint = tx.dialect.skip_locked if without_locked else ""
        unseen = _UNSEEN.format(table=document_type.table, skip_locked=hint, pending=PENDING_STATUSES)
        rows = tx.rows(tx.dialect.first(unseen, limit), [up_to, document_type.name])
        return [row[0] for row in rows]

    async def unseen() -> list[int]:
        try:
            return await db.transaction(partial(find_unseen, without_locked=False))
        except StoreUnavailable as error:
            if not error.is_lock:
                raise
            # A till's open transaction hides only its own rows. The error is raised in the end all the same: what
            # nobody can look at is shown to operators.
            results.append(Failed(error))
        return await db.transaction(partial(find_unseen, without_locked=True))

    async def insert(part: Sequence[int]) -> Sequence[None]:
        placeholders, parameters = one_of(part)
        values = [document_type.name, now + after_ms, now, *parameters, document_type.name]
        sql = _ENROLL.format(table=document_type.table, ids=placeholders)
        await retry_on_duplicate_key(lambda tx: tx.execute(sql, values), db)
        return [None] * len(part)

    # Each step by itself: a locked row of dbo.SaleSync must not keep new rows from being enrolled.
    results: list[Failed | None] = [
        *await bisect_failures(run, [requested_again]),
        *await bisect_failures(run, [not_pending]),
    ]
    ids = await unseen()
    for part in chunks(ids):
        results += await bisect_failures(insert, part)
    if failed := [result.error for result in results if isinstance(result, Failed)]:
        raise failed[0]
    return len(ids)


# name: pending rows that no worker has seen, round robin over the shops, each shop's oldest first
_UNSEEN = (
    "SELECT q.id FROM (SELECT d.id, ROW_NUMBER() OVER (PARTITION BY d.shop_pharmacy_code ORDER BY d.id) AS place "
    "FROM dbo.{table} d{skip_locked} WHERE d.status IN {pending} AND d.id <= CAST(? AS BIGINT) "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = d.id)) q ORDER BY q.place, q.id"
)
# name: enroll rows
_ENROLL = (
    "INSERT INTO dbo.SaleSync (document_type, id, next_attempt_at, attempts_since) "
    "SELECT ?, d.id, CAST(? AS BIGINT), CAST(? AS BIGINT) FROM dbo.{table} d WHERE d.id IN ({ids}) "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = d.id)"
)
# name: requested again, without a due time; what was accepted is stored, otherwise any version may be
_REQUESTED_AGAIN = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ?, attempts_since = NULL, tries = 0, "
    "sent_hash = CASE WHEN ever_accepted = 1 AND sent_hash IS NOT NULL THEN sent_hash ELSE ? END "
    "WHERE document_type = ? AND next_attempt_at IS NULL AND lease_until <= ? "
    "AND EXISTS (SELECT 1 FROM dbo.{table} d WHERE d.id = SaleSync.id AND d.status IN {pending})"
)
# name: remove the due time of rows that are no longer pending
_NOT_PENDING = (
    "UPDATE dbo.SaleSync SET next_attempt_at = NULL "
    "WHERE document_type = ? AND next_attempt_at <= ? AND lease_until <= ? "
    "AND NOT EXISTS (SELECT 1 FROM dbo.{table} d WHERE d.id = SaleSync.id AND d.status IN {pending})"
)
