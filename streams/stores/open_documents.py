"""The sender's way to the sales database: documents read, claimed and noted in batches, past rows that are locked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Final, TypeAlias

from streams.batching import Batcher, Turnstile
from streams.documents.document import DocumentKind
from streams.national_api.account import Account
from streams.stores.patience import past_locks, patiently
from streams.stores.sales_db import SalesDb, StoreUnavailable
from streams.stores.source_rows import Found, SourceRows
from streams.stores.sync_state import Claim, SyncStates, Want


class Locked(Enum):
    """In the place of a row that somebody keeps locked."""

    LOCKED = "locked"


LOCKED: Final = Locked.LOCKED

Row: TypeAlias = Found | Locked | None
Accounts: TypeAlias = list[Account] | Locked

_READING = "read documents"
_NOTING = "write down what may be held"


class OpenDocuments:
    """Of one kind. While the database is away, every call waits and says so."""

    def __init__(
        self, db: SalesDb, kind: DocumentKind, *, lease_ms: int, wait: float, turnstile: Turnstile | None = None
    ) -> None:
        """`wait`: seconds for which calls gather before they go out as one statement."""
        self._kind = kind
        self._rows = SourceRows(db)
        self._states = SyncStates(db, lease_ms=lease_ms)
        self._read = Batcher(self._read_batch, size=128, wait=wait, turnstile=turnstile)
        self._claim = Batcher(self._claim_batch, size=128, wait=wait, turnstile=turnstile)
        self._note = Batcher(self._note_batch, size=128, wait=wait, turnstile=turnstile)

    async def read(self, id_: int, shop: str) -> tuple[Row, Accounts]:
        """The document, None where its row has vanished; and the active accounts of `shop`."""
        return await self._read((id_, shop))

    async def accounts(self, shop: str) -> Accounts:
        [accounts] = await self._read_accounts([shop])
        return accounts

    async def claim(self, want: Want) -> Claim | None:
        """None: somebody else is at it, or keeps it locked."""
        return await self._claim(want)

    async def may_be_held(self, claim: Claim, sent_hash: str | None) -> None:
        """Writes down what is known now that the attempt has ended; see `SyncStates.may_be_held`."""
        if await self._note((claim, sent_hash)) is LOCKED:
            await patiently(lambda: self._states.may_be_held(self._kind.name, [(claim, sent_hash)]), _NOTING)

    async def keep_refusal(self, claim: Claim, *, sent_hash: str | None, body: str | None, words: str | None) -> None:
        await patiently(
            lambda: self._states.keep_refusal(self._kind.name, claim, sent_hash=sent_hash, body=body, words=words),
            "keep a refusal",
        )

    async def keep_answer(self, claim: Claim, http_status: int | None) -> None:
        await patiently(
            lambda: self._states.keep_answer(self._kind.name, claim, http_status), "keep the status of an answer"
        )

    async def _read_batch(self, wanted: Sequence[tuple[int, str]]) -> Sequence[tuple[Row, Accounts]]:
        try:
            return await patiently(
                lambda: self._rows.read_with_accounts(self._kind, wanted), _READING, through_locks=False
            )
        except StoreUnavailable as error:
            if not error.is_lock:
                raise
        # A shop whose account is locked is told so, and its rows are none the less read.
        found, accounts = await asyncio.gather(
            self._read_rows([id_ for id_, _ in wanted]), self._read_accounts([shop for _, shop in wanted])
        )
        return list(zip(found, accounts, strict=True))

    async def _read_rows(self, ids: Sequence[int]) -> Sequence[Row]:
        return await past_locks(lambda part: self._rows.read(self._kind, part), ids, _READING, locked=LOCKED)

    async def _read_accounts(self, shops: Sequence[str]) -> Sequence[Accounts]:
        return await past_locks(self._rows.accounts, shops, "read accounts", locked=LOCKED)

    async def _claim_batch(self, wants: Sequence[Want]) -> Sequence[Claim | None]:
        return await past_locks(
            lambda part: self._states.claim(self._kind.name, self._kind.table, part), wants, "claim", locked=None
        )

    async def _note_batch(self, known: Sequence[tuple[Claim, str | None]]) -> Sequence[Locked | None]:
        async def write(part: Sequence[tuple[Claim, str | None]]) -> Sequence[Locked | None]:
            await self._states.may_be_held(self._kind.name, part)
            return [None] * len(part)

        return await past_locks(write, known, _NOTING, locked=LOCKED)
