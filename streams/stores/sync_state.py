"""`dbo.SaleSync`: who is at a document, what may be held of it, when it is due. Claims are taken here.

All times are UTC milliseconds of the database's own clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from streams.runtime.frozen import frozen
from streams.stores.sales_db import SalesDb, StoreError, Transaction
from streams.stores.sql_fragments import by_id, chunks, one_of, set_to

ANY_VERSION: Final = "*"
"""A `sent_hash` that says: some version, which is not known, may be held by the national system."""

_TRIES = 5

R = TypeVar("R")

STATE_COLUMNS = (
    "attempt",
    "lease_until",
    "sent_hash",
    "ever_accepted",
    "published_attempt",
    "next_attempt_at",
    "attempts_since",
    "tries",
    "sent_at",
    "requested_at",
    "reason_code",
    "http_status",
)


@frozen
class SyncState:
    attempt: int = 0
    lease_until: int = 0
    sent_hash: str | None = None
    """None: nothing of it can be held, as far as is known. A hash: that version may be. `ANY_VERSION`: any may be."""
    ever_accepted: bool = False
    published_attempt: int = 0
    next_attempt_at: int | None = None
    attempts_since: int | None = None
    """When a worker first saw the document pending, by the database's clock: the beginning of this request."""
    tries: int = 0
    """Attempts at sending in this request: where its delays stand."""
    sent_at: int | None = None
    """When a claim was last taken in order to send."""
    requested_at: int | None = None
    """The moment that the last change event which asked for it again bears (`source.ts_ms`). It is of another clock,
    so it is compared with its like alone: the same moment is the same event."""
    reason_code: str | None = None
    http_status: int | None = None
    """Of the last answer that neither took nor refused the document."""


def read_state(row: Mapping[str, Any]) -> SyncState | None:
    if row["attempt"] is None:
        return None
    return SyncState(**{name: row[name] for name in STATE_COLUMNS} | {"ever_accepted": bool(row["ever_accepted"])})


@frozen
class Want:
    """A claim that is wanted, on the state that was read: it is obtained only if that still stands."""

    id: int
    attempt: int
    """The attempt that was read; the claim's is one more."""
    sent_hash: str | None
    """What may be held once this attempt has sent."""
    attempts_since: int
    tries: int
    sent_at: int | None = None
    requested_at: int | None = None
    known: bool = False
    """Its state has a row. Asked for anyway where the attempt is not 0."""


@frozen
class Claim:
    id: int
    attempt: int
    lease_until: int


class SyncStates:
    def __init__(self, db: SalesDb, *, lease_ms: int) -> None:
        self._db = db
        self._lease_ms = lease_ms

    async def claim(self, document_type: str, table: str, wants: Sequence[Want]) -> list[Claim | None]:
        """In the order of `wants`; None where somebody else is at it, be it another of `wants`. Raises `StoreError`."""
        chosen: dict[int, Want] = {}
        for want in wants:  # of several that want the same document, one that read its newest state
            if want.id not in chosen or want.attempt > chosen[want.id].attempt:
                chosen[want.id] = want
        claims: dict[int, Claim] = {}
        for part in chunks(list(chosen.values())):
            claims |= {claim.id: claim for claim in await self._claim(document_type, table, part)}
        return [claims.get(want.id) if chosen[want.id] is want else None for want in wants]

    async def _claim(self, document_type: str, table: str, part: Sequence[Want]) -> list[Claim]:
        lease_until = await self._db.now_ms() + self._lease_ms
        owner = uuid.uuid4().hex

        def take(tx: Transaction) -> list[tuple[Any, ...]]:
            return _take(tx, document_type, table, part, lease_until, self._lease_ms, owner)

        taken = await again_where_others_made_rows(take, self._db)
        return [Claim(id_, attempt, lease_until) for id_, attempt in taken]

    async def may_be_stored(self, document_type: str, known: Sequence[tuple[Claim, str | None]]) -> None:
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
            parameters = [*hash_parameters, document_type, *id_parameters, *attempt_parameters]

            def write(tx: Transaction, sql: str = sql, parameters: Sequence[Any] = parameters) -> None:
                tx.execute(sql, parameters)

            await self._db.transaction(write)

    async def keep_refusal(
        self, document_type: str, claim: Claim, *, sent_hash: str | None, body: str | None, words: str | None
    ) -> None:
        """The body that was refused and the API's words, kept before the refusal is told."""
        refusal = {"refused_attempt": claim.attempt, "refused_body": body, "refused_text": words}
        setting, parameters = set_to({"sent_hash": sent_hash, **refusal})

        def run(tx: Transaction) -> None:
            tx.execute(_SET.format(setting=setting), [*parameters, document_type, claim.id, claim.attempt])

        await self._db.transaction(run)

    async def keep_answer(self, document_type: str, claim: Claim, http_status: int | None) -> None:
        """The status of an answer that neither took nor refused the document, kept before it is told."""
        setting, parameters = set_to({"http_status": http_status})

        def run(tx: Transaction) -> None:
            tx.execute(_SET.format(setting=setting), [*parameters, document_type, claim.id, claim.attempt])

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
    tx: Transaction, document_type: str, table: str, wants: Sequence[Want], lease_until: int, lease_ms: int, owner: str
) -> list[tuple[Any, ...]]:
    taken: list[tuple[Any, ...]] = []
    if new := [want for want in wants if want.attempt == 0 and not want.known]:
        ids, id_parameters = one_of([want.id for want in new])
        values, parameters = _what_is_wanted(new, id_="d.id")
        tx.execute(
            _CLAIM_NEW.format(table=table, ids=ids, **values),
            [document_type, owner, lease_until, lease_until, *parameters, *id_parameters, document_type],
        )
        taken = tx.rows(_TAKEN.format(ids=ids), [document_type, owner, *id_parameters])
    had = {id_ for id_, _ in taken}
    if others := [want for want in wants if want.id not in had]:
        ids, id_parameters = one_of([want.id for want in others])
        values, parameters = _what_is_wanted(others, id_="id")
        attempt, attempts = by_id({w.id: w.attempt for w in others}, otherwise="-1", cast="INT", every=True)
        tx.execute(
            _CLAIM.format(attempt=attempt, ids=ids, **values),
            [
                owner,
                lease_until,
                lease_until,
                *parameters,
                document_type,
                lease_until - lease_ms,
                *id_parameters,
                *attempts,
            ],
        )
        taken += tx.rows(_TAKEN.format(ids=ids), [document_type, owner, *id_parameters])
    return taken


