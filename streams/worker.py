"""Builds one worker from its settings, opens it and closes it. Nothing else knows all of its parts.

`streams.app` connects `Worker.intake` to the topics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

import structlog
from faust.types import TopicT

from streams.documents.document import DocumentType
from streams.domain.change_event import Edited
from streams.kafka.change_progress import ChangeProgress
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import Producers
from streams.kafka.topics import change_topics, own_topics
from streams.national_api.client import NationalApi
from streams.national_api.rate_limit import RateLimits
from streams.national_api.token_cache import TokenCache
from streams.pipeline.batching import ConcurrencyLimit
from streams.pipeline.carried_types import ACTION, CarriedTypes, IncompleteDatabase
from streams.pipeline.correction_sweep import CorrectionSweep
from streams.pipeline.document_order import DocumentOrder
from streams.pipeline.intake import Intake
from streams.pipeline.journal_writer import JournalWriter
from streams.pipeline.metrics import Metrics
from streams.pipeline.outage_gate import Admission, OutageGate
from streams.pipeline.polling import Polling
from streams.pipeline.scheduler import Scheduler
from streams.pipeline.sender import Sender
from streams.pipeline.source_database import AnotherDatabase, require_named_database
from streams.pipeline.status_publisher import StatusPublisher
from streams.pipeline.tracing import Untraced
from streams.pipeline.write_back import WriteBack
from streams.settings import Settings
from streams.stores.column_check import UnusableColumns, known_column_types, require_usable
from streams.stores.column_types import ColumnTypes
from streams.stores.corrections import Corrections
from streams.stores.decisions import DecisionWriter
from streams.stores.journal import Journal
from streams.stores.new_documents import NewDocuments
from streams.stores.redis_lock import RedisLock
from streams.stores.row_digests import try_digests
from streams.stores.sales_db import SalesDb, UnknownServer
from streams.stores.schedule import Schedule
from streams.stores.schema import OutdatedTables, outdated_columns
from streams.stores.source_rows import SourceRows
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

_LOCK_LIFE = 10.0
_CORRECTIONS_LOCK_LIFE = 180.0
"""Of the lock for corrections: longer than the longest step with its pause."""


@dataclass(frozen=True)
class Factories:
    """How to create the parts that reach out of the process. Tests and other kinds of installation replace them."""

    producers: Callable[[TopicT, TopicT, TopicT], Producers] = Producers
    db: Callable[[Settings], SalesDb] = SalesDb
    api: Callable[..., NationalApi] = NationalApi
    journal: Callable[[Settings], Journal] = Journal


class WrongSettings(Exception):
    """The worker cannot run before somebody changes something: another start would end in the same way."""

    def __init__(self, problem: Exception, action: str, *, event: str = "worker.wrong_settings") -> None:
        """`event`: the event of the log line that says so."""
        super().__init__(str(problem))
        self.action = action
        self.event = event


_STORE_BATCHES_AT_ONCE = 2
"""How many batches may use the sales database at the same time. Measured on two processors: with one, a worker carried
nine tenths of what it carries with two; with up to eight, two thirds."""


class Worker:
    def __init__(
        self,
        settings: Settings,
        document_types: Iterable[DocumentType],
        producers: Producers,
        factories: Factories | None = None,
    ) -> None:
        self._factories = factories or Factories()
        self._settings = settings
        self._producers = producers
        self._known_types = {document_type.name: document_type for document_type in document_types}
        """Decisions about them are written back, whichever worker has made them."""
        self.carried = CarriedTypes(settings, list(self._known_types.values()))
        self._services: list[asyncio.Task[None]] = []
        self.is_draining = False
        self.journal: JournalWriter | None = None
        self._lock: RedisLock | None = None
        self.metrics = Metrics()
        self._tracing = _tracing(settings)
        self._connected: SalesDb | None = None
        self._columns: ColumnTypes = {}
        """As of when it was connected."""
        self.sales_db: SalesDb | None = None
        """None until the worker is open, and again once it closes."""
        self.schedulers: dict[str, Scheduler] = {}
        """By the name of the document type."""
        self.corrections: dict[str, CorrectionSweep] = {}
        """By the name of the document type; empty with CORRECTIONS=off."""
        self._corrections_lock: RedisLock | None = None
        self._own_topics = own_topics(settings)
        self.dead_letters = DeadLetters(producers.dead_letter)
        self._rate_limits = RateLimits(settings.rate_limit, settings.rate_limit_per_shop, settings.start_timeout)
        self.admission = Admission(
            OutageGate(settings.gate_failures, settings.gate_longest_pause), rate_limits=self._rate_limits
        )
        self.intake = Intake(
            settings, self._known_types, self.dead_letters, self.metrics, self._tracing, self.admission
        )

    @property
    def readers(self) -> list[str]:
        """The names under which dead letters are counted."""
        return [*change_topics(self._settings, self.carried.all), *self._own_topics[:2], "journal"]

    async def connect(self) -> SalesDb:
        """Connect to the sales database, and leave out the document types that it is not complete for. Raises
        `WrongSettings`.
        """
        if self._connected is None:
            db = self._factories.db(self._settings)
            try:
                await self._check(db)
            except UnknownServer as problem:
                raise WrongSettings(problem, "correct SALES_DB_DSN or SALES_DB_DRIVER, or install the driver") from None
            except IncompleteDatabase as problem:
                action = f"{ACTION}; or name it no more in DOCUMENTS"
                raise WrongSettings(problem, action, event="documents.incomplete") from None
            except OutdatedTables as problem:
                action = "run connectors/sql/sale_sync.sql and sale_action.sql again, then start the workers"
                raise WrongSettings(problem, action, event="database.outdated") from None
            except AnotherDatabase as problem:
                action = "correct SALES_CHANGE_TOPIC; of several databases each needs a TOPIC_PREFIX of its own"
                raise WrongSettings(problem, action) from None
            except UnusableColumns as problem:
                raise WrongSettings(problem, problem.action, event="columns.unusable") from None
            self._connected = db
        return self._connected

    async def _check(self, db: SalesDb) -> None:
        """Open `db` and check what the worker cannot do without. Waits for a database that is unavailable."""
        await until_available(db.open, "connect")
        if missing := await until_available(lambda: outdated_columns(db), "look for columns"):
            raise OutdatedTables(missing)
        self._columns = await known_column_types(db)
        await self.carried.check_database(db, self._columns)
        await require_named_database(db, self._settings)
        require_usable(self._columns, self.carried.all)

    async def open(self) -> None:
        """Connect to the stores, waiting for those that do not answer, and start the services that run in addition to
        the agents. Raises `WrongSettings`."""
        settings = self._settings
        self._db = await self.connect()
        carried = {document_type.name: document_type for document_type in self.carried.all}
        self.metrics.start_at_zero(carried)
        await try_digests(self._db, carried.values(), self._columns)
        self._api = self._factories.api(
            settings,
            TokenCache(settings.redis_url, settings.deployment, refused_for=settings.login_retry_delay),
            count=self._rate_limits.count,
            observer=self._tracing.observing(self.metrics),
        )
        status_publisher = StatusPublisher(
            self._tracing.passing_on(self._producers.status), carried, self._db.last_known_now_ms
        )
        publish = self.metrics.counting(self._tracing.recording(status_publisher.publish))
        concurrency_limit = ConcurrencyLimit(_STORE_BATCHES_AT_ONCE)
        senders = {
            document_type.name: Sender(
                document_type,
                settings,
                self._db,
                self._api,
                self.admission,
                publish,
                concurrency_limit=concurrency_limit,
                order=self._order(document_type, concurrency_limit),
            )
            for document_type in carried.values()
        }
        decisions = DecisionWriter(self._db, self._known_types, settings.zone, self._columns)
        self._write_back = WriteBack(
            decisions, list(self._known_types), meter=self.metrics, concurrency_limit=concurrency_limit
        )
        self._progress = ChangeProgress(settings, change_topics(settings, carried.values()), self._db.now_ms)
        # By the database too: of two that were given no TOPIC_PREFIX one would never be asked what is due.
        lock = f"{settings.deployment}:due:{settings.source_database}"
        self._lock = RedisLock(settings.redis_url, lock, life=_LOCK_LIFE)
        self.journal = JournalWriter(
            settings,
            self._own_topics.statuses,
            partial(self._factories.journal, settings),
            decisions,
            self.dead_letters,
            wrote=self.metrics.journaled,
            takes=partial(self.intake.source_database_filter.takes, self._own_topics.statuses),
        )
        self._start_service("journal", self.journal.run)
        self.schedulers = {
            document_type.name: self._scheduler(document_type, self._lock) for document_type in carried.values()
        }
        for scheduler in self.schedulers.values():
            self._start_service("due", scheduler.run)
        if settings.corrections != "off":
            lock = f"{settings.deployment}:corrections:{settings.source_database}"
            self._corrections_lock = RedisLock(settings.redis_url, lock, life=_CORRECTIONS_LOCK_LIFE)
            self.corrections = {each.name: self._sweep(each, self._corrections_lock) for each in carried.values()}
        for sweep in self.corrections.values():
            self._start_service("corrections", sweep.run)
        self.sales_db = self._db
        self.intake.open(senders, self._write_back.write, self._edited)
        log.info("worker.ready", document_types=sorted(carried))

    @property
    def is_open(self) -> bool:
        return self.intake.is_open

    @property
    def quarantined_rows(self) -> int:
        """How many decisions the sales database refuses; each is tried again by itself."""
        return self._write_back.quarantined if self.is_open else 0

    @property
    def rounds(self) -> int:
        """How many rounds the schedulers have started; each starts by acquiring the lock."""
        return self._lock.attempts_total if self._lock else 0

    def _order(self, document_type: DocumentType, concurrency_limit: ConcurrencyLimit) -> DocumentOrder:
        return DocumentOrder(
            self._db,
            document_type,
            self.carried.all,
            self._settings.document_order_wait,
            batch_wait=self._settings.read_batch_wait,
            concurrency_limit=concurrency_limit,
        )

    def _scheduler(self, document_type: DocumentType, lock: RedisLock) -> Scheduler:
        polling = Polling(
            NewDocuments(self._db, document_type),
            self._settings,
            document_type,
            topic=change_topics(self._settings, [document_type])[0],
            publish=self._producers.change,
        )
        return Scheduler(
            Schedule(self._db, document_type),
            self._settings,
            document_type=document_type.name,
            database=self._settings.source_database,
            lock=lock,
            gate=self.admission,
            unfinished=self._progress,
            publish=self._producers.retry,
            accounts=SourceRows(self._db).accounts_without_locked,
            still_refused=self._api.still_refused,
            trace=self._tracing.of_retry,
            polling=polling if self._settings.polls else None,
        )

    def _sweep(self, document_type: DocumentType, lock: RedisLock) -> CorrectionSweep:
        days = self._settings.correction_days
        return CorrectionSweep(
            Corrections(self._db, document_type, accepted_within_ms=int(days * 86_400_000)),
            document_type=document_type.name,
            sends=self._settings.corrections == "send",
            lock=lock,
            gate=self.admission,
        )

    def _edited(self, edit: Edited) -> None:
        if sweep := self.corrections.get(edit.document_type):
            sweep.edited(edit.id)

    async def close(self) -> None:
        """Finish what is in flight, within DRAIN_TIMEOUT, and then close the stores."""
        began = time.monotonic()
        self.is_draining = True
        for task in self._services:
            task.cancel()
        left = await self.intake.sending.drain(self._settings.drain_timeout)
        spent = time.monotonic() - began
        left += await self.intake.writing.drain(max(1.0, self._settings.drain_timeout - spent))
        await asyncio.gather(*self._services, return_exceptions=True)
        log.info("worker.drained", unfinished=left, took_s=round(time.monotonic() - began, 2))
        self.sales_db = None
        await self._tracing.close()
        if self.is_open:
            for lock in (self._lock, self._corrections_lock):
                if lock:
                    await lock.close()
            await self._progress.close()
            await self._api.aclose()
            await self._db.close()

    def _start_service(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._services.append(asyncio.create_task(_supervise(name, run)))


def _tracing(settings: Settings) -> Untraced:
    if settings.tracing_endpoint is None:
        return Untraced()
    from streams.pipeline.otel_tracing import traced_over_http  # an optional dependency

    return traced_over_http(str(settings.tracing_endpoint), settings.tracing_share)


async def _supervise(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a service and start it again when it fails, which is a mistake in this program and therefore logged."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("service.failed", service=name)
        await asyncio.sleep(5)
