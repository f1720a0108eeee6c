"""Mongo, append only: `task_logs` has every decision, `sync_failures` every final failure with what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from streams.sale_status import SaleStatus
from streams.settings import Settings
from streams.stores.ends import Refusal

log = structlog.get_logger(__name__)

_DUPLICATE_KEY = 11000


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
        database = self._client[settings.mongo_database]
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
            await self._failures.create_index("decided_at", expireAfterSeconds=self._keep_s)
        except OperationFailure as error:
            log.warning("journal.no_expiry_index", error=type(error).__name__, instead="a daily delete")

    async def forget_old(self, older_than: Any) -> None:
        """Personal data leaves after its time, where the server has no index that sees to it."""
        try:
            await self._failures.delete_many({"decided_at": {"$lt": older_than}})
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    async def append(self, statuses: Sequence[SaleStatus], refusals: Mapping[tuple[str, int], Refusal]) -> None:
        """A repeat is a duplicate key and is passed over. Raises `JournalUnavailable`."""
        # Failures first: should the process die between the two, both come again.
        failed = [s for s in statuses if s.status == "SYNC_FAILED"]
        await self._insert(self._failures, [_failure(s, refusals.get((s.document, s.id))) for s in failed])
        await self._insert(self._logs, [_document(s) for s in statuses])

    async def history(self, pharmacy_code: str, own_code: str, most: int) -> list[Mapping[str, Any]]:
        """A document's decisions as `sale-status` told them, the latest first. Raises `JournalUnavailable`."""
        codes = {"pharmacy_code": pharmacy_code, "local_invoice_id": own_code}
        try:
            found = self._logs.find(codes).sort("decided_at", DESCENDING).limit(most)
            return [{**document, "event_id": document["_id"]} async for document in found]
        except PyMongoError as error:
            raise JournalUnavailable(type(error).__name__) from None

    async def _insert(self, collection: Any, documents: list[dict[str, Any]]) -> None:
        if not documents:
            return
        try:
            await collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            real = [e for e in details.get("writeErrors", []) if e.get("code") != _DUPLICATE_KEY]
            if real or details.get("writeConcernErrors"):
                codes = sorted({e.get("code") for e in real})
                raise JournalUnavailable(f"write errors {codes}") from None
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
    return document
