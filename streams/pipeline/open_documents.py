"""The sender's access to the sales database: documents are read, claimed and recorded in batches; rows that are locked
or unreadable do not affect the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Final, TypeAlias, TypeVar

import structlog

from streams.documents.document import DocumentType
from streams.domain.account import Account
from streams.domain.document_codes import DocumentCodes
from streams.pipeline.batching import Batcher, ConcurrencyLimit
from streams.stores.isolation import Failed, class_and_state, run_isolated
from streams.stores.sales_db import SalesDb, StoreUnavailable
from streams.stores.source_rows import FoundDocument, SourceRows
from streams.stores.sync_state import Claim, ClaimRequest, SyncStates
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Locked(Enum):
    """Stands for a row that another transaction keeps locked."""

    LOCKED = "locked"


LOCKED: Final = Locked.LOCKED

Row: TypeAlias = FoundDocument | Locked | None
Accounts: TypeAlias = list[Account] | Locked | Failed

_READING = "read documents"
_RECORDING = "record what may be stored"
_NO_ID = 0
"""No database here counts from zero: no row has this id."""


class OpenDocuments:
    """Documents of one type. While the database is unavailable, every call waits and reports an outage."""

    def __init__(
        self,
        db: SalesDb,
        document_type: DocumentType,
        *,
        lease_ms: int,
        wait: float,
        concurrency_limit: ConcurrencyLimit | None = None,
    ) -> None:
        """`lease_ms`: how long a claim lasts. `wait`: seconds for which calls are collected before they are sent as one
        statement.
        """
        self._document_type = document_type
        self._rows = SourceRows(db)
        self._states = SyncStates(db, lease_ms=lease_ms)
        self._read = Batcher(self._read_batch, size=128, wait=wait, concurrency_limit=concurrency_limit)
        self._claim = Batcher(self._claim_batch, size=128, wait=wait, concurrency_limit=concurrency_limit)
        self._record = Batcher(self._record_batch, size=128, wait=wait, concurrency_limit=concurrency_limit)

    async def read(self, id_: int, shop: str) -> tuple[Row, Accounts]:
        """Return the document and the active accounts of `shop`. The document is None if its row has vanished, and
        `LOCKED` if it is locked. Raises what the database raises where the row cannot be read in any way.
        """
        found, accounts = await self._read((id_, shop))
        return _or_raise(found), accounts

    async def accounts(self, shop: str) -> Accounts:
        """Return the active accounts of `shop`."""
        [accounts] = await self._read_accounts([shop])
        return accounts

    async def has_other(self, codes: DocumentCodes, id_: int) -> bool | Locked:
        """Return whether another row than `id_` has these codes; `LOCKED` if such a row is locked."""
        return await self._ask(lambda: self._rows.has_other(self._document_type, codes, id_))

    async def is_of_another(self, codes: DocumentCodes, id_: int) -> bool | Locked:
        """Return whether another document than `id_` was accepted under these codes; `LOCKED` if rows are locked."""
        return await self._ask(lambda: self._rows.is_of_another(self._document_type, codes, id_))

    async def _ask(self, ask: Callable[[], Awaitable[bool]]) -> bool | Locked:
        try:
            return await until_available(ask, _READING, locked_for=0)
        except StoreUnavailable as error:
            if error.is_lock:
                return LOCKED
            raise

    async def claim(self, want: ClaimRequest) -> Claim | None:
        """Claim a document. Return None if another sender has a claim, or if the row is locked."""
        return _or_raise(await self._claim(want))

    async def may_be_stored(self, claim: Claim, sent_hash: str | None) -> None:
        """Record what may be stored by the national system, now that the attempt has ended; see
        `SyncStates.may_be_stored`.
        """
        if _or_raise(await self._record((claim, sent_hash))) is LOCKED:
            await until_available(
                lambda: self._states.may_be_stored(self._document_type.name, [(claim, sent_hash)]), _RECORDING
            )

    async def keep_refusal(self, claim: Claim, *, sent_hash: str | None, body: str | None, text: str | None) -> None:
        """Store the body that was refused and the API's text; see `SyncStates.keep_refusal`."""
        await until_available(
            lambda: self._states.keep_refusal(
                self._document_type.name, claim, sent_hash=sent_hash, body=body, text=text
            ),
            "keep a refusal",
        )

    async def keep_withdrawal(self, claim: Claim) -> None:
        """Record that nothing is stored any more; see `SyncStates.keep_withdrawal`."""
        await until_available(
            lambda: self._states.keep_withdrawal(self._document_type.name, claim), "record a withdrawal"
        )

    async def keep_answer(self, claim: Claim, http_status: int | None) -> None:
        """Store the HTTP status of an answer that decided nothing; see `SyncStates.keep_answer`."""
        await until_available(
            lambda: self._states.keep_answer(self._document_type.name, claim, http_status),
            "keep the status of an answer",
        )

    async def _read_batch(self, wanted: Sequence[tuple[int, str]]) -> Sequence[tuple[Row | Failed, Accounts]]:
        try:
            return await until_available(
                lambda: self._rows.read_with_accounts(self._document_type, wanted), _READING, locked_for=0
            )
        except Exception as error:
            log.info("documents.read_one_by_one", documents=len(wanted), error=class_and_state(error))
        # A shop whose account cannot be read gets that result; the rows of the batch are read all the same.
        found, accounts = await asyncio.gather(
            self._read_rows([id_ for id_, _ in wanted]), self._read_accounts([shop for _, shop in wanted])
        )
        return list(zip(found, accounts, strict=True))

    async def _read_rows(self, ids: Sequence[int]) -> Sequence[Row | Failed]:
        found: Sequence[Row | Failed] = await run_isolated(
            lambda part: self._rows.read(self._document_type, part), ids, _READING, locked=LOCKED, no_item=_NO_ID
        )
        unreadable = {id_: each for id_, each in zip(ids, found, strict=True) if isinstance(each, Failed)}
        if not unreadable:
            return found
        for id_, each in unreadable.items():
            log.error(
                "document.unreadable", document=self._document_type.name, id=id_, error=class_and_state(each.error)
            )
        states: Sequence[Row | Failed] = await run_isolated(
            lambda part: self._rows.read_state_alone(self._document_type, part),
            list(unreadable),
            _READING,
            locked=LOCKED,
            no_item=_NO_ID,
        )
        instead = dict(zip(unreadable, states, strict=True))
        return [instead.get(id_, each) for id_, each in zip(ids, found, strict=True)]

    async def _read_accounts(self, shops: Sequence[str]) -> Sequence[Accounts]:
        return await run_isolated(self._rows.accounts, shops, "read accounts", locked=LOCKED, no_item="")

    async def _claim_batch(self, wants: Sequence[ClaimRequest]) -> Sequence[Claim | Failed | None]:
        return await run_isolated(
            lambda part: self._states.claim(self._document_type.name, self._document_type.table, part),
            wants,
            "claim",
            locked=None,
            no_item=ClaimRequest(_NO_ID, attempt=0, sent_hash=None, attempts_since=0, tries=0),
        )

    async def _record_batch(self, known: Sequence[tuple[Claim, str | None]]) -> Sequence[Locked | Failed | None]:
        async def write(part: Sequence[tuple[Claim, str | None]]) -> Sequence[Locked | None]:
            await self._states.may_be_stored(self._document_type.name, part)
            return [None] * len(part)

        nobody = Claim(_NO_ID, attempt=0, lease_until=0), None
        return await run_isolated(write, known, _RECORDING, locked=LOCKED, no_item=nobody)


def _or_raise(result: T | Failed) -> T:
    if isinstance(result, Failed):
        raise result.error
    return result
