"""Mongo, append only: `task_logs` has every decision, `sync_failures` every final failure with what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError, ExecutionTimeout, OperationFailure, PyMongoError, WTimeoutError

from streams.domain.sale_status import SaleStatus
from streams.settings import Settings
from streams.stores.decisions import Refusal
from streams.stores.isolation import Failed, halved

log = structlog.get_logger(__name__)

_DUPLICATE_KEY = 11000
_OTHER_OPTIONS = 85
_DECIDED = "decided_at"
_PROBE = "probe"
_LARGEST = 15 * 2**20
"""Bytes of a body and of words: MongoDB takes no document over 16 MiB."""
_LEAVES_OUT = (["payload"], ["payload", "api_words"])
"""In turn, from what is too large."""


class JournalUnavailable(Exception):
    """The journal could not be written; it may work later."""


class Journal:
    def __init__(self, settings: Settings) -> None:
        self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            settings.mongo_url.get_secret_value(),
            serverSelectionTimeoutMS=5000,
            socketTimeoutMS=20_000,
            tz_aware=True,
        )
        self._keep_s = settings.journal_keep_days * 86_400
        database = self._database = self._client[settings.mongo_database]
        self._logs = database["task_logs"]
        self._failures = database["sync_failures"]

    async def open(self) -> None:
        """Makes the indexes. Raises `JournalUnavailable`."""
        by_codes = [("pharmacy_code", ASCENDING), ("local_invoice_id", ASCENDING)]
        try:
            await self._logs.create_index(by_codes)
            await self._failures.create_index(by_codes)
            await self._expire()
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    async def _expire(self) -> None:
        try:
            await self._failures.create_index(_DECIDED, expireAfterSeconds=self._keep_s)
        except OperationFailure as error:
            if error.code != _OTHER_OPTIONS or not await self._expire_otherwise():
                log.warning("journal.no_expiry_index", error=type(error).__name__, instead="a daily delete")

    async def _expire_otherwise(self) -> bool:
        """The index is there, for another time. Gives whether it now says what it should."""
        try:
            index = {"keyPattern": {_DECIDED: ASCENDING}, "expireAfterSeconds": self._keep_s}
            await self._database.command({"collMod": self._failures.name, "index": index})
        except OperationFailure as error:
            log.info("journal.expiry_index_recreated", error=type(error).__name__, code=error.code)
        else:
            return True
        # Until then it would go on deleting after the old time.
        try:
            await self._failures.drop_index([(_DECIDED, ASCENDING)])
            await self._failures.create_index(_DECIDED, expireAfterSeconds=self._keep_s)
        except OperationFailure:
            return False
        return True

    async def forget_old(self, older_than: Any) -> None:
        """Personal data leaves after its time, where the server has no index that sees to it."""
        try:
            await self._failures.delete_many({"decided_at": {"$lt": older_than}})
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    async def append(
        self, statuses: Sequence[SaleStatus], refusals: Mapping[tuple[str, int], Refusal]
    ) -> dict[str, str]:
        """A repeat is a duplicate key and is passed over. What is too large is kept without the body that was sent.
        Gives what the server refuses none the less, by `event_id`, and why. Raises `JournalUnavailable`."""
        # Failures first: should the process die between the two, both come again.
        failed = [s for s in statuses if s.status == "SYNC_FAILED"]
        refused = await self._insert(self._failures, [_failure(s, refusals.get((s.document, s.id))) for s in failed])
        return refused | await self._insert(self._logs, [_document(s) for s in statuses])

    async def history(self, pharmacy_code: str, document_code: str, most: int) -> list[Mapping[str, Any]]:
        """A document's decisions as `sale-status` told them, the latest first. Raises `JournalUnavailable`."""
        codes = {"pharmacy_code": pharmacy_code, "local_invoice_id": document_code}
        try:
            found = self._logs.find(codes).sort("decided_at", DESCENDING).limit(most)
            return [{**document, "event_id": document["_id"]} async for document in found]
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    async def _insert(self, collection: Any, documents: list[dict[str, Any]]) -> dict[str, str]:
        """Gives what is refused, by `_id`, and why."""
        refused = await self._refused(collection, documents)
        for left_out in _LEAVES_OUT:
            smaller = [_without(document, left_out) for document, _ in refused if left_out[-1] in document]
            rest = [pair for pair in refused if left_out[-1] not in pair[0]]
            if smaller:
                log.warning("journal.kept_without", left_out=left_out, documents=len(smaller), why=refused[0][1])
                refused = [*rest, *await self._refused(collection, smaller)]
        return {str(document["_id"]): why for document, why in refused}

    async def _refused(self, collection: Any, documents: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
        """What is refused while the server takes others, just before and just after. A server that was going away, or
        was not back yet, refuses what it takes a moment later: nothing is given up, or left out, for that."""
        refused = await self._try(collection, documents)
        if refused:
            await self._prove_that_it_takes_others()
            refused = await self._try(collection, [document for document, _ in refused])
        if refused:
            await self._prove_that_it_takes_others()
        return refused

    async def _try(self, collection: Any, documents: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
        """Gives what is refused, and why: by the server, or by its client, which cannot write it down."""

        async def insert(part: Sequence[dict[str, Any]]) -> Sequence[str | None]:
            try:
                await collection.insert_many(part, ordered=False)
            except BulkWriteError as error:
                details = error.details or {}
                if details.get("writeConcernErrors"):
                    raise JournalUnavailable("write concern error") from None
                codes = {each.get("index"): each.get("code") for each in details.get("writeErrors", [])}
                found = [codes.get(place, _DUPLICATE_KEY) for place in range(len(part))]
                return [None if code == _DUPLICATE_KEY else f"error {code}" for code in found]
            except (ExecutionTimeout, WTimeoutError) as error:
                raise JournalUnavailable(type(error).__name__) from None
            except OperationFailure:
                if len(part) == len(documents):
                    await self._prove_that_it_takes_others()
                raise
            except PyMongoError as error:
                raise JournalUnavailable(type(error).__name__) from None
            return [None] * len(part)

        if not documents:
            return []
        results = await halved(insert, documents, JournalUnavailable)
        whys = [type(why.error).__name__ if isinstance(why, Failed) else why for why in results]
        return [(document, why) for document, why in zip(documents, whys, strict=True) if why is not None]

    async def _prove_that_it_takes_others(self) -> None:
        """Raises `JournalUnavailable` where it refuses anything, as with a full disk."""
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
        document["api_words"] = refusal.words
    for left_out in _LEAVES_OUT:
        if sum(len((document.get(name) or "").encode()) for name in ("payload", "api_words")) > _LARGEST:
            document = _without(document, left_out)
    return document


def _without(document: Mapping[str, Any], left_out: Sequence[str]) -> dict[str, Any]:
    """`left_out` then says so."""
    kept = {name: value for name, value in document.items() if name not in left_out}
    return {**kept, "left_out": list(left_out)}
