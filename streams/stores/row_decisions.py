"""Write decisions into the rows of the point of sale's tables.

A decision about sending is written only over a status of sending, and one about a withdrawal only over a status of a
withdrawal. A status of neither belongs to the point of sale and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from streams.documents.document import DocumentType
from streams.domain.document_status import PENDING, SUCCEEDED, Operation
from streams.domain.sale_status import SaleStatus
from streams.domain.status_message import StatusMessage
from streams.stores.sales_db import Transaction
from streams.stores.sql_fragments import by_id, chunks, one_of, statuses_of


def write_rows(
    tx: Transaction,
    document_type: DocumentType,
    decisions: Mapping[int, StatusMessage],
    messages: Mapping[int, str | None],
    now: datetime,
) -> None:
    """Write status, national id and message of decisions. `now`: local time of the points of sale."""
    for operation in Operation:
        chosen = {i: item for i, item in decisions.items() if item.operation is operation}
        finals = [i for i, item in chosen.items() if item.is_final]
        # In the order of their ids: a till's transaction and this one then seldom wait for each other in a circle.
        for part in chunks(sorted(finals), tx.rows_per_update):
            final = {i: decisions[i].status for i in part}
            ids, id_parameters = one_of(list(final))
            status, p1 = by_id({i: s.status for i, s in final.items()}, otherwise="status", every=True)
            national, p2 = by_id(national_ids(final), otherwise=document_type.national_id_column)
            message, p3 = by_id({i: messages[i] for i in final}, otherwise="sync_response_message", every=True)
            sql = _WRITE_FINAL.format(
                table=document_type.table,
                national_id=document_type.national_id_column,
                status=status,
                national=national,
                message=message,
                ids=ids,
                statuses=statuses_of(operation),
            )
            tx.execute(sql, [*p1, *p2, *p3, now, *id_parameters])
        for part in chunks(sorted(chosen.keys() - finals), tx.rows_per_update):
            ids, id_parameters = one_of(part)
            message, p1 = by_id({i: messages[i] for i in part}, otherwise="sync_response_message", every=True)
            sql = _WRITE_NOTES.format(
                table=document_type.table, message=message, ids=ids, pending=f"'{PENDING[operation]}'"
            )
            tx.execute(sql, [*p1, now, *id_parameters])


def national_ids(final: Mapping[int, SaleStatus]) -> dict[int, str | None]:
    """Return the national ids that the rows get: none (None) after a withdrawal. Ids of rows that keep theirs are left
    out.
    """
    return {
        i: status.national_invoice_id
        for i, status in final.items()
        if status.national_invoice_id or status.status == SUCCEEDED[Operation.WITHDRAW]
    }


# name: write final decisions; a status that is not ours belongs to the point of sale and stays
_WRITE_FINAL = (
    "UPDATE dbo.{table} SET status = {status}, {national_id} = {national}, sync_response_message = {message}, "
    "updated_at = ? WHERE id IN ({ids}) AND status IN {statuses}"
)
# name: write why documents wait
_WRITE_NOTES = (
    "UPDATE dbo.{table} SET sync_response_message = {message}, updated_at = ? "
    "WHERE id IN ({ids}) AND status = {pending}"
)
