"""What pharmacies do with documents that were accepted: they correct some, and withdraw some."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import DocumentType
from streams.local.database import PointOfSale, SalesDatabase

_CORRECTED = 5
_WITHDRAWN = 3
"""Of a hundred accepted documents of a type, at least one of each."""


@dataclass(frozen=True, slots=True)
class Afterwards:
    corrected: int
    withdrawn: int


def change_accepted(database: SalesDatabase) -> Afterwards:
    """Correct a few accepted documents of each type, and withdraw a few others. Return how many."""
    corrected = withdrawn = 0
    with closing(database.connect()) as point_of_sale:
        for document_type in DOCUMENT_TYPES:
            sql = f"SELECT id FROM {document_type.table} WHERE status = 'SYNC_SUCCESS' ORDER BY id"  # noqa: S608
            accepted = [id_ for (id_,) in point_of_sale.execute(sql).fetchall()]
            to_correct = accepted[: _share(accepted, _CORRECTED)]
            to_withdraw = accepted[len(to_correct) :][: _share(accepted, _WITHDRAWN)]
            _correct(point_of_sale, document_type, to_correct)
            _withdraw(point_of_sale, document_type, to_withdraw)
            corrected, withdrawn = corrected + len(to_correct), withdrawn + len(to_withdraw)
    return Afterwards(corrected, withdrawn)


def _share(documents: Sequence[int], of_a_hundred: int) -> int:
    return max(1, len(documents) * of_a_hundred // 100)


def _correct(point_of_sale: PointOfSale, document_type: DocumentType, ids: Sequence[int]) -> None:
    with point_of_sale.selling(document_type.table):
        lines, parent = document_type.lines_table, document_type.lines_parent_column
        corrected = [(f"SUA-{id_}", id_) for id_ in ids]
        point_of_sale.executemany(f"UPDATE {lines} SET lot_number = ? WHERE {parent} = ?", corrected)  # noqa: S608
        _set_status(point_of_sale, document_type, "PENDING_SYNC", ids)


def _withdraw(point_of_sale: PointOfSale, document_type: DocumentType, ids: Sequence[int]) -> None:
    with point_of_sale.selling(document_type.table):
        _set_status(point_of_sale, document_type, "PENDING_CANCEL", ids)


def _set_status(point_of_sale: PointOfSale, document_type: DocumentType, status: str, ids: Sequence[int]) -> None:
    sql = f"UPDATE {document_type.table} SET status = ? WHERE id = ?"  # noqa: S608
    point_of_sale.executemany(sql, [(status, id_) for id_ in ids])
