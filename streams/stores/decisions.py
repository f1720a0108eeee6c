"""Decisions -> rows: a batch is one transaction, and a decision applies once, never over a later one."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from streams.documents.document import DocumentType
from streams.domain.local_time import local_time
from streams.domain.reasons import Code
from streams.domain.sale_status import SaleStatus, Version
from streams.domain.status_message import StatusMessage
from streams.runtime.frozen import frozen
from streams.stores.concurrent_edits import edited, request_again
from streams.stores.conflicting_decisions import disproved, ended_by_us, failed_by_what_is_kept
from streams.stores.retention import forget_refusals
from streams.stores.sales_db import SalesDb, StoreError, Transaction
from streams.stores.sql_fragments import by_id, one_of

log = structlog.get_logger(__name__)


@frozen
class Refusal:
    """What the sender kept of the last refusal. Personal data."""

    attempt: int | None
    body: str | None = field(repr=False)
    words: str | None = field(repr=False)

    @property
    def body_hash(self) -> str | None:
        return hashlib.sha256(self.body.encode()).hexdigest() if self.body else None


class DecisionWriter:
    def __init__(self, db: SalesDb, document_types: Mapping[str, DocumentType], zone: ZoneInfo) -> None:
        self._db = db
        self._document_types = document_types
        self._zone = zone
        self.never_claimed = 0

    async def apply(self, document_type: str, batch: Sequence[StatusMessage]) -> set[int]:
        """Writes the decisions that are news, the latest of each document, and gives the ids of those that were. One of
        an attempt that nobody ever claimed is none of ours: it is passed over, counted and said.

        Raises `StoreError`; then nothing of the batch is written.
        """
        now_ms = await self._db.now_ms()
        now = local_time(now_ms, self._zone)
        told = {item.status.id: item for item in sorted(batch, key=lambda item: item.status.attempt)}
        document = self._document_types[document_type]

        def write(tx: Transaction) -> tuple[set[int], set[int]]:
            ended = ended_by_us(tx, document, [i for i, item in told.items() if not item.is_final])
            news = _note(tx, document_type, told)
            unclaimed = _never_claimed(tx, document_type, {i: t for i, t in told.items() if i not in news})
            passed = {i for i in news if told[i].status.status == "SYNC_SUCCESS"}
            refusals = _refusals(tx, document_type, [i for i in told if i not in passed and i not in unclaimed])
            # What crossed another decision is asked again: its end is to be the last word, on the topic too.
            request_again(tx, document, [i for i in news if i in ended], now_ms, why="crossed")
            old = {i: t for i, t in told.items() if i not in news and i not in unclaimed}
            late = _late_successes(tx, document, old, refusals)
            _override(tx, document_type, {i: told[i] for i in late})
            untrue = disproved(tx, document, [i for i in news if _may_be_disproved(told[i])])
            written = {i: told[i] for i in (*news, *late) if i not in untrue}
            self._write_rows(tx, document, written, refusals, now)
            judged = _judged({i: written[i] for i in news if i in written}, refusals)
            request_again(tx, document, edited(tx, document, judged, now.date()), now_ms, why="edited")
            request_again(tx, document, [*late, *untrue], now_ms, why="crossed")
            forget_refusals(tx, document_type, [*passed, *late])
            return {*news, *late}, unclaimed

        written, unclaimed = await self._db.transaction(write)
        if not unclaimed:
            return written
        self.never_claimed += len(unclaimed)
        log.error("write_back.never_claimed", document=document_type, ids=sorted(unclaimed), so_far=self.never_claimed)
        # Of the same document a true decision may have come with it.
        true = [t for t in batch if t.status.id in unclaimed and t.status.attempt < told[t.status.id].status.attempt]
        return written | await self.apply(document_type, true) if true else written

    async def answers(self) -> bool:
        """Whether the database does, for rows that nobody is at."""
        try:
            await self.refusals("", [0])
        except StoreError:
            return False
        return True

    async def refusals(self, document_type: str, ids: Sequence[int]) -> dict[int, Refusal]:
        def ask(tx: Transaction) -> dict[int, Refusal]:
            return _refusals(tx, document_type, ids)

        return await self._db.transaction(ask)

    def _write_rows(
        self,
        tx: Transaction,
        document_type: DocumentType,
        news: Mapping[int, StatusMessage],
        refusals: Mapping[int, Refusal],
        now: datetime,
    ) -> None:
        messages = {i: _message(item, refusals.get(i)) for i, item in news.items()}
        ends = {i: item.status for i, item in news.items() if item.is_final}
        if ends:
            ids, id_parameters = one_of(list(ends))
            status, p1 = by_id({i: s.status for i, s in ends.items()}, otherwise="status", every=True)
            national, p2 = by_id(
                {i: s.national_invoice_id for i, s in ends.items() if s.national_invoice_id},
                otherwise=document_type.national_id_column,
            )
            message, p3 = by_id({i: messages[i] for i in ends}, otherwise="sync_response_message", every=True)
            sql = _WRITE_ENDS.format(
                table=document_type.table,
                national_id=document_type.national_id_column,
                status=status,
                national=national,
                message=message,
                ids=ids,
            )
            tx.execute(sql, [*p1, *p2, *p3, now, *id_parameters])
        waiting = [i for i in news if i not in ends]
        if waiting:
            ids, id_parameters = one_of(waiting)
            message, p1 = by_id({i: messages[i] for i in waiting}, otherwise="sync_response_message", every=True)
            tx.execute(
                _WRITE_NOTES.format(table=document_type.table, message=message, ids=ids), [*p1, now, *id_parameters]
            )


def _note(tx: Transaction, document_type: str, told: Mapping[int, StatusMessage]) -> list[int]:
    """Raises published_attempt, ends the claim and sets what is due next, where it is news; gives those it was news
    for."""
    token = uuid.uuid4().hex
    statuses = {i: item.status for i, item in told.items()}
    attempt, p_attempt = by_id({i: s.attempt for i, s in statuses.items()}, otherwise="0", cast="INT", every=True)
    reason, p_reason = by_id({i: _code(s) for i, s in statuses.items()}, otherwise="NULL", every=True)
    passed = {i: 1 for i, s in statuses.items() if s.status == "SYNC_SUCCESS"}
    accepted, p_accepted = by_id(passed, otherwise="ever_accepted", cast="INT", every=len(passed) == len(told))
    due, p_due = by_id({i: _due_ms(s) for i, s in statuses.items()}, otherwise="NULL", cast="BIGINT")
    ids, p_ids = one_of(list(told))
    tx.execute(
        _NOTE.format(
            attempt=attempt,
            reason=reason,
            accepted=accepted,
            due=due,
            keeps=_KEEPS.format(due=due) if p_due else "",
            ids=ids,
        ),
        [
            *(*p_attempt, token, *p_reason, *p_accepted),
            *(*p_attempt, *p_due, *p_attempt, *p_due),
            *(document_type, *p_ids, *p_attempt),
        ],
    )
    return [row[0] for row in tx.rows(_NEWS.format(ids=ids), [document_type, token, *p_ids])]


def _never_claimed(tx: Transaction, document_type: str, old: Mapping[int, StatusMessage]) -> set[int]:
    """Those whose attempt is still to come, by what the database says."""
    if not old:
        return set()
    ids, p_ids = one_of(list(old))
    claimed = dict(tx.rows(_CLAIMED.format(ids=ids), [document_type, *p_ids]))
    return {i for i, item in old.items() if item.status.attempt > claimed.get(i, 0)}


def _late_successes(
    tx: Transaction, document_type: DocumentType, old: Mapping[int, StatusMessage], refusals: Mapping[int, Refusal]
) -> list[int]:
    """Successes told late, over a failure of the very same body: the national system holds it after all."""
    same = [
        i
        for i, item in old.items()
        if item.status.status == "SYNC_SUCCESS"
        and item.version
        and (refusal := refusals.get(i))
        and refusal.body_hash == item.version.body
    ]
    return failed_by_what_is_kept(tx, document_type, same)


def _may_be_disproved(item: StatusMessage) -> bool:
    return item.status.status == "SYNC_FAILED" and _code(item.status) != Code.OLDER_VERSION_STORED


def _override(tx: Transaction, document_type: str, successes: Mapping[int, StatusMessage]) -> None:
    if successes:
        reason, p_reason = by_id({i: _code(item.status) for i, item in successes.items()}, otherwise="NULL")
        ids, p_ids = one_of(list(successes))
        tx.execute(_OVERRIDE.format(reason=reason, ids=ids), [*p_reason, document_type, *p_ids])


def _judged(news: Mapping[int, StatusMessage], refusals: Mapping[int, Refusal]) -> dict[int, Version | None]:
    """The version that each end is for, None where the row made none; those are missing of which nobody knows."""
    judged: dict[int, Version | None] = {}
    for i, item in news.items():
        refusal = refusals.get(i)
        if item.status.status == "SYNC_SUCCESS" and item.version:
            judged[i] = item.version
        elif item.status.status == "SYNC_FAILED":
            if refusal and refusal.attempt == item.status.attempt and (body_hash := refusal.body_hash):
                judged[i] = Version(body_hash)
            elif _code(item.status) in _OF_OURS:
                judged[i] = None
    return judged


_OF_OURS = {Code.RULES_BROKEN, Code.NO_LINES, Code.OLDER_VERSION_STORED}
"""Refusals for which no body is kept: none could be made."""


def _code(status: SaleStatus) -> str | None:
    return status.reason.code if status.reason else None


def _due_ms(status: SaleStatus) -> int | None:
    return int(status.next_attempt_at.timestamp() * 1000) if status.next_attempt_at else None


def _refusals(tx: Transaction, document_type: str, ids: Sequence[int]) -> dict[int, Refusal]:
    if not ids:
        return {}
    marks, parameters = one_of(ids)
    rows = tx.rows(_REFUSALS.format(ids=marks), [document_type, *parameters])
    return {row[0]: Refusal(row[1], row[2], row[3]) for row in rows}


def _message(item: StatusMessage, refusal: Refusal | None) -> str | None:
    """Our words in both languages, then the API's own, which stay in this database."""
    reason = item.status.reason
    if reason is None:
        return None
    text = f"{reason.message.vi}\n{reason.message.en}"
    if refusal and refusal.words and refusal.attempt == item.status.attempt:
        text += f"\nAPI: {refusal.words}"
    return text


