"""The sender's way to the sales database: documents read, claimed and noted in batches, past rows that are locked or
that cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Final, TypeAlias, TypeVar

import structlog

from streams.documents.document import DocumentType
from streams.domain.account import Account
from streams.pipeline.batching import Batcher, ConcurrencyLimit
from streams.stores.isolation import Failed, class_and_state, isolated
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import FoundDocument, SourceRows
from streams.stores.sync_state import Claim, SyncStates, Want
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Locked(Enum):
    """In the place of a row that somebody keeps locked."""

    LOCKED = "locked"


LOCKED: Final = Locked.LOCKED

Row: TypeAlias = FoundDocument | Locked | None
Accounts: TypeAlias = list[Account] | Locked | Failed

_READING = "read documents"
_NOTING = "write down what may be held"
_NO_ID = 0
"""No database of ours counts from it: whoever asks for it meets no row."""


class OpenDocuments:
    """Of one kind. While the database is away, every call waits and says so."""

    def __init__(
        self,
        db: SalesDb,
        document_type: DocumentType,
        *,
        lease_ms: int,
        wait: float,
        turnstile: ConcurrencyLimit | None = None,
    ) -> None:
        """`wait`: seconds for which calls gather before they go out as one statement."""
        self._document_type = document_type
        self._rows = SourceRows(db)
        self._states = SyncStates(db, lease_ms=lease_ms)
        self._read = Batcher(self._read_batch, size=128, wait=wait, turnstile=turnstile)
        self._claim = Batcher(self._claim_batch, size=128, wait=wait, turnstile=turnstile)
        self._note = Batcher(self._note_batch, size=128, wait=wait, turnstile=turnstile)

    async def read(self, id_: int, shop: str) -> tuple[Row, Accounts]:
        """The document, None where its row has vanished; and the active accounts of `shop`. What can be read of neither
        way is raised."""
        found, accounts = await self._read((id_, shop))
        return _or_raise(found), accounts

    async def accounts(self, shop: str) -> Accounts:
        [accounts] = await self._read_accounts([shop])
        return accounts

    async def claim(self, want: Want) -> Claim | None:
        """None: somebody else is at it, or keeps it locked."""
        return _or_raise(await self._claim(want))

    async def may_be_stored(self, claim: Claim, sent_hash: str | None) -> None:
        """Writes down what is known now that the attempt has ended; see `SyncStates.may_be_stored`."""
        if _or_raise(await self._note((claim, sent_hash))) is LOCKED:
            await until_available(
                lambda: self._states.may_be_stored(self._document_type.name, [(claim, sent_hash)]), _NOTING
            )

    async def keep_refusal(self, claim: Claim, *, sent_hash: str | None, body: str | None, words: str | None) -> None:
        await until_available(
            lambda: self._states.keep_refusal(
                self._document_type.name, claim, sent_hash=sent_hash, body=body, words=words
            ),
            "keep a refusal",
        )

    async def keep_answer(self, claim: Claim, http_status: int | None) -> None:
        await until_available(
            lambda: self._states.keep_answer(self._document_type.name, claim, http_status),
            "keep the status of an answer",
        )

    async def _read_batch(self, wanted: Sequence[tuple[int, str]]) -> Sequence[tuple[Row | Failed, Accounts]]:
        try:
            return await until_available(
                lambda: self._rows.read_with_accounts(self._document_type, wanted), _READING, through_locks=False
            )
        except Exception as error:
            log.info("documents.read_one_by_one", documents=len(wanted), error=class_and_state(error))
        # A shop whose account is in the way is told so, and its rows are none the less read.
        found, accounts = await asyncio.gather(
            self._read_rows([id_ for id_, _ in wanted]), self._read_accounts([shop for _, shop in wanted])
        )
        return list(zip(found, accounts, strict=True))

    async def _read_rows(self, ids: Sequence[int]) -> Sequence[Row | Failed]:
        found: Sequence[Row | Failed] = await isolated(
            lambda part: self._rows.read(self._document_type, part), ids, _READING, locked=LOCKED, nobody=_NO_ID
        )
        odd = {id_: each for id_, each in zip(ids, found, strict=True) if isinstance(each, Failed)}
        if not odd:
            return found
        for id_, each in odd.items():
            log.error(
                "document.unreadable", document=self._document_type.name, id=id_, error=class_and_state(each.error)
            )
        known: Sequence[Row | Failed] = await isolated(
            lambda part: self._rows.read_state_alone(self._document_type, part),
            list(odd),
            _READING,
            locked=LOCKED,
            nobody=_NO_ID,
        )
        instead = dict(zip(odd, known, strict=True))
        return [instead.get(id_, each) for id_, each in zip(ids, found, strict=True)]

    async def _read_accounts(self, shops: Sequence[str]) -> Sequence[Accounts]:
        return await isolated(self._rows.accounts, shops, "read accounts", locked=LOCKED, nobody="")

    async def _claim_batch(self, wants: Sequence[Want]) -> Sequence[Claim | Failed | None]:
        return await isolated(
            lambda part: self._states.claim(self._document_type.name, self._document_type.table, part),
            wants,
            "claim",
            locked=None,
            nobody=Want(_NO_ID, attempt=0, sent_hash=None, attempts_since=0, tries=0),
        )

    async def _note_batch(self, known: Sequence[tuple[Claim, str | None]]) -> Sequence[Locked | Failed | None]:
        async def write(part: Sequence[tuple[Claim, str | None]]) -> Sequence[Locked | None]:
            await self._states.may_be_stored(self._document_type.name, part)
            return [None] * len(part)

        nobody = Claim(_NO_ID, attempt=0, lease_until=0), None
        return await isolated(write, known, _NOTING, locked=LOCKED, nobody=nobody)


def _or_raise(result: T | Failed) -> T:
    if isinstance(result, Failed):
        raise result.error
    return result
