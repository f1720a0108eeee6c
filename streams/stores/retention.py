"""What was refused names people: the body that was sent, and the API's words. It goes once it is of no use any more."""

from __future__ import annotations

from collections.abc import Sequence

from streams.domain.reasons import FAILURES
from streams.stores.isolation import Failed, halved
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import chunks, one_of

_REASONS = sorted(code.value for code in FAILURES)


def forget_refusals(tx: Transaction, document_type: str, accepted: Sequence[int]) -> None:
    """Of documents whose accepted end was just noted: not what a later attempt has kept and is about to tell."""
    if accepted:
        marks, parameters = one_of(list(accepted))
        tx.execute(_ACCEPTED.format(ids=marks), [document_type, *parameters])


async def forget_old_refusals(db: SalesDb, document_type: str, keep_ms: int, most: int) -> int:
    """Of failures that nobody mended for so long, `most` at once; gives how many there were. Raises `StoreError`."""
    before = await db.now_ms() - keep_ms
    reasons, codes = one_of(_REASONS)

    def look(tx: Transaction) -> list[int]:
        sql = f"{_OLD.format(reasons=reasons)} {tx.dialect.limit.format(n=most)}"
        return [row[0] for row in tx.rows(sql, [document_type, *codes, before, before])]

    async def forget(part: Sequence[int]) -> Sequence[None]:
        marks, parameters = one_of(part)

        def write(tx: Transaction) -> None:
            tx.execute(_FORGET.format(ids=marks), [document_type, *parameters, before, before])

        await db.transaction(write)
        return [None] * len(part)

    ids = await db.transaction(look)
    results = [result for part in chunks(ids) for result in await halved(forget, part)]
    if failed := [result.error for result in results if isinstance(result, Failed)]:
        raise failed[0]
    return len(ids)


# name: an accepted end leaves nothing of earlier refusals
_ACCEPTED = (
    "UPDATE dbo.SaleSync SET refused_body = NULL, refused_text = NULL WHERE document_type = ? AND id IN ({ids}) "
    "AND refused_attempt <= published_attempt AND (refused_body IS NOT NULL OR refused_text IS NOT NULL)"
)
# name: refusals that are kept for long: since it was sent last; where that is not known, since it was asked for
_OLD = (
    "SELECT id FROM dbo.SaleSync WHERE document_type = ? AND reason_code IN ({reasons}) "
    "AND (refused_body IS NOT NULL OR refused_text IS NOT NULL) "
    "AND (sent_at < ? OR (sent_at IS NULL AND attempts_since < ?)) ORDER BY id"
)
# name: forget them
_FORGET = (
    "UPDATE dbo.SaleSync SET refused_body = NULL, refused_text = NULL WHERE document_type = ? AND id IN ({ids}) "
    "AND (sent_at < ? OR (sent_at IS NULL AND attempts_since < ?))"
)
