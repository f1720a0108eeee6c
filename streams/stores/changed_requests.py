"""Handle decisions about rows that ask for something else by now: a document that was sent is to be withdrawn, or one
that was withdrawn is to be sent again.

The decision is recorded, and the row keeps the status that asks for the other operation, which becomes due at once. All
functions are called in the transaction that writes the decisions, after they were recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import structlog

from streams.documents.document import DocumentType
from streams.domain.document_status import FAILED, PENDING, SUCCEEDED, Operation
from streams.domain.status_message import StatusMessage
from streams.stores.concurrent_edits import request_again
from streams.stores.row_decisions import national_ids
from streams.stores.sales_db import Transaction
from streams.stores.sql_fragments import by_id, chunks, literals, one_of

log = structlog.get_logger(__name__)

_OTHERS = {
    Operation.SEND: (PENDING[Operation.WITHDRAW],),
    # A final status of sending was written by a decision that came late: the document was withdrawn after it was made.
    Operation.WITHDRAW: (PENDING[Operation.SEND], SUCCEEDED[Operation.SEND], FAILED[Operation.SEND]),
}
"""What was attempted -> the statuses of rows that ask for the other operation."""


def claimed_again(tx: Transaction, document_type: str, ids: Collection[int]) -> set[int]:
    """Return the ids that were claimed again after the attempt whose decision was recorded last. The newer attempt may
    have sent the document again, so what an older one has withdrawn says nothing about it.
    """
    if not ids:
        return set()
    placeholders, parameters = one_of(sorted(ids))
    return {row[0] for row in tx.rows(_CLAIMED_AGAIN.format(ids=placeholders), [document_type, *parameters])}


def request_changed(
    tx: Transaction, document_type: DocumentType, decisions: Mapping[int, StatusMessage], now_ms: int, now: datetime
) -> None:
    """Make the documents due whose rows ask for another operation than the one that was decided on.

    `now_ms`: UTC milliseconds of the database's clock; `now`: local time of the points of sale.
    """
    for operation, others in _OTHERS.items():
        ids = [i for i, item in decisions.items() if item.operation is operation]
        if not ids:
            continue
        placeholders, parameters = one_of(ids)
        sql = _CHANGED.format(table=document_type.table, ids=placeholders, statuses=literals(others))
        changed = sorted(row[0] for row in tx.rows(sql, parameters))
        if not changed:
            continue
        log.info("document.request_changed", document=document_type.name, ids=changed, attempted=operation.name.lower())
        _write_national_ids(tx, document_type, {i: decisions[i] for i in changed}, now)
        if operation is Operation.WITHDRAW:
            request_again(tx, document_type, changed, now_ms, why="withdrawn")
        placeholders, parameters = one_of(changed)
        tx.execute(_DUE_NOW.format(ids=placeholders), [now_ms, now_ms, document_type.name, *parameters, now_ms])


def _write_national_ids(
    tx: Transaction, document_type: DocumentType, decisions: Mapping[int, StatusMessage], now: datetime
) -> None:
    """Write the ids of what was accepted, and remove those of what was withdrawn."""
    known = national_ids({i: item.status for i, item in decisions.items()})
    column = document_type.national_id_column
    for part in chunks(sorted(known), tx.rows_per_update):
        ids, id_parameters = one_of(part)
        national, p_national = by_id({i: known[i] for i in part}, otherwise=column)
        sql = _WRITE_NATIONAL_IDS.format(table=document_type.table, national_id=column, national=national, ids=ids)
        tx.execute(sql, [*p_national, now, *id_parameters])


# name: documents that were claimed again since
_CLAIMED_AGAIN = (
    "SELECT s.id FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id IN ({ids}) AND s.attempt > s.published_attempt"
)
# name: rows that ask for another operation
_CHANGED = "SELECT d.id FROM dbo.{table} d WHERE d.id IN ({ids}) AND d.status IN {statuses}"
# name: write national ids without a status
_WRITE_NATIONAL_IDS = "UPDATE dbo.{table} SET {national_id} = {national}, updated_at = ? WHERE id IN ({ids})"
# name: due now, for another operation; while the last call may be under way, the lease stays
_DUE_NOW = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ?, attempts_since = ?, tries = 0 WHERE document_type = ? "
    "AND id IN ({ids}) AND attempt = published_attempt AND (next_attempt_at IS NULL OR next_attempt_at > ?)"
)
