"""`dbo.SaleSync`: who is at a document, what may be held of it, when it is due. Claims are taken here.

All times are UTC milliseconds of the database's own clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from streams.record import record
from streams.stores.sales_db import SalesDb, StoreError, Transaction
from streams.stores.sql import by_id, chunks, one_of, set_to

SEVERAL: Final = "*"
"""A `sent_hash` that says: some version, which is not known, may be held by the national system."""

_TRIES = 5

R = TypeVar("R")

STATE_COLUMNS = (
    "attempt",
    "lease_until",
    "sent_hash",
    "ever_accepted",
    "told_attempt",
    "next_attempt_at",
    "attempts_since",
    "tries",
)


@record
class SyncState:
    attempt: int = 0
    lease_until: int = 0
    sent_hash: str | None = None
    """None: nothing of it can be held, as far as is known. A hash: that version may be. `SEVERAL`: any may be."""
    ever_accepted: bool = False
    told_attempt: int = 0
    next_attempt_at: int | None = None
    attempts_since: int | None = None
    """When the document was captured, or first seen pending: the beginning of this asking."""
    tries: int = 0
    """Attempts at sending in this asking: where its delays stand."""


def read_state(row: Mapping[str, Any]) -> SyncState | None:
    if row["attempt"] is None:
        return None
    return SyncState(**{name: row[name] for name in STATE_COLUMNS} | {"ever_accepted": bool(row["ever_accepted"])})


@record
class Want:
    """A claim that is wanted, on the state that was read: it is obtained only if that still stands."""

    id: int
    attempt: int
    """The attempt that was read; the claim's is one more."""
    sent_hash: str | None
    """What may be held once this attempt has sent."""
    attempts_since: int
    tries: int
    known: bool = False
    """Its state has a row. Asked for anyway where the attempt is not 0."""


@record
class Claim:
    id: int
    attempt: int
    lease_until: int


class SyncStates:
    def __init__(self, db: SalesDb, *, lease_ms: int) -> None:
        self._db = db
        self._lease_ms = lease_ms

    async def claim(self, kind: str, table: str, wants: Sequence[Want]) -> list[Claim | None]:
        """In the order of `wants`; None where somebody else is at it, be it another of `wants`. Raises `StoreError`."""
        chosen: dict[int, Want] = {}
        for want in wants:  # of several that want the same document, one that read its newest state
            if want.id not in chosen or want.attempt > chosen[want.id].attempt:
                chosen[want.id] = want
        claims: dict[int, Claim] = {}
        for part in chunks(list(chosen.values())):
            claims |= {claim.id: claim for claim in await self._claim(kind, table, part)}
        return [claims.get(want.id) if chosen[want.id] is want else None for want in wants]

    async def _claim(self, kind: str, table: str, part: Sequence[Want]) -> list[Claim]:
        lease_until = await self._db.now_ms() + self._lease_ms
        owner = uuid.uuid4().hex

        def take(tx: Transaction) -> list[tuple[Any, ...]]:
            return _take(tx, kind, table, part, lease_until, self._lease_ms, owner)

        taken = await again_where_others_made_rows(take, self._db)
        return [Claim(id_, attempt, lease_until) for id_, attempt in taken]

    async def may_be_held(self, kind: str, known: Sequence[tuple[Claim, str | None]]) -> None:
        """What is known of each now that its attempt has ended: nothing, or the version that was accepted.
        Where the claim is not the last one any more, nothing changes."""
        newest = {claim.id: (claim, sent_hash) for claim, sent_hash in sorted(known, key=lambda each: each[0].attempt)}
        for part in chunks(list(newest.values())):
            ids, id_parameters = one_of([claim.id for claim, _ in part])
            sent_hash, hash_parameters = by_id({claim.id: text for claim, text in part}, otherwise="sent_hash")
            attempt, attempt_parameters = by_id(
                {claim.id: claim.attempt for claim, _ in part}, otherwise="-1", cast="INT"
            )
            sql = _SET_HELD.format(sent_hash=sent_hash, ids=ids, attempt=attempt)
            parameters = [*hash_parameters, kind, *id_parameters, *attempt_parameters]

            def write(tx: Transaction, sql: str = sql, parameters: Sequence[Any] = parameters) -> None:
                tx.execute(sql, parameters)

            await self._db.transaction(write)

    async def keep_refusal(
        self, kind: str, claim: Claim, *, sent_hash: str | None, body: str | None, words: str | None
    ) -> None:
        """The body that was refused and the API's words, kept before the refusal is told."""
        refusal = {"refused_attempt": claim.attempt, "refused_body": body, "refused_words": words}
        setting, parameters = set_to({"sent_hash": sent_hash, **refusal})

        def run(tx: Transaction) -> None:
            tx.execute(_SET.format(setting=setting), [*parameters, kind, claim.id, claim.attempt])

        await self._db.transaction(run)


