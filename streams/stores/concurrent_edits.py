"""A till may edit a document while it is at the national system. An end belongs to the version that was sent: where
another one stands in the row by then, the row is asked for again.

To be called in the transaction that writes the ends, once they are written. What a till committed before is seen
then; what it commits later comes over the end, and is an event of its own (turned to pending again).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import structlog

from streams.documents.document import BrokenRules, DocumentType, Row
from streams.domain.sale_status import Version
from streams.stores.row_digests import read_digests
from streams.stores.sales_db import Transaction
from streams.stores.source_rows import read_versions
from streams.stores.sql_fragments import one_of

log = structlog.get_logger(__name__)


def edited(
    tx: Transaction, document_type: DocumentType, judged: Mapping[int, Version | None], today: date
) -> list[int]:
    """Those of which another version stands in the row. `judged`: the version that was judged by its id, None where
    the row made none."""
    as_read = read_digests(tx, document_type, [id_ for id_, version in judged.items() if version and version.rows])
    # Other rows may yet make the same body.
    rest = {id_: v for id_, v in judged.items() if v is None or v.rows is None or v.rows != as_read.get(id_)}
    if not rest:
        return []
    found = read_versions(tx, document_type, list(rest))
    return [
        id_
        for id_, version in rest.items()
        if (rows := found.get(id_)) and _differs(document_type, *rows, version, today)
    ]


def request_again(tx: Transaction, document_type: DocumentType, ids: Sequence[int], now_ms: int, *, why: str) -> None:
    """Pending, and due at once unless a claim or a due time brings it back; not where a till has taken the row back.
    `why`: for the log."""
    if not ids:
        return
    marks, parameters = one_of(ids)
    tx.execute(_DUE_NOW.format(ids=marks), [now_ms, now_ms, document_type.name, *parameters])
    tx.execute(_PENDING.format(table=document_type.table, ids=marks), parameters)
    log.info("document.requested_again", document=document_type.name, ids=list(ids), why=why)


def _differs(
    document_type: DocumentType, header: Row, lines: Sequence[Row], version: Version | None, today: date
) -> bool:
    try:
        return document_type.transform(header, lines, today).hash != (version.body if version else None)
    except BrokenRules:
        return version is not None
    except Exception as error:
        # A mistake of ours must not keep the ends of a whole batch from being written.
        log.error("document.unreadable", document=document_type.name, id=header["id"], error=type(error).__name__)
        return False


# name: due now, where its claim has just ended
_DUE_NOW = (
    "UPDATE dbo.SaleSync SET next_attempt_at = ?, attempts_since = ?, tries = 0 "
    "WHERE document_type = ? AND id IN ({ids}) AND next_attempt_at IS NULL AND lease_until = 0"
)
# name: pending again
_PENDING = (
    "UPDATE dbo.{table} SET status = 'PENDING_SYNC' WHERE id IN ({ids}) AND status IN ('SYNC_SUCCESS', 'SYNC_FAILED')"
)
