"""One sale everywhere: its row and lines, what `dbo.SaleSync` knows, who asked for what, and its history in Mongo."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from streams.documents.document import DocumentType, Row
from streams.stores.journal import JournalUnavailable
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.source_rows import read_documents

_HISTORY = 200


class Histories(Protocol):
    """`streams.stores.journal.Journal`."""

    async def history(self, pharmacy_code: str, document_code: str, most: int) -> list[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """What somebody asked for."""

    action: str
    """send_again, send_now."""
    actor: str
    at_ms: int
    reason: str | None
    """Why the sale had failed or was waiting then."""


@dataclass(frozen=True, slots=True)
class Known:
    """Its row of `dbo.SaleSync`; times are UTC milliseconds."""

    attempt: int
    published_attempt: int
    lease_until: int
    """Until then an attempt is running, or was told as in doubt."""
    ever_accepted: bool
    may_be_stored: bool
    next_attempt_at: int | None
    attempts_since: int | None
    tries: int
    reason: str | None
    refused_attempt: int | None
    refused_body: str | None = field(repr=False)
    """As it was sent; personal data."""
    refused_text: str | None = field(repr=False)
    """The API's own."""


@dataclass(frozen=True, slots=True)
class OneSale:
    id: int
    document_code: str
    pharmacy_code: str
    shop: str
    status: str
    national_id: str | None
    message: str | None = field(repr=False)
    """sync_response_message: our words and the API's."""
    header: Row = field(repr=False)
    """Every column that is sent, and created_at, updated_at; personal data."""
    lines: Sequence[Row] = field(repr=False)
    known: Known | None
    """None: nobody has seen it yet."""
    actions: Sequence[RecordedAction]
    """Newest first."""
    history: Sequence[Mapping[str, Any]] | None = field(repr=False)
    """Decisions as `sale-status` told them, newest first, 200 at most. None: the journal is not available."""


class SaleCard:
    def __init__(self, db: SalesDb, document_type: DocumentType, journal: Histories, *, patience: float = 2.0) -> None:
        """`patience`: seconds for the journal."""
        self._db = db
        self._document_type = document_type
        self._journal = journal
        self._patience = patience

    async def find(self, document_code: str, pharmacy_code: str | None = None) -> list[int]:
        """Ids of the sales with exactly this code: one for each pharmacy that has it. Raises `StoreError`."""
        sql, parameters = (
            _FIND.format(table=self._document_type.table, code=self._document_type.document_code_column),
            [document_code],
        )
        if pharmacy_code is not None:
            sql, parameters = sql + _OF_PHARMACY, [document_code, pharmacy_code]

        def ask(tx: Transaction) -> list[int]:
            rows = tx.rows(f"{sql} ORDER BY d.id", parameters)
            return [int(id_) for (id_,) in rows]

        return await self._db.transaction(ask)

    async def read(self, id_: int) -> OneSale | None:
        """None: there is no such row. Raises `StoreError`."""
        document_type = self._document_type

        def ask(tx: Transaction) -> OneSale | None:
            rows = tx.dicts(
                _REST.format(table=document_type.table, national_id=document_type.national_id_column), [id_]
            )
            known = tx.dicts(_KNOWN, [document_type.name, id_])
            actions = tx.rows(_ACTIONS, [document_type.name, id_])
            found = read_documents(tx, document_type, [id_]).get(id_)
            if not rows or not found:
                return None
            rest, header = rows[0], found.header
            return OneSale(
                id=id_,
                document_code=header[document_type.document_code_column],
                pharmacy_code=header["pharmacy_code"],
                shop=header["shop_pharmacy_code"],
                status=header["status"],
                national_id=rest[document_type.national_id_column],
                message=rest["sync_response_message"],
                header={name: header[name] for name in document_type.header_columns}
                | {name: rest[name] for name in ("created_at", "updated_at")},
                lines=[{name: line[name] for name in document_type.line_columns} for line in found.lines],
                known=_known(known[0]) if known else None,
                actions=[RecordedAction(*action) for action in actions],
                history=None,
            )

        sale = await self._db.transaction(ask)
        if sale is None:
            return None
        return replace(sale, history=await self._history(sale))

    async def _history(self, sale: OneSale) -> Sequence[Mapping[str, Any]] | None:
        try:
            async with asyncio.timeout(self._patience):
                return await self._journal.history(sale.pharmacy_code, sale.document_code, _HISTORY)
        except (TimeoutError, JournalUnavailable):
            return None


def _known(row: Mapping[str, Any]) -> Known:
    return Known(
        attempt=row["attempt"],
        published_attempt=row["published_attempt"],
        lease_until=row["lease_until"],
        ever_accepted=bool(row["ever_accepted"]),
        may_be_stored=row["sent_hash"] is not None,
        next_attempt_at=row["next_attempt_at"],
        attempts_since=row["attempts_since"],
        tries=row["tries"],
        reason=row["reason_code"],
        refused_attempt=row["refused_attempt"],
        refused_body=row["refused_body"],
        refused_text=row["refused_text"],
    )


# name: sales with this code
_FIND = "SELECT d.id FROM dbo.{table} d WHERE d.{code} = ?"
_OF_PHARMACY = " AND d.pharmacy_code = ?"
# name: what is written back, and when
_REST = "SELECT d.{national_id}, d.sync_response_message, d.created_at, d.updated_at FROM dbo.{table} d WHERE d.id = ?"
# name: all that is known of one sale
_KNOWN = (
    "SELECT s.attempt, s.published_attempt, s.lease_until, s.ever_accepted, s.sent_hash, s.next_attempt_at, "
    "s.attempts_since, s.tries, s.reason_code, s.refused_attempt, s.refused_body, s.refused_text "
    "FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = ?"
)
# name: who asked for what
_ACTIONS = (
    "SELECT a.action, a.actor, a.acted_at, a.reason_code FROM dbo.SaleAction a WHERE a.document_type = ? AND a.id = ? "
    "ORDER BY a.acted_at DESC"
)