async def again_where_others_made_rows(make: Callable[[Transaction], R], db: SalesDb) -> R:
    """Another worker may make a row between our look and our insert; with the next look it is there."""
    for _ in range(_TRIES - 1):
        try:
            return await db.transaction(make)
        except StoreError as error:
            if not error.is_duplicate:
                raise
    return await db.transaction(make)


def _take(
    tx: Transaction, kind: str, table: str, wants: Sequence[Want], lease_until: int, lease_ms: int, owner: str
) -> list[tuple[Any, ...]]:
    taken: list[tuple[Any, ...]] = []
    if new := [want for want in wants if want.attempt == 0 and not want.known]:
        ids, id_parameters = one_of([want.id for want in new])
        sent_hash, since, tries, parameters = _what_is_wanted(new, id_="d.id")
        tx.execute(
            _CLAIM_NEW.format(table=table, sent_hash=sent_hash, since=since, tries=tries, ids=ids),
            [kind, owner, lease_until, lease_until, *parameters, *id_parameters, kind],
        )
        taken = tx.rows(_TAKEN.format(ids=ids), [kind, owner, *id_parameters])
    had = {id_ for id_, _ in taken}
    if others := [want for want in wants if want.id not in had]:
        ids, id_parameters = one_of([want.id for want in others])
        sent_hash, since, tries, parameters = _what_is_wanted(others, id_="id")
        attempt, attempts = by_id({w.id: w.attempt for w in others}, otherwise="-1", cast="INT", every=True)
        tx.execute(
            _CLAIM.format(sent_hash=sent_hash, since=since, tries=tries, attempt=attempt, ids=ids),
            [owner, lease_until, lease_until, *parameters, kind, lease_until - lease_ms, *id_parameters, *attempts],
        )
        taken += tx.rows(_TAKEN.format(ids=ids), [kind, owner, *id_parameters])
    return taken


def _what_is_wanted(wants: Sequence[Want], *, id_: str) -> tuple[str, str, str, list[Any]]:
    """sent_hash, attempts_since, tries, and their parameters in this order."""
    sent_hash, hashes = by_id({w.id: w.sent_hash for w in wants}, otherwise="NULL", every=True, id_=id_)
    since, moments = by_id({w.id: w.attempts_since for w in wants}, otherwise="0", cast="BIGINT", every=True, id_=id_)
    tries, counts = by_id({w.id: w.tries for w in wants}, otherwise="0", cast="INT", every=True, id_=id_)
    return sent_hash, since, tries, [*hashes, *moments, *counts]


# name: claim, where there is no state yet; due again when the lease runs out
_CLAIM_NEW = (
    "INSERT INTO dbo.SaleSync "
    "(kind, id, attempt, owner, lease_until, next_attempt_at, sent_hash, attempts_since, tries) "
    "SELECT ?, d.id, 1, ?, CAST(? AS BIGINT), CAST(? AS BIGINT), {sent_hash}, {since}, {tries} "
    "FROM dbo.{table} d WHERE d.id IN ({ids}) "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.kind = ? AND s.id = d.id)"
)
# name: claim, where nobody is at it and nothing has changed; due again when the lease runs out
_CLAIM = (
    "UPDATE dbo.SaleSync SET attempt = attempt + 1, owner = ?, lease_until = ?, next_attempt_at = ?, "
    "sent_hash = {sent_hash}, attempts_since = {since}, tries = {tries} "
    "WHERE kind = ? AND lease_until <= ? AND id IN ({ids}) AND attempt = {attempt}"
)
# name: which of them were obtained
_TAKEN = "SELECT id, attempt FROM dbo.SaleSync WHERE kind = ? AND owner = ? AND id IN ({ids})"
# name: what may be held now
_SET_HELD = "UPDATE dbo.SaleSync SET sent_hash = {sent_hash} WHERE kind = ? AND id IN ({ids}) AND attempt = {attempt}"
# name: keep a refusal
_SET = "UPDATE dbo.SaleSync SET {setting} WHERE kind = ? AND id = ? AND attempt = ?"
