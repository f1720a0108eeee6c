"""`sale-status` -> Mongo, in a consumer group of its own: neither store holds the other up."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from streams.change_event import Undecodable
from streams.consumer_stop import stop_consumer
from streams.dead_letter import DeadLetters
from streams.kafka import METADATA_MAX_AGE_MS, aiokafka_options
from streams.sale_status import SaleStatus
from streams.settings import Settings
from streams.stores.ends import Ends, Refusal
from streams.stores.journal import Journal, JournalUnavailable
from streams.stores.sales_db import StoreError
from streams.unpacking import UNREADABLE
from streams.waits import WAITS
from streams.write_back import read_told

log = structlog.get_logger(__name__)

_BATCH = 500
_GATHERED_FOR_MS = 250
_ENOUGH = 128 * 1024
"""Nobody waits for the journal, and few large batches cost MongoDB, the broker and us less: the broker answers after so
many milliseconds, or once there are so many bytes."""


class JournalKeeper:
    """`run` until cancelled. Offsets are committed by hand, after the batch is written."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        journal: Journal,
        ends: Ends,
        dead_letters: DeadLetters,
        *,
        wrote: Callable[[int, float], None],
    ) -> None:
        """`wrote`: told of each batch, how many decisions it had and what it took, in seconds."""
        self._settings = settings
        self._topic = topic
        self._journal = journal
        self._ends = ends
        self._dead_letters = dead_letters
        self._wrote = wrote
        self.written_total = 0
        self.consumer: AIOKafkaConsumer | None = None
        """While it runs."""
        self.delivered: dict[TopicPartition, int] = {}
        """The next after the last that was taken, of the partitions from which it has taken any."""

    async def run(self) -> None:
        await _until_available(self._journal.open)
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
        await _until_available(consumer.start)
        self.consumer = consumer
        forgetting = asyncio.create_task(self._forget_daily())
        try:
            while True:
                records = await _fetched(consumer)
                self.delivered |= {partition: part[-1].offset + 1 for partition, part in records.items()}
                batch = [record for part in records.values() for record in part]
                if batch:
                    await self._write(batch)
                    await self._commit(consumer)
        finally:
            forgetting.cancel()
            self.consumer = None
            self._journal.close()
            await stop_consumer(consumer)

    async def _write(self, batch: Sequence[ConsumerRecord[Any, Any]]) -> None:
        statuses = []
        for record in batch:
            try:
                statuses.append(read_told(record.value, dict(record.headers)).status)
            except Undecodable as problem:
                await self._dead_letters.put(record, str(problem), reader="journal")
        began = time.perf_counter()
        await _until_available(lambda: self._append(statuses))
        self._wrote(len(statuses), time.perf_counter() - began)
        self.written_total += len(statuses)

    async def _append(self, statuses: Sequence[SaleStatus]) -> None:
        refusals: dict[tuple[str, int], Refusal] = {}
        failed: dict[str, list[int]] = defaultdict(list)
        for status in statuses:
            if status.status == "SYNC_FAILED":
                failed[status.document].append(status.id)
        for kind, ids in failed.items():
            kept = await self._ends.refusals(kind, ids)
            refusals |= {(kind, id_): refusal for id_, refusal in kept.items()}
        await self._journal.append(statuses, refusals)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await consumer.commit()
        except (CommitFailedError, IllegalStateError) as error:
            # Rebalanced meanwhile: the next owner reads the batch again, and repeats are passed over.
            log.info("journal.commit_lost", error=type(error).__name__)

    async def _forget_daily(self) -> None:
        while True:
            await _until_available(self._forget)
            await asyncio.sleep(86_400)

    async def _forget(self) -> None:
        await self._journal.forget_old(datetime.now(UTC) - timedelta(days=self._settings.journal_keep_days))


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


async def _until_available(work: Callable[[], Awaitable[object]]) -> None:
    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        words = str(error) or type(error).__name__
        waiting.say(words)
        log.warning("journal.waiting", tries=state.attempt_number, error=words)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type((JournalUnavailable, StoreError, KafkaError, OSError)),
        wait=wait_exponential_jitter(multiplier=0.2, max=30, jitter=1),
        before_sleep=say,
    )

    async def attempt() -> None:  # tenacity awaits coroutine functions only
        await work()

    with WAITS.waiting("journal", "start MongoDB, or correct MONGO_URL", holds_up_sales=False) as waiting:
        await retrying(attempt)
