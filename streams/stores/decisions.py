"""Write decisions to the rows of the sales database.

A batch is one transaction. A decision is applied once, and never over a later one.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import field
from zoneinfo import ZoneInfo

import structlog

from streams.documents.document import DocumentType
from streams.domain.document_status import FAILED, SUCCEEDED, Operation
from streams.domain.local_time import local_time
from streams.domain.reasons import OTHER_VERSION_STORED, Code
from streams.domain.sale_status import SaleStatus, Version
from streams.domain.status_message import StatusMessage
from streams.runtime.frozen import frozen
from streams.stores.changed_requests import claimed_again, request_changed
from streams.stores.column_types import ColumnTypes, column_of
from streams.stores.concurrent_edits import find_edited, request_again
from streams.stores.conflicting_decisions import disproved, failed_with_stored_refusal, with_final_decision
from streams.stores.message_fit import fit
from streams.stores.retention import forget_refusals
from streams.stores.row_decisions import write_rows
from streams.stores.sales_db import SalesDb, StoreError, Transaction
from streams.stores.sql_fragments import by_id, one_of
from streams.stores.stored_versions import keep_stored_versions

log = structlog.get_logger(__name__)


@frozen
class Refusal:
    """What the sender stored of the last refusal. It is personal data."""

    attempt: int | None
    body: str | None = field(repr=False)
    text: str | None = field(repr=False)

    @property
    def body_hash(self) -> str | None:
        return hashlib.sha256(self.body.encode()).hexdigest() if self.body else None


class DecisionWriter:
    """Applies the decisions of `sale-status` to the rows of their documents."""

    def __init__(
        self,
        db: SalesDb,
        document_types: Mapping[str, DocumentType],
        zone: ZoneInfo,
        columns: ColumnTypes | None = None,
    ) -> None:
        """`columns`: the types of the columns that are written, so that messages are fitted into theirs."""
        self._db = db
        self._document_types = document_types
        self._zone = zone
        self._columns = columns or {}
        self.never_claimed = 0
        """How many decisions were skipped because their attempt was never claimed."""

    async def apply(self, document_type: str, batch: Sequence[StatusMessage]) -> set[int]:
        """Write the decisions that are newer than those written before, the latest of each document. Return their ids.

        A success that was published late also overrides a failure of the same body; its id is among those returned. A
        decision of an attempt that was never claimed was not made by a worker: it is skipped, counted and logged.

        Raises `StoreError`; then nothing of the batch is written.
        """
        now_ms = await self._db.now_ms()
        now = local_time(now_ms, self._zone)
        latest = {item.status.id: item for item in sorted(batch, key=lambda item: item.status.attempt)}
        definition = self._document_types[document_type]

        def write(tx: Transaction) -> tuple[set[int], set[int]]:
            final = with_final_decision(tx, definition, [i for i, item in latest.items() if not item.is_final])
            new = _record(tx, document_type, latest)
            unclaimed = _never_claimed(tx, document_type, {i: item for i, item in latest.items() if i not in new})
            accepted = {i for i in new if latest[i].status.status == _ACCEPTED}
            withdrawn = {i for i in new if latest[i].status.status == _WITHDRAWN}
            keep_stored_versions(tx, document_type, [latest[i] for i in (*accepted, *withdrawn)])
            refusals = _refusals(tx, document_type, [i for i in latest if i not in accepted and i not in unclaimed])
            # A conflicting document is requested again, so that its final decision is also the last one on the topic.
            for operation in Operation:
                ids = [i for i in new if i in final and latest[i].operation is operation]
                request_again(tx, definition, ids, now_ms, why="conflicting", operation=operation)
            old = {i: item for i, item in latest.items() if i not in new and i not in unclaimed}
            late = _late_successes(tx, definition, old, refusals)
            _override(tx, document_type, {i: latest[i] for i in late})
            wrong = disproved(tx, definition, [i for i in new if _may_be_disproved(latest[i])])
            overtaken = claimed_again(tx, document_type, [i for i in new if _ends_withdrawal(latest[i])])
            written = {i: latest[i] for i in (*new, *late) if i not in wrong and i not in overtaken}
            write_rows(tx, definition, written, self._messages(definition, written, refusals), now)
            request_changed(tx, definition, {i: latest[i] for i in new}, now_ms, now)
            decided = _decided_versions({i: written[i] for i in new if i in written}, refusals)
            request_again(tx, definition, find_edited(tx, definition, decided, now.date()), now_ms, why="edited")
            request_again(tx, definition, [*late, *wrong], now_ms, why="conflicting")
            forget_refusals(tx, document_type, [*accepted, *withdrawn, *late])
            return {*new, *late}, unclaimed

        written, unclaimed = await self._db.transaction(write)
        if not unclaimed:
            return written
        self.never_claimed += len(unclaimed)
        log.error("write_back.never_claimed", document=document_type, ids=sorted(unclaimed), so_far=self.never_claimed)
        # The batch may also hold a genuine decision about the same document, with a lower attempt.
        genuine = [
            m for m in batch if m.status.id in unclaimed and m.status.attempt < latest[m.status.id].status.attempt
        ]
        return written | await self.apply(document_type, genuine) if genuine else written

    async def is_available(self) -> bool:
        """Whether the database answers for rows that nobody has locked."""
        try:
            await self.refusals("", [0])
        except StoreError:
            return False
        return True

    async def refusals(self, document_type: str, ids: Sequence[int]) -> dict[int, Refusal]:
        """Return the stored refusals by id. Raises `StoreError`."""

        def read(tx: Transaction) -> dict[int, Refusal]:
            return _refusals(tx, document_type, ids)

        return await self._db.transaction(read)

    def _messages(
        self, document_type: DocumentType, decisions: Mapping[int, StatusMessage], refusals: Mapping[int, Refusal]
    ) -> dict[int, str | None]:
        """Return the texts for the rows, fitted into their column."""
        column = column_of(self._columns, document_type.table, "sync_response_message")
        texts = {i: _message(item, refusals.get(i)) for i, item in decisions.items()}
        return {i: None if text is None else fit(text, column) for i, text in texts.items()}


def _record(tx: Transaction, document_type: str, decisions: Mapping[int, StatusMessage]) -> list[int]:
    """Record the decisions that are newer than those recorded before; return their ids.

    That raises `published_attempt`, ends the claim, and sets the next due time.
    """
    token = uuid.uuid4().hex
    statuses = {i: item.status for i, item in decisions.items()}
    attempt, p_attempt = by_id({i: s.attempt for i, s in statuses.items()}, otherwise="0", cast="INT", every=True)
    reason, p_reason = by_id({i: _code(s) for i, s in statuses.items()}, otherwise="NULL", every=True)
    accepted = {i: int(s.status == _ACCEPTED) for i, s in statuses.items() if s.status in (_ACCEPTED, _WITHDRAWN)}
    ever_accepted, p_accepted = by_id(
        accepted, otherwise="ever_accepted", cast="INT", every=len(accepted) == len(decisions)
    )
    due, p_due = by_id({i: _due_ms(s) for i, s in statuses.items()}, otherwise="NULL", cast="BIGINT")
    ids, p_ids = one_of(list(decisions))
    tx.execute(
        _RECORD.format(
            attempt=attempt,
            reason=reason,
            ever_accepted=ever_accepted,
            due=due,
            keeps=_KEEPS_LEASE.format(due=due) if p_due else "",
            ids=ids,
        ),
        [
            *(*p_attempt, token, *p_reason, *p_accepted),
            *(*p_attempt, *p_due, *p_attempt, *p_due),
            *(document_type, *p_ids, *p_attempt),
        ],
    )
    return [row[0] for row in tx.rows(_RECORDED.format(ids=ids), [document_type, token, *p_ids])]


def _never_claimed(tx: Transaction, document_type: str, old: Mapping[int, StatusMessage]) -> set[int]:
    """Return the ids whose decisions name an attempt that was never claimed, according to the database."""
    if not old:
        return set()
    ids, p_ids = one_of(list(old))
    claimed = dict(tx.rows(_CLAIMED.format(ids=ids), [document_type, *p_ids]))
    return {i for i, item in old.items() if item.status.attempt > claimed.get(i, 0)}


def _late_successes(
    tx: Transaction, document_type: DocumentType, old: Mapping[int, StatusMessage], refusals: Mapping[int, Refusal]
) -> list[int]:
    """Return successes that were published late and override a failure of the same body, which is stored after all."""
    same_body = [
        i
        for i, item in old.items()
        if item.status.status == _ACCEPTED
        and item.version
        and (refusal := refusals.get(i))
        and refusal.body_hash == item.version.body
    ]
    return failed_with_stored_refusal(tx, document_type, same_body)


def _may_be_disproved(item: StatusMessage) -> bool:
    return item.status.status == _FAILED and _code(item.status) not in OTHER_VERSION_STORED


def _ends_withdrawal(item: StatusMessage) -> bool:
    return item.is_final and item.operation is Operation.WITHDRAW


def _override(tx: Transaction, document_type: str, successes: Mapping[int, StatusMessage]) -> None:
    if successes:
        reason, p_reason = by_id({i: _code(item.status) for i, item in successes.items()}, otherwise="NULL")
        ids, p_ids = one_of(list(successes))
        tx.execute(_OVERRIDE.format(reason=reason, ids=ids), [*p_reason, document_type, *p_ids])


def _decided_versions(final: Mapping[int, StatusMessage], refusals: Mapping[int, Refusal]) -> dict[int, Version | None]:
    """Return the version of the document that each final decision is about.

    None if no version could be built from the row; ids whose version is unknown are left out.
    """
    versions: dict[int, Version | None] = {}
    for i, item in final.items():
        refusal = refusals.get(i)
        if item.status.status == _ACCEPTED and item.version:
            versions[i] = item.version
        elif item.status.status == _FAILED:
            if refusal and refusal.attempt == item.status.attempt and (body_hash := refusal.body_hash):
                versions[i] = Version(body_hash)
            elif _code(item.status) in _WITHOUT_BODY:
                versions[i] = None
    return versions


_ACCEPTED, _FAILED, _WITHDRAWN = SUCCEEDED[Operation.SEND], FAILED[Operation.SEND], SUCCEEDED[Operation.WITHDRAW]
_WITHOUT_BODY = {Code.RULES_BROKEN, Code.NO_LINES, Code.OLDER_VERSION_STORED}
"""Refusals by this software, for which no body is stored, as none could be made."""


def _code(status: SaleStatus) -> str | None:
    return status.reason.code if status.reason else None


def _due_ms(status: SaleStatus) -> int | None:
    return int(status.next_attempt_at.timestamp() * 1000) if status.next_attempt_at else None


def _refusals(tx: Transaction, document_type: str, ids: Sequence[int]) -> dict[int, Refusal]:
    if not ids:
        return {}
    placeholders, parameters = one_of(ids)
    rows = tx.rows(_REFUSALS.format(ids=placeholders), [document_type, *parameters])
    return {row[0]: Refusal(row[1], row[2], row[3]) for row in rows}


def _message(item: StatusMessage, refusal: Refusal | None) -> str | None:
    """Return our text in both languages, then the API's own, which never leaves this database."""
    reason = item.status.reason
    if reason is None:
        return None
    text = f"{reason.message.vi}\n{reason.message.en}"
    if refusal and refusal.text and refusal.attempt == item.status.attempt:
        text += f"\nAPI: {refusal.text}"
    return text


