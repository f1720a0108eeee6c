"""The table `dbo.SaleSync`, where claims are taken.

It says which worker has claimed a document, which version of it the national system may store, and when it is due.

All times are UTC milliseconds of the database's own clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from streams.domain.document_codes import DocumentCodes
from streams.domain.document_status import Operation
from streams.runtime.frozen import frozen
from streams.stores.sales_db import SalesDb, StoreError, Transaction
from streams.stores.sql_fragments import by_id, chunks, one_of, set_to

ANY_VERSION: Final = "*"
"""A `sent_hash` that means: some unknown version may be stored by the national system."""

_ATTEMPTS = 5

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
    "is_withdrawal",
    "stored_facility_code",
    "stored_document_code",
)


@frozen
class SyncState:
    """The row of one document in `dbo.SaleSync`."""

    attempt: int = 0
    lease_until: int = 0
    sent_hash: str | None = None
    """Which version may be stored by the national system: none that we know of (None), the one with this hash, or any
    (`ANY_VERSION`)."""
    ever_accepted: bool = False
    published_attempt: int = 0
    next_attempt_at: int | None = None
    attempts_since: int | None = None
    """When a worker first saw the document pending, by the database's clock: the start of the current request."""
    tries: int = 0
    """How often the current request tried to send the document; it determines the next delay."""
    sent_at: int | None = None
    """When a claim was last taken in order to send the document."""
    requested_at: int | None = None
    """Timestamp (`source.ts_ms`) of the last change event that requested the document again. It comes from another
    clock, so it is only compared with others of its kind: the same timestamp means the same event."""
    reason_code: str | None = None
    http_status: int | None = None
    """HTTP status of the last answer that neither accepted nor refused the document."""
    is_withdrawal: bool = False
    """Whether the last claim was taken in order to withdraw the document, not to send it."""
    stored_facility_code: str | None = None
    stored_document_code: str | None = None
    """The codes of the version that was accepted last; None: none was, or it was withdrawn since."""

    @property
    def operation(self) -> Operation:
        """What the last claim was taken for."""
        return Operation.WITHDRAW if self.is_withdrawal else Operation.SEND

    @property
    def stored_under(self) -> DocumentCodes | None:
        """The codes of the version that was accepted last; None: none was, or it was withdrawn since."""
        if self.stored_facility_code is None or self.stored_document_code is None:
            return None
        return DocumentCodes(self.stored_facility_code, self.stored_document_code)


def read_state(row: Mapping[str, Any]) -> SyncState | None:
    """Read the state from a row with `STATE_COLUMNS` of an outer join; None when `dbo.SaleSync` has no row."""
    if row["attempt"] is None:
        return None
    flags = {name: bool(row[name]) for name in ("ever_accepted", "is_withdrawal")}
    return SyncState(**{name: row[name] for name in STATE_COLUMNS} | flags)


@frozen
class ClaimRequest:
    """A claim to be taken. It is obtained only if the attempt has not changed since the state was read."""

    id: int
    attempt: int
    """The attempt that was read; the claim's attempt is one higher."""
    sent_hash: str | None
    """Which version may be stored once this attempt has sent, as in `SyncState.sent_hash`."""
    attempts_since: int
    tries: int
    sent_at: int | None = None
    requested_at: int | None = None
    has_row: bool = False
    """Whether `dbo.SaleSync` already has a row, so that the claim is an UPDATE, else an INSERT.

    An attempt above 0 implies a row.
    """
    operation: Operation = Operation.SEND
    """What it is taken for."""

    @property
    def is_withdrawal(self) -> int:
        """The value of the column."""
        return self.operation.value


@frozen
class Claim:
    """A claim that was obtained."""

    id: int
    attempt: int
    lease_until: int


