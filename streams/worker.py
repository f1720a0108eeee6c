"""Everything that a worker is made of, built in one place and passed in; `streams.app` wires it to topics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from faust.types import EventT, TopicT

from streams.documents.document import DocumentType
from streams.domain.change_event import SendRequest, Skip, read_change_event
from streams.domain.retry_message import read_retry
from streams.domain.status_message import read_status
from streams.domain.undecodable import Undecodable
from streams.kafka.change_progress import ChangeProgress
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.faust_overrides.manual_ack import acknowledge
from streams.kafka.in_order_window import Delivery, InOrderWindow
from streams.kafka.producer import Producers
from streams.kafka.topics import OWN_TOPICS, change_topics
from streams.national_api.client import NationalApi
from streams.national_api.rate_limit import RateLimits
from streams.national_api.token_cache import TokenCache
from streams.pipeline.batching import ConcurrencyLimit
from streams.pipeline.journal_writer import JournalWriter
from streams.pipeline.metrics import Metrics
from streams.pipeline.outage_gate import Admission, OutageGate
from streams.pipeline.scheduler import Scheduler
from streams.pipeline.sender import Sender
from streams.pipeline.source_database import SourceDatabaseFilter
from streams.pipeline.status_publisher import StatusPublisher
from streams.pipeline.tracing import tracing
from streams.pipeline.write_back import WriteBack
from streams.settings import Settings
from streams.stores.decisions import DecisionWriter
from streams.stores.journal import Journal
from streams.stores.redis_lock import RedisLock
from streams.stores.row_digests import try_digests
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

_LOCK_LIFE = 10.0


@dataclass(frozen=True)
class Factories:
    """What makes the parts of a worker that reach out of its process."""

    producers: Callable[[TopicT, TopicT, TopicT], Producers] = Producers
    db: Callable[[Settings], SalesDb] = SalesDb
    api: Callable[..., NationalApi] = NationalApi
    journal: Callable[[Settings], Journal] = Journal


_ABREAST = 2
"""Batches that ask the sales database at once. On two processors up to eight carried two thirds of what these do, one
nine tenths."""


class Worker:
    def __init__(
        self,
        settings: Settings,
        document_types: Iterable[DocumentType],
        producers: Producers,
        parts: Factories | None = None,
    ) -> None:
        self._parts = parts or Factories()
        self._settings = settings
        self._outlets = producers
        self._document_types = {document_type.name: document_type for document_type in document_types}
        self._tables = {
            document_type.table.lower(): (document_type.name, document_type.document_code_column)
            for document_type in self._document_types.values()
        }
        self._ready = asyncio.Event()
        self._services: list[asyncio.Task[None]] = []
        self.is_draining = False
        self.journal: JournalWriter | None = None
        self._lock: RedisLock | None = None
        self.metrics = Metrics(self._document_types)
        self._tracing = tracing(settings)
        self.sales_db: SalesDb | None = None
        """While it is open."""
        self.schedulers: dict[str, Scheduler] = {}
        """By kind."""
        self.readers = [*change_topics(settings, self._document_types.values()), *OWN_TOPICS[:2], "journal"]
        """Who may put a dead letter."""
        self.dead_letters = DeadLetters(producers.dead_letter)
        self.ours = SourceDatabaseFilter(settings.source_database)
        self.skipped: dict[Skip, int] = dict.fromkeys(Skip, 0)
        self._paces = RateLimits(settings.rate_limit, settings.rate_limit_per_shop, settings.start_timeout)
        self.admission = Admission(OutageGate(settings.gate_failures, settings.gate_longest_pause), paces=self._paces)
        self.sending = InOrderWindow(
            max_running=settings.max_in_flight,
            max_running_per_shop=settings.max_in_flight_per_shop,
            burst_below=settings.max_in_flight // 2,
            max_unacknowledged=settings.max_unacknowledged,
            patience=settings.start_timeout,
            give_up=self._give_up,
        )
        self.writing = InOrderWindow(
            max_running=2_000,
            max_running_per_shop=2_000,
            max_unacknowledged=settings.max_unacknowledged,
            give_up=self._give_up,
        )

    async def open(self) -> None:
        """Connects to the stores, waiting for those that are away, and starts what runs beside the agents."""
        settings = self._settings
        self._db = self._parts.db(settings)
        await until_available(self._db.open, "connect")
        await try_digests(self._db, self._document_types.values())
        self._api = self._parts.api(
            settings,
            TokenCache(settings.redis_url, settings.app_id, refused_for=settings.login_retry_delay),
            count=self._paces.count,
            observer=self._tracing.observing(self.metrics),
        )
        teller = StatusPublisher(
            self._tracing.passing_on(self._outlets.status), self._document_types, self._db.last_known_now_ms
        )
        tell = self.metrics.counting(self._tracing.telling(teller.tell))
        turnstile = ConcurrencyLimit(_ABREAST)
        self._senders = {
            document_type.name: Sender(
                document_type, settings, self._db, self._api, self.admission, tell, turnstile=turnstile
            )
            for document_type in self._document_types.values()
        }
        ends = DecisionWriter(self._db, self._document_types, settings.zone)
        self._write_back = WriteBack(ends, list(self._document_types), meter=self.metrics, turnstile=turnstile)
        self._progress = ChangeProgress(
            settings, change_topics(settings, self._document_types.values()), self._db.now_ms
        )
        self._lock = RedisLock(settings.redis_url, f"{settings.app_id}:due", life=_LOCK_LIFE)
        self.journal = JournalWriter(
            settings,
            "sale-status",
            partial(self._parts.journal, settings),
            ends,
            self.dead_letters,
            wrote=self.metrics.journaled,
            takes=partial(self.ours.takes, "sale-status"),
        )
        self._start_service("journal", self.journal.run)
        self.schedulers = {
            document_type.name: self._scheduler(document_type, self._lock)
            for document_type in self._document_types.values()
        }
        for scheduler in self.schedulers.values():
            self._start_service("due", scheduler.run)
        self.sales_db = self._db
        self._ready.set()
        log.info("worker.ready", document_types=sorted(self._document_types))

    @property
    def is_open(self) -> bool:
        return self._ready.is_set()

    @property
    def quarantined_rows(self) -> int:
        """Decisions that the sales database refuses, and that are tried by themselves."""
        return self._write_back.quarantined if self._ready.is_set() else 0

    @property
    def rounds(self) -> int:
        """Of the schedulers: each begins with the lock."""
        return self._lock.asked_total if self._lock else 0

    def _scheduler(self, document_type: DocumentType, lock: RedisLock) -> Scheduler:
        return Scheduler(
            Schedule(self._db, document_type),
            self._settings,
            document_type=document_type.name,
            database=self._settings.source_database,
            lock=lock,
            gate=self.admission,
            unfinished=self._progress,
            publish=self._outlets.retry,
            accounts=SourceRows(self._db).accounts,
            still_refused=self._api.still_refused,
            trace=self._tracing.of_retry,
        )

    async def take_change(self, event: EventT[bytes | None]) -> None:
        """A change event. Returns when it is taken in."""
        await self._take(event, lambda: read_change_event(event.message.value, self._tables), lane="new")

    async def take_retry(self, event: EventT[bytes | None]) -> None:
        """A message of `sale-retry`. Returns when it is taken in."""
        await self._take(event, lambda: read_retry(event.message.value), lane="due")

    async def _take(self, event: EventT[bytes | None], read: Callable[[], SendRequest | Skip], *, lane: str) -> None:
        await self._ready.wait()
        await self.admission.worth_taking_in()
        try:
            ask = read()
            if isinstance(ask, SendRequest) and ask.document_type not in self._senders:
                raise Undecodable("document: no kind of that name here")
        except Undecodable as problem:
            await self._put_dead_letter(event, str(problem), self.sending, lane)
            return
        if isinstance(ask, SendRequest) and not self.ours.takes(event.message.topic, ask.database):
            ask = Skip.OTHER_DATABASE
        if isinstance(ask, Skip):
            self.skipped[ask] += 1
            await self.sending.admit(_delivery(event, lane, work=None))
            return
        sender = self._senders[ask.document_type]
        self.metrics.captured(ask, event.message.timestamp)
        send = self._tracing.attempt(ask, event.headers, sender.send)
        await self.sending.admit(
            _delivery(
                event,
                lane,
                work=lambda overdue: send(ask, overdue=overdue),
                order_key=(ask.document_type, ask.id),
                shop=ask.shop,
            )
        )

    async def take_status(self, event: EventT[bytes | None]) -> None:
        """A decision on `sale-status`, to be written back. Returns when it is taken in."""
        await self._ready.wait()
        try:
            told = read_status(event.message.value, dict(event.headers))
        except Undecodable as problem:
            await self._put_dead_letter(event, str(problem), self.writing, "new")
            return
        if not self.ours.takes(event.message.topic, told.status.source_database):
            self.skipped[Skip.OTHER_DATABASE] += 1
            await self.writing.admit(_delivery(event, "new", work=None))
            return
        order_key = (told.status.document, told.status.id)
        work = self._write_back.write
        await self.writing.admit(_delivery(event, "new", work=lambda _: work(told), order_key=order_key))

    async def _put_dead_letter(self, event: EventT[bytes | None], why: str, window: InOrderWindow, lane: str) -> None:
        async def put(_: bool) -> None:
            await self.dead_letters.put(event.message, why, reader=event.message.topic)

        await window.admit(_delivery(event, lane, work=put))

    async def _give_up(self, delivery: Delivery, error: BaseException) -> None:
        """Work that failed again and again: a mistake of ours. The document stays pending, `due` brings it back."""
        log.error(
            "event.given_up", partition=str(delivery.partition), offset=delivery.offset, error=type(error).__name__
        )

    def revoke(self, partitions: Iterable[Any]) -> None:
        """Other workers get these partitions: what is in flight ends, but is not acknowledged by us."""
        revoked = list(partitions)
        self.sending.revoke(revoked)
        self.writing.revoke(revoked)

    async def close(self) -> None:
        """Finishes what is in flight, within the limit; then lets go of the stores."""
        began = time.monotonic()
        self.is_draining = True
        for task in self._services:
            task.cancel()
        left = await self.sending.drain(self._settings.drain_timeout)
        spent = time.monotonic() - began
        left += await self.writing.drain(max(1.0, self._settings.drain_timeout - spent))
        await asyncio.gather(*self._services, return_exceptions=True)
        log.info("worker.drained", unfinished=left, took_s=round(time.monotonic() - began, 2))
        self.sales_db = None
        await self._tracing.close()
        if self._ready.is_set():
            if self._lock:
                await self._lock.close()
            await self._progress.close()
            await self._api.aclose()
            await self._db.close()

    def _start_service(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._services.append(asyncio.create_task(_supervise(name, run)))


async def _supervise(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """A service that fails is a mistake of ours: it is said, and it starts anew."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("service.failed", service=name)
        await asyncio.sleep(5)


def _delivery(
    event: EventT[bytes | None],
    lane: str,
    *,
    work: Callable[[bool], Awaitable[None]] | None,
    order_key: object = None,
    shop: str | None = None,
) -> Delivery:
    message = event.message
    return Delivery(
        partition=message.tp,
        offset=message.offset,
        order_key=order_key,
        shop=shop,
        lane=lane,
        acknowledge=lambda: acknowledge(event),
        work=work,
    )