# name: note what was told, where it is news: later than what was told before, of an attempt that was claimed. Lease and
# due time belong to the newest claim: an older decision leaves them alone
_NOTE = (
    "UPDATE dbo.SaleSync SET published_attempt = {attempt}, owner = ?, reason_code = {reason}, ever_accepted = {accepted}, "
    "next_attempt_at = CASE WHEN attempt = {attempt} THEN {due} ELSE next_attempt_at END, "
    "lease_until = CASE WHEN attempt <> {attempt}{keeps} THEN lease_until ELSE 0 END "
    "WHERE document_type = ? AND id IN ({ids}) AND {attempt} - 1 BETWEEN published_attempt AND attempt - 1"
)
# A waiting document that may be held keeps its lease: until then "not held" proves nothing.
_KEEPS = " OR (sent_hash IS NOT NULL AND {due} >= lease_until)"
# name: which of them were news
_NEWS = "SELECT id FROM dbo.SaleSync WHERE document_type = ? AND owner = ? AND id IN ({ids})"
# name: how far each was claimed
_CLAIMED = "SELECT s.id, s.attempt FROM dbo.SaleSync s WHERE s.document_type = ? AND s.id IN ({ids})"
# name: a failure was none: the told attempt stays, it is the higher one
_OVERRIDE = (
    "UPDATE dbo.SaleSync SET reason_code = {reason}, ever_accepted = 1 WHERE document_type = ? AND id IN ({ids})"
)
# name: what was kept of refusals
_REFUSALS = (
    "SELECT id, refused_attempt, refused_body, refused_text FROM dbo.SaleSync WHERE document_type = ? AND id IN ({ids})"
)
# name: write ends; a status that is not ours is the till's and stays
_WRITE_ENDS = (
    "UPDATE dbo.{table} SET status = {status}, {national_id} = {national}, sync_response_message = {message}, "
    "updated_at = ? WHERE id IN ({ids}) AND status IN ('PENDING_SYNC', 'SYNC_SUCCESS', 'SYNC_FAILED')"
)
# name: write why it waits
_WRITE_NOTES = (
    "UPDATE dbo.{table} SET sync_response_message = {message}, updated_at = ? "
    "WHERE id IN ({ids}) AND status = 'PENDING_SYNC'"
)