class SyncStates:
    """Takes claims, and writes what their attempts find out."""

    def __init__(self, db: SalesDb, *, lease_ms: int) -> None:
        """`lease_ms`: for how long a claim is valid, in milliseconds."""
        self._db = db
        self._lease_ms = lease_ms

    async def claim(self, document_type: str, table: str, requests: Sequence[ClaimRequest]) -> list[Claim | None]:
        """Take claims. Return them in the order of `requests`, with None for those not obtained.

        A claim is not obtained when another worker, or another of `requests`, has it.

        Raises `StoreError`.
        """
        chosen: dict[int, ClaimRequest] = {}
        for request in requests:  # of several for the same document, one that read the newest state
            if request.id not in chosen or request.attempt > chosen[request.id].attempt:
                chosen[request.id] = request
        claims: dict[int, Claim] = {}
        for part in chunks(list(chosen.values())):
            claims |= {claim.id: claim for claim in await self._claim(document_type, table, part)}
        return [claims.get(request.id) if chosen[request.id] is request else None for request in requests]

    async def _claim(self, document_type: str, table: str, part: Sequence[ClaimRequest]) -> list[Claim]:
        lease_until = await self._db.now_ms() + self._lease_ms
        owner = uuid.uuid4().hex

        def take(tx: Transaction) -> list[tuple[Any, ...]]:
            return _take(tx, document_type, table, part, lease_until, self._lease_ms, owner)

        taken = await retry_on_duplicate_key(take, self._db)
        return [Claim(id_, attempt, lease_until) for id_, attempt in taken]

    async def may_be_stored(self, document_type: str, results: Sequence[tuple[Claim, str | None]]) -> None:
        """Record which version may be stored, now that the attempts have ended: none (None), or the one with this hash.

        Nothing changes for claims that are not the latest any more. Raises `StoreError`.
        """
        newest = {
            claim.id: (claim, sent_hash) for claim, sent_hash in sorted(results, key=lambda result: result[0].attempt)
        }
        for part in chunks(list(newest.values())):
            ids, id_parameters = one_of([claim.id for claim, _ in part])
            sent_hash, hash_parameters = by_id({claim.id: text for claim, text in part}, otherwise="sent_hash")
            attempt, attempt_parameters = by_id(
                {claim.id: claim.attempt for claim, _ in part}, otherwise="-1", cast="INT"
            )
            sql = _SET_SENT_HASH.format(sent_hash=sent_hash, ids=ids, attempt=attempt)
            parameters = [*hash_parameters, document_type, *id_parameters, *attempt_parameters]

            def write(tx: Transaction, sql: str = sql, parameters: Sequence[Any] = parameters) -> None:
                tx.execute(sql, parameters)

            await self._db.transaction(write)

    async def keep_refusal(
        self, document_type: str, claim: Claim, *, sent_hash: str | None, body: str | None, text: str | None
    ) -> None:
        """Store the refused body and the API's text, before the refusal is published. Raises `StoreError`."""
        refusal = {"refused_attempt": claim.attempt, "refused_body": body, "refused_text": text}
        setting, parameters = set_to({"sent_hash": sent_hash, **refusal})

        def run(tx: Transaction) -> None:
            tx.execute(_SET.format(setting=setting), [*parameters, document_type, claim.id, claim.attempt])

        await self._db.transaction(run)

    async def keep_withdrawal(self, document_type: str, claim: Claim) -> None:
        """Record that nothing is stored any more, before that is published. Raises `StoreError`."""
        forgotten = {"sent_hash": None, "ever_accepted": 0, "stored_facility_code": None, "stored_document_code": None}
        setting, parameters = set_to(forgotten)

        def run(tx: Transaction) -> None:
            tx.execute(_SET.format(setting=setting), [*parameters, document_type, claim.id, claim.attempt])

        await self._db.transaction(run)

    async def keep_answer(self, document_type: str, claim: Claim, http_status: int | None) -> None:
        """Store the HTTP status of an answer that neither accepted nor refused the document, before it is published.

        Raises `StoreError`.
        """
        setting, parameters = set_to({"http_status": http_status})

        def run(tx: Transaction) -> None:
            tx.execute(_SET.format(setting=setting), [*parameters, document_type, claim.id, claim.attempt])

        await self._db.transaction(run)


