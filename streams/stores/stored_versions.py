"""Keep in `dbo.SaleSync` what the national system stores of documents: the codes and the digests of what was accepted,
and no codes of what was withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.domain.document_status import SUCCEEDED, Operation
from streams.domain.status_message import StatusMessage
from streams.stores.sales_db import Transaction
from streams.stores.sent_rows import sent_rows
from streams.stores.sql_fragments import by_id, one_of


def keep_stored_versions(tx: Transaction, document_type: str, ended: Iterable[StatusMessage]) -> None:
    """Keep what is stored after these acceptances and withdrawals, in the transaction that records them. A statement of
    its own, as the one that records decisions has nearly as many parameters as SQL Server takes.
    """
    decisions = {item.status.id: item for item in ended}
    if not decisions:
        return
    accepted = {i: item for i, item in decisions.items() if item.status.status == SUCCEEDED[Operation.SEND]}
    facility_codes = {i: accepted[i].status.pharmacy_code if i in accepted else None for i in decisions}
    document_codes = {i: accepted[i].status.local_invoice_id if i in accepted else None for i in decisions}
    rows = {
        i: sent_rows(item.version.body, item.version.rows, item.status.pharmacy_code, item.status.local_invoice_id)
        for i, item in accepted.items()
        if item.version
    }
    facility, p_facility = by_id(facility_codes, otherwise="NULL", every=True)
    document, p_document = by_id(document_codes, otherwise="NULL", every=True)
    kept, p_kept = by_id(rows, otherwise="sent_rows", every=len(rows) == len(decisions))
    ids, p_ids = one_of(list(decisions))
    sql = _KEEP.format(facility=facility, document=document, kept=kept, ids=ids)
    tx.execute(sql, [*p_facility, *p_document, *p_kept, document_type, *p_ids])


# name: keep what is stored
_KEEP = (
    "UPDATE dbo.SaleSync SET stored_facility_code = {facility}, stored_document_code = {document}, sent_rows = {kept} "
    "WHERE document_type = ? AND id IN ({ids})"
)
