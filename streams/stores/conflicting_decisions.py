"""Decisions about one document that crossed: one was told, its write-back was held up, and another claim decided
meanwhile without knowing of it.

The row gets the end that is right. Since what was told last on `sale-status` then says something else, the document
is asked again (`streams.stores.concurrent_edits`): its last word becomes its end, there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.documents.document import DocumentType
from streams.domain.reasons import FAILURES
from streams.stores.sales_db import Transaction
from streams.stores.sql_fragments import one_of


def ended_by_us(tx: Transaction, document_type: DocumentType, ids: Sequence[int]) -> set[int]:
    """Those whose row stands at an end of ours: whoever tells now that they wait did not know of it.

    Holds their state until the transaction ends: nobody else writes an end meanwhile.
    """
    if not ids:
        return set()
    marks, parameters = one_of(ids)
    tx.execute(_HOLD.format(ids=marks), [document_type.name, *parameters])
    codes, code_parameters = one_of(_FAILURE_CODES)
    sql = _ENDED.format(table=document_type.table, ids=marks, codes=codes)
    return {row[0] for row in tx.rows(sql, [document_type.name, *parameters, *code_parameters])}


def failed_by_what_is_kept(tx: Transaction, document_type: DocumentType, ids: Sequence[int]) -> list[int]:
    """Those that failed for the refusal whose body is kept, and of which no success was told before."""
    if not ids:
        return []
    marks, parameters = one_of(ids)
    rows = tx.rows(_FAILED.format(table=document_type.table, ids=marks), [document_type.name, *parameters])
    return [row[0] for row in rows]


def disproved(tx: Transaction, document_type: DocumentType, failures: Iterable[int]) -> set[int]:
    """Failures of which a success was told since they were claimed: "not held" was not so. Whoever fails after that
    finds its row pending, as it was asked for again."""
    ids = list(failures)
    if not ids:
        return set()
    marks, parameters = one_of(ids)
    rows = tx.rows(_ACCEPTED.format(table=document_type.table, ids=marks), [document_type.name, *parameters])
    found = {row[0] for row in rows}
    if found:
        marks, parameters = one_of(sorted(found))
        tx.execute(_NO_REASON.format(ids=marks), [document_type.name, *parameters])
    return found


_FAILURE_CODES = sorted(code.value for code in FAILURES)

# name: lock them by writing what they have
_HOLD = "UPDATE dbo.SaleSync SET owner = owner WHERE document_type = ? AND id IN ({ids})"
# name: rows that stand at an end of ours
_ENDED = (
    "SELECT d.id FROM dbo.{table} d JOIN dbo.SaleSync s ON s.id = d.id WHERE s.document_type = ? AND d.id IN ({ids}) "
    "AND ((d.status = 'SYNC_SUCCESS' AND s.ever_accepted = 1) "
    "OR (d.status = 'SYNC_FAILED' AND s.reason_code IN ({codes})))"
)
# name: rows that stand as failed, by the very refusal that is kept
_FAILED = (
    "SELECT d.id FROM dbo.{table} d JOIN dbo.SaleSync s ON s.id = d.id "
    "WHERE s.document_type = ? AND s.refused_attempt = s.published_attempt AND s.ever_accepted = 0 AND d.status = 'SYNC_FAILED' "
    "AND d.id IN ({ids})"
)
# name: rows that stand as accepted
_ACCEPTED = (
    "SELECT d.id FROM dbo.{table} d JOIN dbo.SaleSync s ON s.id = d.id "
    "WHERE s.document_type = ? AND s.ever_accepted = 1 AND d.status = 'SYNC_SUCCESS' AND d.id IN ({ids})"
)
# name: a failure that was none leaves no reason
_NO_REASON = "UPDATE dbo.SaleSync SET reason_code = NULL WHERE document_type = ? AND id IN ({ids})"