_WANTED = {
    "sent_hash": ("NULL", None),
    "attempts_since": ("0", "BIGINT"),
    "tries": ("0", "INT"),
    "sent_at": ("NULL", "BIGINT"),
    "requested_at": ("NULL", "BIGINT"),
}
"""Column -> its value for rows of no want, and its type; in the order of the statements."""


def _what_is_wanted(wants: Sequence[Want], *, id_: str) -> tuple[dict[str, str], list[Any]]:
    """The text for each column of `_WANTED`, and all parameters in this order."""
    texts: dict[str, str] = {}
    parameters: list[Any] = []
    for column, (otherwise, cast) in _WANTED.items():
        values = {want.id: getattr(want, column) for want in wants}
        texts[column], more = by_id(values, otherwise=otherwise, cast=cast, every=True, id_=id_)
        parameters += more
    return texts, parameters


# name: claim, where there is no state yet; due again when the lease runs out
_CLAIM_NEW = (
    "INSERT INTO dbo.SaleSync (document_type, id, attempt, owner, lease_until, next_attempt_at, "
    "sent_hash, attempts_since, tries, sent_at, requested_at) "
    "SELECT ?, d.id, 1, ?, CAST(? AS BIGINT), CAST(? AS BIGINT), "
    "{sent_hash}, {attempts_since}, {tries}, {sent_at}, {requested_at} FROM dbo.{table} d WHERE d.id IN ({ids}) "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = d.id)"
)
# name: claim, where nobody is at it and nothing has changed; due again when the lease runs out
_CLAIM = (
    "UPDATE dbo.SaleSync SET attempt = attempt + 1, owner = ?, lease_until = ?, next_attempt_at = ?, "
    "sent_hash = {sent_hash}, attempts_since = {attempts_since}, tries = {tries}, sent_at = {sent_at}, "
    "requested_at = {requested_at} "
    "WHERE document_type = ? AND lease_until <= ? AND id IN ({ids}) AND attempt = {attempt}"
)
# name: which of them were obtained
_TAKEN = "SELECT id, attempt FROM dbo.SaleSync WHERE document_type = ? AND owner = ? AND id IN ({ids})"
# name: what may be held now
_SET_HELD = (
    "UPDATE dbo.SaleSync SET sent_hash = {sent_hash} WHERE document_type = ? AND id IN ({ids}) AND attempt = {attempt}"
)
# name: keep a refusal
_SET = "UPDATE dbo.SaleSync SET {setting} WHERE document_type = ? AND id = ? AND attempt = ?"
