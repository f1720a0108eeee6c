"""Notice accepted documents that the point of sale has changed since: their rows would make another body now.

The accepted version is known by its body's hash (`sent_hash`) and a digest of its rows (in `sent_rows`). Rows with that
digest are unchanged. Any others are read in full, as they may still make the same body, and only another body counts.
What was noticed is a mark, `changed_at`. A claim removes it, since from then on the document waits or has failed.

Whatever is written says which attempt it is about, so that a decision made meanwhile is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

import structlog

from streams.documents.document import BrokenRules, DocumentType
from streams.domain.reasons import Code
from streams.runtime.frozen import frozen
from streams.stores.concurrent_edits import request_again
from streams.stores.isolation import Failed, bisect_failures, class_and_state
from streams.stores.row_digests import read_digests
from streams.stores.sales_db import SalesDb, StoreError, StoreUnavailable, Transaction
from streams.stores.sent_rows import has_digest, is_of_codes, is_of_rows, sent_rows
from streams.stores.source_rows import FoundDocument, read_documents
from streams.stores.sql_fragments import MAX_ROWS, by_id, chunks, one_of
from streams.stores.sync_state import ANY_VERSION

log = structlog.get_logger(__name__)

T = TypeVar("T")

_READ_IN_FULL = 16
"""How many documents are read in full by one statement."""
_NO_DAY_IS_IN_THE_FUTURE = date(9998, 12, 31)
"""Stands for today: a clock that was set back must not make a document that was accepted break a rule."""


@frozen
class AcceptedDocument:
    """A document at rest: accepted, and nothing waits for it or works on it."""

    id: int
    attempt: int
    sent_hash: str
    sent_rows: str | None
    changed_at: int | None
    """Since when it is known to be changed; None: it is not."""
    reason_code: str | None = None
    """That of its acceptance."""

    @property
    def depends_on_settings(self) -> bool:
        """Whether other settings than those with which it was sent would make another body of the same rows, and no
        digest tells that they are the same."""
        return self.reason_code == Code.VALUES_REPLACED and not has_digest(self.sent_rows, self.sent_hash)


@frozen
class Found:
    """What a check found out."""

    changed: Sequence[int] = ()
    """The ids of documents whose rows make another body, or none."""
    replaceable: Sequence[int] = ()
    """Those of `changed` that still have the codes under which they were accepted, unless it may be the settings that
    have changed."""
    out_of_reach: int = 0
    """How many were locked or could not be read. They keep their marks."""


class Corrections:
    """The corrections of one document type. All of its methods raise `StoreError`."""

    def __init__(self, db: SalesDb, document_type: DocumentType, *, accepted_within_ms: int) -> None:
        """`accepted_within_ms`: documents that were sent longer ago are no longer looked at, unless marked."""
        self._db = db
        self._document_type = document_type
        # A setting that refuses fractions now must not make a document that was accepted break a rule.
        self._options = replace(document_type.options, fractions=True)
        self._accepted_within_ms = accepted_within_ms
        self._compares_digests = False
        """Whether the server has digests, as the last transaction saw it."""

    @property
    def at_once(self) -> int:
        """How many documents a check may be given: fewer where they are read in full."""
        return MAX_ROWS if self._compares_digests else _READ_IN_FULL

    async def below(self, id_: int, rows: int) -> tuple[list[AcceptedDocument], int | None]:
        """Return the documents at rest among the next `rows` rows of `dbo.SaleSync` below this id, and the lowest id of
        those rows; None: there are no rows below.
        """

        def lowest(tx: Transaction, hint: str) -> int | None:
            inner = tx.dialect.first(_NEXT_IDS.format(skip_locked=hint), rows)
            found: int | None = tx.rows(f"SELECT MIN(w.id) FROM ({inner}) w", [self._document_type.name, id_])[0][0]  # noqa: S608
            return found

        floor = await self._past_locks(lowest)
        if floor is None:
            return [], None
        return await self._at_rest("s.id >= ? AND s.id < ?", [floor, id_]), floor

    async def of(self, ids: Sequence[int]) -> list[AcceptedDocument]:
        """Return those of these documents that are at rest."""
        placeholders, parameters = one_of(ids)
        return await self._at_rest(f"s.id IN ({placeholders})", parameters)

    async def marked(self, above: int, limit: int, *, marked_for_ms: int = 0) -> list[AcceptedDocument]:
        """Return the marked documents at rest that follow the id `above`, at most `limit`. `marked_for_ms`: only those
        that have been marked for as long.
        """
        before_ms = await self._db.now_ms() - marked_for_ms
        which = "s.changed_at > 0 AND s.changed_at <= ? AND s.id > ?"
        return await self._at_rest(which, [before_ms, above], order="s.id", limit=limit)

    async def check(self, documents: Sequence[AcceptedDocument]) -> Found:
        """Compare documents with the versions that were accepted, and write what has changed into their marks."""
        unchanged, others, out_of_reach = await self._by_digest(documents)
        changed: list[AcceptedDocument] = []
        replaceable: list[int] = []
        kept: dict[int, str] = {}
        for part in chunks(others, _READ_IN_FULL):
            for document, found in zip(part, await bisect_failures(self._read, part), strict=True):
                if isinstance(found, Failed):
                    out_of_reach += 1
                    log.warning("corrections.out_of_reach", id=document.id, error=class_and_state(found.error))
                elif found is not None and (is_changed := self._is_changed(document, found)) is not None:
                    (changed if is_changed else unchanged).append(document)
                    codes = found.header["pharmacy_code"], found.header[self._document_type.document_code_column]
                    kept[document.id] = sent_rows(document.sent_hash, found.digest, *codes)
                    has_codes = is_of_codes(document.sent_rows, document.sent_hash, *codes)
                    if is_changed and has_codes and not document.depends_on_settings:
                        replaceable.append(document.id)
        await self._mark([document for document in changed if document.changed_at is None])
        name = [self._document_type.name]
        await self._write(_UNMARK, name, [document for document in unchanged if document.changed_at is not None])
        # With the digest of the rows as they are now, the next check need not read them in full.
        others = [d for d in unchanged if kept.get(d.id, d.sent_rows) != d.sent_rows]
        await self._write(_REMEMBER, name, others, rows=kept)
        return Found([document.id for document in changed], replaceable, out_of_reach)

    async def request(self, ids: Sequence[int]) -> int:
        """Request changed documents again; return how many. Those that are no longer at rest are left alone."""
        now = await self._db.now_ms()

        async def request(part: Sequence[int]) -> Sequence[bool]:
            def write(tx: Transaction) -> set[int]:
                placeholders, parameters = one_of(part)
                sql, values = self._query(f"s.changed_at > 0 AND s.id IN ({placeholders})", parameters, now, "s.id")
                changed = [row[0] for row in tx.rows(sql, values)]
                request_again(tx, self._document_type, changed, now, why="corrected")
                return set(changed)

            requested = await self._db.transaction(write)
            return [id_ in requested for id_ in part]

        results = [result for part in chunks(ids) for result in await bisect_failures(request, part)]
        return sum(result is True for result in results)

    async def _at_rest(
        self, which: str, parameters: Sequence[Any], *, order: str = "s.id DESC", limit: int | None = None
    ) -> list[AcceptedDocument]:
        now = await self._db.now_ms()

        def read(tx: Transaction, hint: str) -> list[AcceptedDocument]:
            self._compares_digests = tx.digest is not None
            sql, values = self._query(which, parameters, now, order, hint)
            rows = tx.rows(sql if limit is None else tx.dialect.first(sql, limit), values)
            return [AcceptedDocument(*row) for row in rows]

        return await self._past_locks(read)

    def _query(
        self, which: str, parameters: Sequence[Any], now: int, order: str, hint: str = ""
    ) -> tuple[str, list[Any]]:
        sql = _AT_REST.format(table=self._document_type.table, which=which, order=order, skip_locked=hint)
        return sql, [self._document_type.name, *parameters, now - self._accepted_within_ms, now, ANY_VERSION]

    async def _past_locks(self, read: Callable[[Transaction, str], T]) -> T:
        """Read, and if others keep rows locked, read again without these rows: they are looked at the next time."""
        try:
            return await self._db.transaction(lambda tx: read(tx, ""))
        except StoreUnavailable as error:
            if not error.is_lock:
                raise
        return await self._db.transaction(lambda tx: read(tx, tx.dialect.skip_locked))

    async def _by_digest(
        self, documents: Sequence[AcceptedDocument]
    ) -> tuple[list[AcceptedDocument], list[AcceptedDocument], int]:
        """Return the documents that are unchanged by their digest, the others, and how many could not be read."""
        with_digest = [document for document in documents if has_digest(document.sent_rows, document.sent_hash)]

        async def digests(part: Sequence[AcceptedDocument]) -> Sequence[str | None]:
            ids = [document.id for document in part]
            # Locked rows are never passed over here: without some of its lines a document looks changed.
            found = await self._db.transaction(lambda tx: read_digests(tx, self._document_type, ids))
            return [found.get(id_) for id_ in ids]

        found = [each for part in chunks(with_digest) for each in await bisect_failures(digests, part)]
        unchanged: list[AcceptedDocument] = []
        failed = 0
        rest = [document for document in documents if not has_digest(document.sent_rows, document.sent_hash)]
        for document, each in zip(with_digest, found, strict=True):
            if isinstance(each, Failed):
                failed += 1
                log.warning("corrections.out_of_reach", id=document.id, error=class_and_state(each.error))
            else:
                is_same = is_of_rows(document.sent_rows, document.sent_hash, each)
                (unchanged if is_same else rest).append(document)
        return unchanged, rest, failed

    async def _read(self, documents: Sequence[AcceptedDocument]) -> Sequence[FoundDocument | None]:
        ids = [document.id for document in documents]
        # Each digest is read by the same statement as its row, so that it is the digest of what is compared.
        found = await self._db.transaction(lambda tx: read_documents(tx, self._document_type, ids))
        return [found.get(id_) for id_ in ids]

    def _is_changed(self, accepted: AcceptedDocument, found: FoundDocument) -> bool | None:
        """Return whether the rows make another body than the accepted one, or none; None: it is not known."""
        if not found.lines:
            return True
        try:
            body = self._document_type.make_body(found.header, found.lines, _NO_DAY_IS_IN_THE_FUTURE, self._options)
        except BrokenRules:
            return True
        except Exception as error:  # a bug of ours, which says nothing about the document
            log.error(
                "document.unreadable", document=self._document_type.name, id=accepted.id, error=type(error).__name__
            )
            return None
        return body.hash != accepted.sent_hash

    async def _mark(self, documents: Sequence[AcceptedDocument]) -> None:
        now = await self._db.now_ms()
        await self._write(_MARK, [now, self._document_type.name, now], documents)
        if documents:
            log.info("corrections.noticed", document=self._document_type.name, ids=[each.id for each in documents])

    async def _write(
        self,
        template: str,
        values: Sequence[Any],
        documents: Sequence[AcceptedDocument],
        rows: Mapping[int, str] | None = None,
    ) -> None:
        """Write about documents as they were read. What is locked is left for the next check."""

        async def write(part: Sequence[AcceptedDocument]) -> Sequence[None]:
            attempts = {document.id: document.attempt for document in part}
            ids, id_parameters = one_of(list(attempts))
            attempt, attempt_parameters = by_id(attempts, otherwise="-1", cast="INT", every=True)
            digests = {id_: rows[id_] for id_ in attempts} if rows is not None else {}
            digest, digest_parameters = by_id(digests, otherwise="sent_rows", every=True)
            sql = template.format(table=self._document_type.table, ids=ids, attempt=attempt, digest=digest)
            parameters = [*digest_parameters, *values, *id_parameters, *attempt_parameters]
            await self._db.transaction(lambda tx: tx.execute(sql, parameters))
            return [None] * len(part)

        for result in [result for part in chunks(documents) for result in await bisect_failures(write, part)]:
            if isinstance(result, Failed) and not (isinstance(result.error, StoreError) and result.error.is_lock):
                raise result.error


def count_changed(tx: Transaction, document_type: DocumentType) -> int:
    """Return how many accepted documents are marked as changed."""
    return int(tx.rows(_COUNT.format(table=document_type.table), [document_type.name])[0][0])


# name: the next rows of dbo.SaleSync, downwards
_NEXT_IDS = "SELECT s.id FROM dbo.SaleSync s{skip_locked} WHERE s.document_type = ? AND s.id < ? ORDER BY s.id DESC"
# name: documents at rest whose accepted version is known: decided by their last claim, and nothing is due
_AT_REST = (
    "SELECT s.id, s.attempt, s.sent_hash, s.sent_rows, s.changed_at, s.reason_code "
    "FROM dbo.SaleSync s{skip_locked} JOIN dbo.{table} d{skip_locked} ON d.id = s.id "
    "WHERE s.document_type = ? AND {which} AND (s.sent_at >= ? OR s.changed_at > 0) "
    "AND s.ever_accepted = 1 AND s.attempt = s.published_attempt AND s.next_attempt_at IS NULL AND s.lease_until <= ? "
    "AND s.sent_hash <> ? AND d.status = 'SYNC_SUCCESS' ORDER BY {order}"
)
# name: mark changed documents
_MARK = (
    "UPDATE dbo.SaleSync SET changed_at = ? WHERE document_type = ? AND lease_until <= ? AND changed_at IS NULL "
    "AND next_attempt_at IS NULL AND attempt = published_attempt AND id IN ({ids}) AND attempt = {attempt} "
    "AND EXISTS (SELECT 1 FROM dbo.{table} d WHERE d.id = SaleSync.id AND d.status = 'SYNC_SUCCESS')"
)
# name: remove the marks of documents that are as they were accepted
_UNMARK = "UPDATE dbo.SaleSync SET changed_at = NULL WHERE document_type = ? AND id IN ({ids}) AND attempt = {attempt}"
# name: keep the digest of rows that make the accepted body
_REMEMBER = (
    "UPDATE dbo.SaleSync SET sent_rows = {digest} WHERE document_type = ? AND id IN ({ids}) AND attempt = {attempt}"
)
# name: how many accepted documents are marked as changed
_COUNT = (
    "SELECT COUNT(*) FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id "
    "WHERE s.document_type = ? AND s.changed_at > 0 AND d.status = 'SYNC_SUCCESS'"
)
