"""The journal in MongoDB, append only.

`task_logs` has every decision, `sync_failures` every final failure with the body that was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError, ExecutionTimeout, OperationFailure, PyMongoError, WTimeoutError

from streams.domain.document_status import is_failure
from streams.domain.sale_status import SaleStatus
from streams.settings import Settings
from streams.stores.decisions import Refusal
from streams.stores.isolation import Failed, bisect_failures

log = structlog.get_logger(__name__)

_DUPLICATE_KEY = 11000
_INDEX_OPTIONS_CONFLICT = 85
_DECIDED = "decided_at"
_PROBE = "probe"
_MAX_PERSONAL_DATA = 15 * 2**20
"""Bytes of body and API text together: MongoDB accepts no document over 16 MiB."""
_LEFT_OUT_STEPS = (["payload"], ["payload", "api_words"])
"""What is left out of a document that is too large, one step after the other."""


class JournalUnavailable(Exception):
    """The journal could not be written; it may work later."""


class Journal:
    """The two collections. Open with `open()`, close with `close()`."""

    def __init__(self, settings: Settings) -> None:
        self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            settings.mongo_url.get_secret_value(),
            serverSelectionTimeoutMS=5000,
            socketTimeoutMS=20_000,
            tz_aware=True,
        )
        self._keep_s = settings.journal_keep_days * 86_400
        database = self._database = self._client[settings.journal_database]
        self._logs = database["task_logs"]
        self._failures = database["sync_failures"]

    async def open(self) -> None:
        """Create the indexes. Raises `JournalUnavailable`."""
        by_codes = [("pharmacy_code", ASCENDING), ("local_invoice_id", ASCENDING)]
        try:
            await self._logs.create_index(by_codes)
            await self._failures.create_index(by_codes)
            await self._create_expiry_index()
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    async def _create_expiry_index(self) -> None:
        try:
            await self._failures.create_index(_DECIDED, expireAfterSeconds=self._keep_s)
        except OperationFailure as error:
            if error.code != _INDEX_OPTIONS_CONFLICT or not await self._change_expiry_index():
                log.warning("journal.no_expiry_index", error=type(error).__name__, instead="a daily delete")

    async def _change_expiry_index(self) -> bool:
        """Change the existing index, which has another expiry time. Return whether it now has the right one."""
        try:
            index = {"keyPattern": {_DECIDED: ASCENDING}, "expireAfterSeconds": self._keep_s}
            await self._database.command({"collMod": self._failures.name, "index": index})
        except OperationFailure as error:
            log.info("journal.expiry_index_recreated", error=type(error).__name__, code=error.code)
        else:
            return True
        # Kept, the old index would go on deleting after the old time.
        try:
            await self._failures.drop_index([(_DECIDED, ASCENDING)])
            await self._failures.create_index(_DECIDED, expireAfterSeconds=self._keep_s)
        except OperationFailure:
            return False
        return True

    async def forget_old(self, older_than: Any) -> None:
        """Delete failures decided before `older_than`, for servers without an expiry index.

        Raises `JournalUnavailable`.
        """
        try:
            await self._failures.delete_many({"decided_at": {"$lt": older_than}})
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    async def append(
        self, statuses: Sequence[SaleStatus], refusals: Mapping[tuple[str, int], Refusal]
    ) -> dict[str, str]:
        """Insert decisions.

        A repeated one is a duplicate key and is skipped; one that is too large is inserted without its body.

        `refusals`: (document type, id) -> the stored refusal. Returns those that the server refuses nevertheless:
        `event_id` -> why. Raises `JournalUnavailable`.
        """
        # Failures first: if the process dies between the two inserts, both are repeated.
        failed = [s for s in statuses if is_failure(s.status)]
        refused = await self._insert(self._failures, [_failure(s, refusals.get((s.document, s.id))) for s in failed])
        return refused | await self._insert(self._logs, [_document(s) for s in statuses])

    async def history(
        self, document_type: str, pharmacy_code: str, document_code: str, limit: int
    ) -> list[Mapping[str, Any]]:
        """Return a document's decisions as published on `sale-status`, the latest first.

        Raises `JournalUnavailable`.
        """
        codes = {"pharmacy_code": pharmacy_code, "local_invoice_id": document_code, "document": document_type}
        try:
            found = self._logs.find(codes).sort("decided_at", DESCENDING).limit(limit)
            return [{**document, "event_id": document["_id"]} async for document in found]
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    async def _insert(self, collection: Any, documents: list[dict[str, Any]]) -> dict[str, str]:
        """Insert documents, large ones without their personal data. Return the refused ones: `_id` -> why."""
        refused = await self._refused(collection, documents)
        for left_out in _LEFT_OUT_STEPS:
            smaller = [_without(document, left_out) for document, _ in refused if left_out[-1] in document]
            rest = [pair for pair in refused if left_out[-1] not in pair[0]]
            if smaller:
                log.warning("journal.kept_without", left_out=left_out, documents=len(smaller), why=refused[0][1])
                refused = [*rest, *await self._refused(collection, smaller)]
        return {str(document["_id"]): why for document, why in refused}

    async def _refused(self, collection: Any, documents: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
        """Insert documents. Return those that are refused while the server accepts others, just before and just after:
        a server that was going away, or was not ready yet, refuses what it accepts a moment later, and nothing is given
        up or left out for that.
        """
        refused = await self._try_insert(collection, documents)
        if refused:
            await self._verify_accepts_writes()
            refused = await self._try_insert(collection, [document for document, _ in refused])
        if refused:
            await self._verify_accepts_writes()
        return refused

    async def _try_insert(self, collection: Any, documents: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
        """Insert documents. Return those that the server refuses, or its client cannot encode, and why."""

        async def insert(part: Sequence[dict[str, Any]]) -> Sequence[str | None]:
            try:
                await collection.insert_many(part, ordered=False)
            except BulkWriteError as error:
                details = error.details or {}
                if details.get("writeConcernErrors"):
                    raise JournalUnavailable("write concern error") from None
                codes = {failure.get("index"): failure.get("code") for failure in details.get("writeErrors", [])}
                found = [codes.get(index, _DUPLICATE_KEY) for index in range(len(part))]
                return [None if code == _DUPLICATE_KEY else f"error {code}" for code in found]
            except (ExecutionTimeout, WTimeoutError) as error:
                raise JournalUnavailable(type(error).__name__) from None
            except OperationFailure:
                if len(part) == len(documents):
                    await self._verify_accepts_writes()
                raise
            except PyMongoError as error:
                raise JournalUnavailable(type(error).__name__) from None
            return [None] * len(part)

        if not documents:
            return []
        results = await bisect_failures(insert, documents, JournalUnavailable)
        reasons = [type(result.error).__name__ if isinstance(result, Failed) else result for result in results]
        return [(document, why) for document, why in zip(documents, reasons, strict=True) if why is not None]

    async def _verify_accepts_writes(self) -> None:
        """Write and delete a probe. Raises `JournalUnavailable` if all writes fail, as with a full disk."""
        try:
            await self._logs.replace_one({"_id": _PROBE}, {"_id": _PROBE}, upsert=True)
            await self._logs.delete_one({"_id": _PROBE})
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    def close(self) -> None:
        self._client.close()


def _document(status: SaleStatus) -> dict[str, Any]:
    document = status.model_dump(mode="python")
    document["_id"] = document.pop("event_id")
    return document


def _failure(status: SaleStatus, refusal: Refusal | None) -> dict[str, Any]:
    document = _document(status)
    if refusal is not None and refusal.attempt == status.attempt:
        document["payload"] = refusal.body
        document["api_words"] = refusal.text
    for left_out in _LEFT_OUT_STEPS:
        if sum(len((document.get(name) or "").encode()) for name in ("payload", "api_words")) > _MAX_PERSONAL_DATA:
            document = _without(document, left_out)
    return document


def _without(document: Mapping[str, Any], left_out: Sequence[str]) -> dict[str, Any]:
    """Return the document without these fields; its field `left_out` names them."""
    kept = {name: value for name, value in document.items() if name not in left_out}
    return {**kept, "left_out": list(left_out)}
