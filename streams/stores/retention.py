"""Deletion of stored refusals: the body that was sent, and the API's text. Both may name people."""

from __future__ import annotations

from collections.abc import Sequence

from streams.domain.reasons import FAILURES
from streams.stores.isolation import Failed, bisect_failures
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import chunks, one_of

_REASONS = sorted(code.value for code in FAILURES)


def forget_refusals(tx: Transaction, document_type: str, accepted: Sequence[int]) -> None:
    """Delete the refusals of documents whose acceptance was just recorded.

    A refusal that a later attempt has stored, and is about to publish, stays.
    """
    if accepted:
        placeholders, parameters = one_of(list(accepted))
        tx.execute(_ACCEPTED.format(ids=placeholders), [document_type, *parameters])


async def forget_old_refusals(db: SalesDb, document_type: str, keep_ms: int, limit: int) -> int:
    """Delete the refusals of failures that nobody has corrected for `keep_ms`, at most `limit` of them.

    Returns how many there were. Raises `StoreError`.
    """
    before = await db.now_ms() - keep_ms
    reasons, codes = one_of(_REASONS)

    def find(tx: Transaction) -> list[int]:
        sql = tx.dialect.first(_OLD.format(reasons=reasons), limit)
        return [row[0] for row in tx.rows(sql, [document_type, *codes, before, before])]

    async def forget(part: Sequence[int]) -> Sequence[None]:
        placeholders, parameters = one_of(part)

        def write(tx: Transaction) -> None:
            tx.execute(_FORGET.format(ids=placeholders), [document_type, *parameters, before, before])

        await db.transaction(write)
        return [None] * len(part)

    ids = await db.transaction(find)
    results = [result for part in chunks(ids) for result in await bisect_failures(forget, part)]
    if failed := [result.error for result in results if isinstance(result, Failed)]:
        raise failed[0]
    return len(ids)


# name: delete earlier refusals after an acceptance
_ACCEPTED = (
    "UPDATE dbo.SaleSync SET refused_body = NULL, refused_text = NULL WHERE document_type = ? AND id IN ({ids}) "
    "AND refused_attempt <= published_attempt AND (refused_body IS NOT NULL OR refused_text IS NOT NULL)"
)
# name: old refusals, by when the document was last sent, or requested if that is unknown
_OLD = (
    "SELECT id FROM dbo.SaleSync WHERE document_type = ? AND reason_code IN ({reasons}) "
    "AND (refused_body IS NOT NULL OR refused_text IS NOT NULL) "
    "AND (sent_at < ? OR (sent_at IS NULL AND attempts_since < ?)) ORDER BY id"
)
# name: delete old refusals
_FORGET = (
    "UPDATE dbo.SaleSync SET refused_body = NULL, refused_text = NULL WHERE document_type = ? AND id IN ({ids}) "
    "AND (sent_at < ? OR (sent_at IS NULL AND attempts_since < ?))"
)
