"""All that is known of one sale: its row and lines, its row of `dbo.SaleSync`, the actions that people requested, and
its history in MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from streams.documents.document import DocumentType, Row
from streams.stores.journal import JournalUnavailable
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.source_rows import read_documents

_MAX_HISTORY = 200


class HistoryReader(Protocol):
    """The part of `streams.stores.journal.Journal` that is needed here."""

    async def history(
        self, document_type: str, pharmacy_code: str, document_code: str, most: int
    ) -> list[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """An action that a person requested: a row of `dbo.SaleAction`."""

    action: str
    """``send_again``, ``send_now`` or ``withdraw``."""
    actor: str
    at_ms: int
    """UTC milliseconds."""
    reason: str | None
    """The reason code at that time: why the sale had failed or was waiting."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """A row of `dbo.SaleSync`; its times are UTC milliseconds."""

    attempt: int
    published_attempt: int
    lease_until: int
    """Until then an attempt is running, or the outcome of one that was published as in doubt cannot be looked up."""
    ever_accepted: bool
    may_be_stored: bool
    """Whether the national system may have stored a version of the sale."""
    next_attempt_at: int | None
    attempts_since: int | None
    tries: int
    reason: str | None
    refused_attempt: int | None
    refused_body: str | None = field(repr=False)
    """The body of the last refused request, as it was sent; personal data."""
    refused_text: str | None = field(repr=False)
    """The text of the API's refusal."""


@dataclass(frozen=True, slots=True)
class SaleDetails:
    id: int
    document_code: str
    pharmacy_code: str
    shop: str
    status: str
    national_id: str | None
    message: str | None = field(repr=False)
    """`sync_response_message`: our own text and that of the API."""
    header: Row = field(repr=False)
    """Every column that is sent, and `created_at` and `updated_at`; personal data."""
    lines: Sequence[Row] = field(repr=False)
    sync: SyncState | None
    """None: no worker has seen the sale yet."""
    actions: Sequence[RecordedAction]
    """Newest first."""
    history: Sequence[Mapping[str, Any]] | None = field(repr=False)
    """Decisions as published on `sale-status`, newest first, at most 200. None: the journal is not available."""


class SaleCard:
    def __init__(
        self, db: SalesDb, document_type: DocumentType, journal: HistoryReader, *, journal_timeout: float = 2.0
    ) -> None:
        """`journal_timeout`: seconds to wait for the journal; without its answer a sale is shown without a history."""
        self._db = db
        self._document_type = document_type
        self._journal = journal
        self._journal_timeout = journal_timeout

    async def find(self, document_code: str, pharmacy_code: str | None = None) -> list[int]:
        """Return the ids of the sales with exactly this code, one for each pharmacy. Raises `StoreError`."""
        sql, parameters = (
            _FIND.format(table=self._document_type.table, code=self._document_type.document_code_column),
            [document_code],
        )
        if pharmacy_code is not None:
            sql, parameters = sql + _OF_PHARMACY, [document_code, pharmacy_code]

        def query(tx: Transaction) -> list[int]:
            rows = tx.rows(f"{sql} ORDER BY d.id", parameters)
            return [int(id_) for (id_,) in rows]

        return await self._db.transaction(query)

    async def read(self, id_: int) -> SaleDetails | None:
        """Return all that is known of the sale, or None if there is no such row. Raises `StoreError`."""
        document_type = self._document_type

        def query(tx: Transaction) -> SaleDetails | None:
            rows = tx.dicts(
                _WRITTEN_BACK.format(table=document_type.table, national_id=document_type.national_id_column), [id_]
            )
            sync = tx.dicts(_SYNC_STATE, [document_type.name, id_])
            actions = tx.rows(_ACTIONS, [document_type.name, id_])
            found = read_documents(tx, document_type, [id_]).get(id_)
            if not rows or not found:
                return None
            written_back, header = rows[0], found.header
            return SaleDetails(
                id=id_,
                document_code=header[document_type.document_code_column],
                pharmacy_code=header["pharmacy_code"],
                shop=header["shop_pharmacy_code"],
                status=header["status"],
                national_id=written_back[document_type.national_id_column],
                message=written_back["sync_response_message"],
                header={name: header[name] for name in document_type.header_columns}
                | {name: written_back[name] for name in ("created_at", "updated_at")},
                lines=[{name: line[name] for name in document_type.line_columns} for line in found.lines],
                sync=_sync_state(sync[0]) if sync else None,
                actions=[RecordedAction(*action) for action in actions],
                history=None,
            )

        sale = await self._db.transaction(query)
        if sale is None:
            return None
        return replace(sale, history=await self._history(sale))

    async def _history(self, sale: SaleDetails) -> Sequence[Mapping[str, Any]] | None:
        try:
            async with asyncio.timeout(self._journal_timeout):
                return await self._journal.history(
                    self._document_type.name, sale.pharmacy_code, sale.document_code, _MAX_HISTORY
                )
        except (TimeoutError, JournalUnavailable):
            return None


def _sync_state(row: Mapping[str, Any]) -> SyncState:
    return SyncState(
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
# name: the columns that are written back, and when they were
_WRITTEN_BACK = (
    "SELECT d.{national_id}, d.sync_response_message, d.created_at, d.updated_at FROM dbo.{table} d WHERE d.id = ?"
)
# name: the row of dbo.SaleSync of one sale
_SYNC_STATE = (
    "SELECT s.attempt, s.published_attempt, s.lease_until, s.ever_accepted, s.sent_hash, s.next_attempt_at, "
    "s.attempts_since, s.tries, s.reason_code, s.refused_attempt, s.refused_body, s.refused_text "
    "FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = ?"
)
# name: the actions that people requested for one sale
_ACTIONS = (
    "SELECT a.action, a.actor, a.acted_at, a.reason_code FROM dbo.SaleAction a WHERE a.document_type = ? AND a.id = ? "
    "ORDER BY a.acted_at DESC"
)
