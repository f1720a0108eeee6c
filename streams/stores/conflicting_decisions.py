"""Resolve conflicting decisions about one document.

Two decisions conflict when one was published but not yet written back, and meanwhile another claim decided without
knowing of it. The row gets the correct final status. The last message on `sale-status` then says something else, so the
document is requested again (`streams.stores.concurrent_edits`), which makes the last published decision the final one,
too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.documents.document import DocumentType
from streams.domain.reasons import FAILURES
from streams.stores.sales_db import Transaction
from streams.stores.sql_fragments import one_of


def with_final_decision(tx: Transaction, document_type: DocumentType, ids: Sequence[int]) -> set[int]:
    """Return the ids whose rows have a final status that we wrote; a decision to wait was made without knowing it.

    Locks their state until the transaction ends, so that no other worker writes a final status meanwhile.
    """
    if not ids:
        return set()
    placeholders, parameters = one_of(ids)
    tx.execute(_LOCK.format(ids=placeholders), [document_type.name, *parameters])
    codes, code_parameters = one_of(_FAILURE_CODES)
    sql = _FINAL.format(table=document_type.table, ids=placeholders, codes=codes)
    return {row[0] for row in tx.rows(sql, [document_type.name, *parameters, *code_parameters])}


def failed_with_stored_refusal(tx: Transaction, document_type: DocumentType, ids: Sequence[int]) -> list[int]:
    """Return the ids that failed by the stored refusal, and were not accepted by an earlier published decision."""
    if not ids:
        return []
    placeholders, parameters = one_of(ids)
    rows = tx.rows(_FAILED.format(table=document_type.table, ids=placeholders), [document_type.name, *parameters])
    return [row[0] for row in rows]


def disproved(tx: Transaction, document_type: DocumentType, failures: Iterable[int]) -> set[int]:
    """Return the failures that are wrong, because an acceptance was published after their claim.

    The attempt did not know of that acceptance, so its "not found" was wrong. An attempt that starts later and fails is
    not affected: it finds its row pending, as the document was requested again.
    """
    ids = list(failures)
    if not ids:
        return set()
    placeholders, parameters = one_of(ids)
    rows = tx.rows(_ACCEPTED.format(table=document_type.table, ids=placeholders), [document_type.name, *parameters])
    found = {row[0] for row in rows}
    if found:
        placeholders, parameters = one_of(sorted(found))
        tx.execute(_NO_REASON.format(ids=placeholders), [document_type.name, *parameters])
    return found


_FAILURE_CODES = sorted(code.value for code in FAILURES)

# name: lock rows by writing a value that they already have
_LOCK = "UPDATE dbo.SaleSync SET owner = owner WHERE document_type = ? AND id IN ({ids})"
# name: rows with a final status that we wrote
_FINAL = (
    "SELECT d.id FROM dbo.{table} d JOIN dbo.SaleSync s ON s.id = d.id WHERE s.document_type = ? AND d.id IN ({ids}) "
    "AND ((d.status = 'SYNC_SUCCESS' AND s.ever_accepted = 1) "
    "OR (d.status = 'SYNC_FAILED' AND s.reason_code IN ({codes})) "
    "OR (d.status IN ('CANCELLED', 'CANCEL_FAILED') AND s.is_withdrawal = 1 AND s.published_attempt > 0))"
)
# name: rows that failed, by the refusal that is stored
_FAILED = (
    "SELECT d.id FROM dbo.{table} d JOIN dbo.SaleSync s ON s.id = d.id "
    "WHERE s.document_type = ? AND s.refused_attempt = s.published_attempt AND s.ever_accepted = 0 "
    "AND d.status = 'SYNC_FAILED' AND d.id IN ({ids})"
)
# name: rows with the status of an acceptance
_ACCEPTED = (
    "SELECT d.id FROM dbo.{table} d JOIN dbo.SaleSync s ON s.id = d.id "
    "WHERE s.document_type = ? AND s.ever_accepted = 1 AND d.status = 'SYNC_SUCCESS' AND d.id IN ({ids})"
)
# name: remove the reason of a failure that was wrong
_NO_REASON = "UPDATE dbo.SaleSync SET reason_code = NULL WHERE document_type = ? AND id IN ({ids})"
