"""Handle documents that the point of sale edits while they are being sent.

A final decision is about the version that was sent. If the row holds another version by the time the decision is
written, the document is requested again.

Both functions are called in the transaction that writes the final decisions, after writing them. They see every edit
committed before. An edit committed later overwrites the final status, which produces a change event of its own (the row
is set back to pending).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import structlog

from streams.documents.document import BrokenRules, DocumentType, Row
from streams.domain.document_status import FAILED, PENDING, SUCCEEDED, Operation
from streams.domain.sale_status import Version
from streams.stores.row_digests import read_digests
from streams.stores.sales_db import Transaction
from streams.stores.source_rows import read_versions
from streams.stores.sql_fragments import chunks, literals, one_of

log = structlog.get_logger(__name__)


def find_edited(
    tx: Transaction, document_type: DocumentType, decided: Mapping[int, Version | None], today: date
) -> list[int]:
    """Return the ids whose rows now hold another version than the one that was decided on.

    `decided`: id -> the version that the final decision is about; None if no version could be built from the row.
    """
    digests = read_digests(tx, document_type, [id_ for id_, version in decided.items() if version and version.rows])
    # Rows with another digest may still make the same body, so they are read and compared.
    rest = {id_: v for id_, v in decided.items() if v is None or v.rows is None or v.rows != digests.get(id_)}
    if not rest:
        return []
    found = read_versions(tx, document_type, list(rest))
    return [
        id_
        for id_, version in rest.items()
        if (rows := found.get(id_)) and _differs(document_type, *rows, version, today)
    ]


def request_again(
    tx: Transaction,
    document_type: DocumentType,
    ids: Sequence[int],
    now_ms: int,
    *,
    why: str,
    operation: Operation = Operation.SEND,
) -> None:
    """Set documents to the pending status of `operation`, due at once unless a claim or a due time will bring them back
    anyway.

    Rows with a status that is not of this operation are left alone. `why`: for the log.
    """
    if not ids:
        return
    placeholders, parameters = one_of(ids)
    tx.execute(_DUE_NOW.format(ids=placeholders), [now_ms, now_ms, document_type.name, *parameters])
    for part in chunks(ids, tx.rows_per_update):
        placeholders, parameters = one_of(part)
        finals = literals((SUCCEEDED[operation], FAILED[operation]))
        sql = _PENDING.format(table=document_type.table, ids=placeholders, pending=PENDING[operation], finals=finals)
        tx.execute(sql, parameters)
    log.info("document.requested_again", document=document_type.name, ids=list(ids), why=why)


def _differs(
    document_type: DocumentType, header: Row, lines: Sequence[Row], version: Version | None, today: date
) -> bool:
    try:
        return document_type.transform(header, lines, today).hash != (version.body if version else None)
    except BrokenRules:
        return version is not None
    except Exception as error:
        # A bug in `transform` must not keep the final decisions of a whole batch from being written.
        log.error("document.unreadable", document=document_type.name, id=header["id"], error=type(error).__name__)
        return False


# name: due now, if the claim has just ended
_DUE_NOW = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ?, attempts_since = ?, tries = 0 "
    "WHERE document_type = ? AND id IN ({ids}) AND next_attempt_at IS NULL AND lease_until = 0"
)
# name: pending again
_PENDING = "UPDATE dbo.{table} SET status = '{pending}' WHERE id IN ({ids}) AND status IN {finals}"
