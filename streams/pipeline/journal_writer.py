"""Consumes `sale-status` and writes the journal in MongoDB. It has a consumer group of its own, so that neither
database delays the other.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from streams.domain.document_status import is_failure
from streams.domain.sale_status import SaleStatus
from streams.domain.status_message import read_status
from streams.domain.undecodable import Undecodable
from streams.kafka import dead_letters as dead_letter
from streams.kafka.connection import aiokafka_options
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.stop_consumer import stop_consumer
from streams.kafka.topics import METADATA_MAX_AGE_MS
from streams.kafka.unpacking import UNREADABLE
from streams.pipeline.guard import Guard
from streams.runtime.outages import OUTAGES, OutageReporter
from streams.runtime.retrying import Backoff, retry
from streams.settings import Settings
from streams.stores.decisions import DecisionWriter, Refusal
from streams.stores.isolation import Failed, bisect_failures, class_and_state
from streams.stores.journal import Journal, JournalUnavailable
from streams.stores.sales_db import StoreError
from streams.stores.wait_for_database import ACTION

log = structlog.get_logger(__name__)

R = TypeVar("R")

_UNAVAILABLE = (JournalUnavailable, StoreError, KafkaError, OSError)
_MONGO_ACTION = "start MongoDB, or correct the MONGO settings"
_KAFKA_ACTION = "check Kafka, and this user's rights to the journal's consumer group; if it lasts, keep the log"
_BACKOFF = Backoff(0.5, 30)
_BATCH = 500
_FETCH_MAX_WAIT_MS = 250
_FETCH_MIN_BYTES = 128 * 1024
"""The broker answers a fetch after `_FETCH_MAX_WAIT_MS`, or once there are `_FETCH_MIN_BYTES`. Nothing waits for the
journal, and few large batches cost MongoDB, the broker and this worker less than many small ones.
"""


class JournalRecord(dead_letter.SourceRecord, Protocol):
    """A record of `sale-status`, with its headers."""

    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...


class JournalWriter:
    """Writes the journal while `run` is running, until it is cancelled. Offsets are committed explicitly, after the
    batch is written.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        make_journal: Callable[[], Journal],
        decisions: DecisionWriter,
        dead_letters: DeadLetters,
        *,
        wrote: Callable[[int, float], None],
        takes: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`make_journal`: creates the journal's client for each run. `wrote`: called after each batch with its number
        of decisions and its duration in seconds. `takes`: whether decisions about the documents of a given database
        belong in the journal.
        """
        self._settings = settings
        self._topic = topic
        self._make_journal = make_journal
        self._decisions = decisions
        self._dead_letters = dead_letters
        self._wrote = wrote
        self._takes = takes
        self.written_total = 0
        self._outage = OUTAGES.reporter("journal", _KAFKA_ACTION, holds_up_sales=False)
        self.consumer: AIOKafkaConsumer | None = None
        """The consumer while `run` is running, else None."""
        self.delivered: dict[TopicPartition, int] = {}
        """For each partition from which records were taken, the offset after the last one."""

    async def run(self) -> None:
        """Consume until cancelled. Whatever ends a run, the next one starts with new clients."""
        journal = self._make_journal()
        try:
            await _until_available(journal.open)
            consumer = await _until_available(self._started_consumer)
            deleting = asyncio.create_task(self._delete_old_daily(journal))
            try:
                self.consumer = consumer
                await self._consume(consumer, journal)
            finally:
                deleting.cancel()
                self.consumer = None
                await stop_consumer(consumer)
        except Exception as error:
            self._outage.report(f"it failed and is restarted: {class_and_state(error)}")
            raise
        finally:
            journal.close()

    async def _started_consumer(self) -> AIOKafkaConsumer:
        """Return a started consumer. One whose start fails is stopped, not started again."""
        consumer = AIOKafkaConsumer(
            self._topic,
            group_id=f"{self._settings.deployment}-journal",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=_BATCH,
            fetch_min_bytes=_FETCH_MIN_BYTES,
            fetch_max_wait_ms=_FETCH_MAX_WAIT_MS,
            # MongoDB may be unavailable for days without this member leaving its group.
            max_poll_interval_ms=7 * 86_400_000,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            **aiokafka_options(self._settings),
        )
        try:
            await consumer.start()
        except BaseException:
            await stop_consumer(consumer)
            raise
        return consumer

    async def _consume(self, consumer: AIOKafkaConsumer, journal: Journal) -> None:
        while True:
            records = await _fetch(consumer)
            self.delivered |= {partition: part[-1].offset + 1 for partition, part in records.items()}
            batch = [record for part in records.values() for record in part]
            if batch:
                await self.write(journal, batch)
                await self._commit(consumer)
            self._outage.end()

    async def write(self, journal: Journal, batch: Sequence[JournalRecord]) -> None:
        """Write a batch, and return when each of its decisions is written or is a dead letter."""
        statuses: list[SaleStatus] = []
        records: dict[str, JournalRecord] = {}
        for record in batch:
            try:
                status = read_status(record.value, dict(record.headers)).status
            except Undecodable as error:
                await self._dead_letters.put(record, str(error), reader="journal")
                continue
            if self._takes(status.source_database):
                statuses.append(status)
                records[status.event_id] = record
        started_at = time.perf_counter()
        results = await _until_available(
            lambda: bisect_failures(partial(self._append, journal), statuses, _UNAVAILABLE)
        )
        written = 0
        for status, result in zip(statuses, results, strict=True):
            problem = class_and_state(result.error) if isinstance(result, Failed) else result
            if problem is None:
                written += 1
            else:
                record = records[status.event_id]
                await self._dead_letters.put(record, f"the journal cannot store it: {problem}", reader="journal")
        self._wrote(written, time.perf_counter() - started_at)
        self.written_total += len(statuses)

    async def _append(self, journal: Journal, statuses: Sequence[SaleStatus]) -> Sequence[str | None]:
        """Write decisions. Return for each why the journal refuses it, or None."""
        refusals: dict[tuple[str, int], Refusal] = {}
        failed: dict[str, list[int]] = defaultdict(list)
        for status in statuses:
            if is_failure(status.status):
                failed[status.document].append(status.id)
        for document_type, ids in failed.items():
            for result in await bisect_failures(partial(self._refusals, document_type), ids):
                if isinstance(result, Failed):
                    # For one row: its stored refusal cannot be read. For all rows: the right to read is missing.
                    if not await self._decisions.is_available():
                        raise result.error
                    log.warning(
                        "journal.refusal_unreadable", document=document_type, error=class_and_state(result.error)
                    )
                elif result is not None:
                    refusals[document_type, result[0]] = result[1]
        refused = await journal.append(statuses, refusals)
        return [refused.get(status.event_id) for status in statuses]

    async def _refusals(self, document_type: str, ids: Sequence[int]) -> Sequence[tuple[int, Refusal] | None]:
        stored = await self._decisions.refusals(document_type, ids)
        return [(id_, stored[id_]) if id_ in stored else None for id_ in ids]

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await consumer.commit()
        except (CommitFailedError, IllegalStateError) as error:
            # Partitions were reassigned meanwhile: their next owner reads the batch again, and skips what is written
            # already.
            log.info("journal.commit_lost", error=type(error).__name__)

    async def _delete_old_daily(self, journal: Journal) -> None:
        deleting = Guard("deleting old journal entries", "journal", _MONGO_ACTION)
        while True:
            await deleting(lambda: _until_available(lambda: self._delete_old(journal)))
            await asyncio.sleep(86_400)

    async def _delete_old(self, journal: Journal) -> None:
        await journal.forget_old(datetime.now(UTC) - timedelta(days=self._settings.journal_keep_days))


async def _fetch(consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]:
    assigned = consumer.assignment()
    ready = UNREADABLE.ready(assigned)
    if assigned and not ready:  # an empty set would mean all of them
        await asyncio.sleep(1)
        return {}
    partitions = ready if len(ready) < len(assigned) else ()
    records: Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]
    records = await consumer.getmany(*partitions, timeout_ms=1000, max_records=_BATCH)
    return records


async def _until_available(work: Callable[[], Awaitable[R]]) -> R:
    """Run `work`, retrying while a service is unavailable. Each unavailable service is reported as an outage of its
    own, since each needs another action.
    """
    outages: dict[str, OutageReporter] = {}

    def report(error: Exception, tries: int) -> None:
        text = str(error) if isinstance(error, (JournalUnavailable, StoreError)) else type(error).__name__
        action = _action(error)
        outage = outages.setdefault(action, OUTAGES.reporter("journal", action, holds_up_sales=False))
        outage.report(text)
        log.warning("journal.waiting", tries=tries, error=text, action=action)

    try:
        return await retry(work, _UNAVAILABLE, _BACKOFF, report)
    finally:
        for outage in outages.values():
            outage.end()


def _action(error: Exception) -> str:
    """Return what an operator should do about `error`."""
    match error:
        case StoreError():
            return ACTION
        case KafkaError():
            return _KAFKA_ACTION
        case _:
            return _MONGO_ACTION
