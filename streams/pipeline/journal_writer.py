"""`sale-status` -> Mongo, in a consumer group of its own: neither store holds the other up."""

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
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

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
from streams.settings import Settings
from streams.stores.decisions import DecisionWriter, Refusal
from streams.stores.isolation import Failed, class_and_state, halved
from streams.stores.journal import Journal, JournalUnavailable
from streams.stores.sales_db import StoreError
from streams.stores.wait_for_database import REMEDY

log = structlog.get_logger(__name__)

R = TypeVar("R")

_AWAY = (JournalUnavailable, StoreError, KafkaError, OSError)
_SEE_TO_MONGO = "start MongoDB, or correct MONGO_URL"
_SEE_TO_KAFKA = "see to Kafka, and to what this user may do with the group of the journal; if it lasts, keep the log"
_BATCH = 500
_GATHERED_FOR_MS = 250
_ENOUGH = 128 * 1024
"""Nobody waits for the journal, and few large batches cost MongoDB, the broker and us less: the broker answers after so
many milliseconds, or once there are so many bytes."""


class JournalRecord(dead_letter.SourceRecord, Protocol):
    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...


class JournalWriter:
    """`run` until cancelled. Offsets are committed by hand, after the batch is written."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        make_journal: Callable[[], Journal],
        ends: DecisionWriter,
        dead_letters: DeadLetters,
        *,
        wrote: Callable[[int, float], None],
        takes: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`make_journal`: a new one for each run. `wrote`: told of each batch, how many decisions it had and what it
        took, in seconds. `takes`: whether it keeps what was decided about this database's documents."""
        self._settings = settings
        self._topic = topic
        self._make_journal = make_journal
        self._ends = ends
        self._dead_letters = dead_letters
        self._wrote = wrote
        self._takes = takes
        self.written_total = 0
        self._trouble = OUTAGES.reporter("journal", _SEE_TO_KAFKA, holds_up_sales=False)
        self.consumer: AIOKafkaConsumer | None = None
        """While it runs."""
        self.delivered: dict[TopicPartition, int] = {}
        """The next after the last that was taken, of the partitions from which it has taken any."""

    async def run(self) -> None:
        """Whatever ends it, the next call begins with clients of its own."""
        journal = self._make_journal()
        try:
            await _until_available(journal.open)
            consumer = await _until_available(self._consumer)
            forgetting = asyncio.create_task(self._forget_daily(journal))
            try:
                self.consumer = consumer
                await self._keep(consumer, journal)
            finally:
                forgetting.cancel()
                self.consumer = None
                await stop_consumer(consumer)
        except Exception as error:
            self._trouble.report(f"it failed and begins anew: {class_and_state(error)}")
            raise
        finally:
            journal.close()

    async def _consumer(self) -> AIOKafkaConsumer:
        """A started one. What fails half-way is not started again."""
        consumer = AIOKafkaConsumer(
            self._topic,
            group_id=f"{self._settings.app_id}-journal",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=_BATCH,
            fetch_min_bytes=_ENOUGH,
            fetch_max_wait_ms=_GATHERED_FOR_MS,
            # Mongo may be away for days without this member leaving its group.
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

    async def _keep(self, consumer: AIOKafkaConsumer, journal: Journal) -> None:
        while True:
            records = await _fetched(consumer)
            self.delivered |= {partition: part[-1].offset + 1 for partition, part in records.items()}
            batch = [record for part in records.values() for record in part]
            if batch:
                await self.write(journal, batch)
                await self._commit(consumer)
            self._trouble.end()

    async def write(self, journal: Journal, batch: Sequence[JournalRecord]) -> None:
        """Returns when it is written, or is a dead letter."""
        statuses: list[SaleStatus] = []
        came_as: dict[str, JournalRecord] = {}
        for record in batch:
            try:
                status = read_status(record.value, dict(record.headers)).status
            except Undecodable as problem:
                await self._dead_letters.put(record, str(problem), reader="journal")
                continue
            if self._takes(status.source_database):
                statuses.append(status)
                came_as[status.event_id] = record
        began = time.perf_counter()
        results = await _until_available(lambda: halved(partial(self._append, journal), statuses, _AWAY))
        written = 0
        for status, result in zip(statuses, results, strict=True):
            why = class_and_state(result.error) if isinstance(result, Failed) else result
            if why is None:
                written += 1
            else:
                record = came_as[status.event_id]
                await self._dead_letters.put(record, f"the journal cannot keep it: {why}", reader="journal")
        self._wrote(written, time.perf_counter() - began)
        self.written_total += len(statuses)

    async def _append(self, journal: Journal, statuses: Sequence[SaleStatus]) -> Sequence[str | None]:
        """Gives for each why it is refused; None: it is not."""
        refusals: dict[tuple[str, int], Refusal] = {}
        failed: dict[str, list[int]] = defaultdict(list)
        for status in statuses:
            if status.status == "SYNC_FAILED":
                failed[status.document].append(status.id)
        for document_type, ids in failed.items():
            for found in await halved(partial(self._refusals, document_type), ids):
                if isinstance(found, Failed):
                    # Of one row: what was kept of its refusal cannot be read. Of all: there is no right to.
                    if not await self._ends.answers():
                        raise found.error
                    log.warning(
                        "journal.refusal_unreadable", document=document_type, error=class_and_state(found.error)
                    )
                elif found is not None:
                    refusals[document_type, found[0]] = found[1]
        refused = await journal.append(statuses, refusals)
        return [refused.get(status.event_id) for status in statuses]

    async def _refusals(self, document_type: str, ids: Sequence[int]) -> Sequence[tuple[int, Refusal] | None]:
        kept = await self._ends.refusals(document_type, ids)
        return [(id_, kept[id_]) if id_ in kept else None for id_ in ids]

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await consumer.commit()
        except (CommitFailedError, IllegalStateError) as error:
            # Rebalanced meanwhile: the next owner reads the batch again, and repeats are passed over.
            log.info("journal.commit_lost", error=type(error).__name__)

    async def _forget_daily(self, journal: Journal) -> None:
        forgetting = Guard("what is to be forgotten", "journal", _SEE_TO_MONGO)
        while True:
            await forgetting(lambda: _until_available(lambda: self._forget(journal)))
            await asyncio.sleep(86_400)

    async def _forget(self, journal: Journal) -> None:
        await journal.forget_old(datetime.now(UTC) - timedelta(days=self._settings.journal_keep_days))


async def _fetched(consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]:
    assigned = consumer.assignment()
    ready = UNREADABLE.ready(assigned)
    if assigned and not ready:  # "none" would mean all of them
        await asyncio.sleep(1)
        return {}
    asked = ready if len(ready) < len(assigned) else ()
    records: Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]
    records = await consumer.getmany(*asked, timeout_ms=1000, max_records=_BATCH)
    return records


async def _until_available(work: Callable[[], Awaitable[R]]) -> R:
    """What is away is named: each has a remedy of its own."""
    waits: dict[str, OutageReporter] = {}

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        words = str(error) if isinstance(error, (JournalUnavailable, StoreError)) else type(error).__name__
        action = _remedy(error)
        waiting = waits.setdefault(action, OUTAGES.reporter("journal", action, holds_up_sales=False))
        waiting.report(words)
        log.warning("journal.waiting", tries=state.attempt_number, error=words, action=action)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(_AWAY),
        wait=wait_exponential_jitter(multiplier=0.2, max=30, jitter=1),
        before_sleep=say,
    )

    async def attempt() -> R:  # tenacity awaits coroutine functions only
        return await work()

    try:
        return await retrying(attempt)
    finally:
        for waiting in waits.values():
            waiting.end()


def _remedy(error: BaseException | None) -> str:
    match error:
        case StoreError():
            return REMEDY
        case KafkaError():
            return _SEE_TO_KAFKA
        case _:
            return _SEE_TO_MONGO