# name: record decisions that are later than those recorded before, and whose attempt was claimed. Lease and due time
# belong to the newest claim, so an older decision leaves them alone
_RECORD = (
    "UPDATE dbo.SaleSync SET published_attempt = {attempt}, owner = ?, reason_code = {reason}, "
    "ever_accepted = {ever_accepted}, "
    "next_attempt_at = CASE WHEN attempt = {attempt} THEN {due} ELSE next_attempt_at END, "
    "lease_until = CASE WHEN attempt <> {attempt}{keeps} THEN lease_until ELSE 0 END "
    "WHERE document_type = ? AND id IN ({ids}) AND {attempt} - 1 BETWEEN published_attempt AND attempt - 1"
)
# A waiting document that may be stored keeps its lease: until the lease ends, "not found" proves nothing.
_KEEPS_LEASE = " OR (sent_hash IS NOT NULL AND {due} >= lease_until)"
# name: which decisions were recorded
_RECORDED = "SELECT id FROM dbo.SaleSync WHERE document_type = ? AND owner = ? AND id IN ({ids})"
# name: the last claimed attempt of each
_CLAIMED = "SELECT s.id, s.attempt FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id IN ({ids})"
# name: override a failure by a late success; published_attempt stays, as it is the higher one
_OVERRIDE = (
    "UPDATE dbo.SaleSync SET reason_code = {reason}, ever_accepted = 1 WHERE document_type = ? AND id IN ({ids})"
)
# name: read stored refusals
_REFUSALS = (
    "SELECT id, refused_attempt, refused_body, refused_text FROM dbo.SaleSync WHERE document_type = ? AND id IN ({ids})"
)