async def retry_on_duplicate_key(work: Callable[[Transaction], R], db: SalesDb) -> R:
    """Run a transaction that inserts rows that do not exist yet, and repeat it after a duplicate key.

    Another worker may insert a row between our check and our insert; the next check sees it. Raises `StoreError`.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await db.transaction(work)
        except StoreError as error:
            if not error.is_duplicate:
                raise
    return await db.transaction(work)


def _take(
    tx: Transaction,
    document_type: str,
    table: str,
    requests: Sequence[ClaimRequest],
    lease_until: int,
    lease_ms: int,
    owner: str,
) -> list[tuple[Any, ...]]:
    taken: list[tuple[Any, ...]] = []
    if new := [request for request in requests if request.attempt == 0 and not request.has_row]:
        ids, id_parameters = one_of([request.id for request in new])
        values, parameters = _requested_values(new, id_="d.id")
        tx.execute(
            _CLAIM_NEW.format(table=table, ids=ids, **values),
            [document_type, owner, lease_until, lease_until, *parameters, *id_parameters, document_type],
        )
        taken = tx.rows(_TAKEN.format(ids=ids), [document_type, owner, *id_parameters])
    taken_ids = {id_ for id_, _ in taken}
    if others := [request for request in requests if request.id not in taken_ids]:
        ids, id_parameters = one_of([request.id for request in others])
        values, parameters = _requested_values(others, id_="id")
        attempt, attempts = by_id({r.id: r.attempt for r in others}, otherwise="-1", cast="INT", every=True)
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


_REQUESTED_COLUMNS = {
    "sent_hash": ("NULL", None),
    "attempts_since": ("0", "BIGINT"),
    "tries": ("0", "INT"),
    "sent_at": ("NULL", "BIGINT"),
    "requested_at": ("NULL", "BIGINT"),
    "is_withdrawal": ("0", "INT"),
}
"""Column -> its value for rows without a request, and its SQL type; in the order of the statements."""


def _requested_values(requests: Sequence[ClaimRequest], *, id_: str) -> tuple[dict[str, str], list[Any]]:
    """Return the SQL for each column of `_REQUESTED_COLUMNS`, and all parameters in this order."""
    texts: dict[str, str] = {}
    parameters: list[Any] = []
    for column, (otherwise, cast) in _REQUESTED_COLUMNS.items():
        values = {request.id: getattr(request, column) for request in requests}
        texts[column], more = by_id(values, otherwise=otherwise, cast=cast, every=True, id_=id_)
        parameters += more
    return texts, parameters


# name: claim documents without a state; due again when the lease expires
_CLAIM_NEW = (
    "INSERT INTO dbo.SaleSync (document_type, id, attempt, owner, lease_until, next_attempt_at, "
    "sent_hash, attempts_since, tries, sent_at, requested_at, is_withdrawal) "
    "SELECT ?, d.id, 1, ?, CAST(? AS BIGINT), CAST(? AS BIGINT), "
    "{sent_hash}, {attempts_since}, {tries}, {sent_at}, {requested_at}, {is_withdrawal} "
    "FROM dbo.{table} d WHERE d.id IN ({ids}) "
    "AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id = d.id)"
)
# name: claim documents that nobody has claimed, and whose state has not changed; due again when the lease expires
_CLAIM = (
    "UPDATE dbo.SaleSync SET attempt = attempt + 1, owner = ?, lease_until = ?, next_attempt_at = ?, "
    "sent_hash = {sent_hash}, attempts_since = {attempts_since}, tries = {tries}, sent_at = {sent_at}, "
    "requested_at = {requested_at}, is_withdrawal = {is_withdrawal}, changed_at = NULL "
    "WHERE document_type = ? AND lease_until <= ? AND id IN ({ids}) AND attempt = {attempt}"
)
# name: which claims were obtained
_TAKEN = "SELECT id, attempt FROM dbo.SaleSync WHERE document_type = ? AND owner = ? AND id IN ({ids})"
# name: set which version may be stored
_SET_SENT_HASH = (
    "UPDATE dbo.SaleSync SET sent_hash = {sent_hash} WHERE document_type = ? AND id IN ({ids}) AND attempt = {attempt}"
)
# name: store a refusal, a withdrawal or an answer
_SET = "UPDATE dbo.SaleSync SET {setting} WHERE document_type = ? AND id = ? AND attempt = ?"
