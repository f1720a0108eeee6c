"""The Faust app: which agent reads which topic. Run it with ``faust -A streams.app worker``.

    dbo.SalesInvoices ─CDC─▶ change topic ─▶ send_sales ───┐               ┌─▶ write_back ─▶ SQL Server
                                                           ├▶ sale-status ─┤
    dbo.SaleSync ─scheduler─▶ sale-retry ─▶ send_retries ──┘               └─▶ journal ────▶ MongoDB (a group of its
    own)

With CAPTURE=polling the scheduler finds new rows too, and announces them on the change topic.

`streams.worker` builds what the agents call, `streams.pipeline.intake` receives each message, and
`streams.pipeline.sender` is the path of one document.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import faust
import structlog
from faust.cli.base import cli
from faust.types import StreamT, TopicT
from faust.web import Request, Response, View

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import BodyOptions, DocumentType
from streams.kafka.connection import faust_broker, faust_credentials
from streams.kafka.faust_overrides.app import BrokerWait, PipelineApp
from streams.kafka.faust_overrides.manual_ack import ManualAckStream, ManualAckTopic
from streams.kafka.topics import METADATA_MAX_AGE_MS, change_topics, own_topics
from streams.monitoring.capture_watch import CaptureWatch
from streams.monitoring.exposition import Exposition
from streams.monitoring.worker_health import WorkerHealth
from streams.operators.commands import commands
from streams.operators.connect.connector_restarts import connector_restarts
from streams.operators.connect.connector_state import read_connector_state
from streams.operators.page.routes import PageRoutes
from streams.operators.page.worker_view import worker_view_of
from streams.pipeline.carried_types import UnknownDocumentType, wanted_types
from streams.runtime.library_logs import catch_what_python_writes
from streams.runtime.logs import logging_config
from streams.runtime.open_files import raise_limit
from streams.runtime.outages import OUTAGES
from streams.runtime.process_exit import SHUTDOWN_AFTER_DRAIN, WRONG_SETTINGS, exit_now, limit_shutdown
from streams.runtime.tuning import share_one_heap, tune_interpreter, use_uvloop
from streams.settings import Settings, exit_for, settings_or_exit
from streams.stores.odbc_driver import DriverMissing, find_driver
from streams.worker import Factories, Worker, WrongSettings

log = structlog.get_logger(__name__)

_DAYS = 86_400.0
_POLL = 100
"""How many records of a topic are fetched at once. Over all partitions they must stay well below a stream's buffer:
Faust feeds all streams in one loop, so that one full buffer would starve the others."""
_FETCH = 131_072
"""Bytes fetched at once from a partition. They stay in memory, and a partition is emptied before the next one is read.
"""
_LINGER = 0.005
"""Seconds that a decision waits for others to be sent with it: one at a time they cost the broker twice as much."""


def _unused_data_folder(settings: Settings) -> Path:
    """Faust demands a folder for its tables, although this app has none."""
    return Path(tempfile.gettempdir()) / f"{settings.deployment}-{os.getuid()}"


async def _no_connector() -> None:
    """The connector's state where there is none."""


def build(settings: Settings, document_types: Sequence[DocumentType], factories: Factories | None = None) -> faust.App:
    """Build an app that carries documents of these types, or those of them that DOCUMENTS names. Raises
    `UnknownDocumentType`.
    """
    factories = factories or Factories()
    options = BodyOptions.of(settings)
    document_types = [replace(document_type, options=options) for document_type in document_types]
    wanted = wanted_types(settings, document_types)
    own = own_topics(settings)
    app = PipelineApp(
        settings,
        broker=faust_broker(settings),
        broker_credentials=faust_credentials(settings),
        broker_max_poll_records=_POLL,
        consumer_max_fetch_size=_FETCH,
        # A closed outage gate or an unreachable store is no reason to leave the consumer group.
        broker_max_poll_interval=7 * _DAYS,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.kafka_session_timeout,
        broker_heartbeat_interval=settings.kafka_session_timeout / 4,
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        stream_buffer_maxsize=max(4096, 6 * _POLL * settings.topic_partitions * len(wanted)),
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_linger=_LINGER,
        topic_disable_leader=True,
        topic_allow_declare=False,
        Topic=ManualAckTopic,
        Stream=ManualAckStream,
        web_host=settings.web_host,
        web_port=settings.web_port,
        web_bind=settings.web_host,
        datadir=_unused_data_folder(settings),
        logging_config=logging_config(settings),
    )

    def topic(*names: str) -> TopicT:
        return app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    changes = topic(*change_topics(settings, wanted))
    retries = topic(own.retries)
    statuses = topic(own.statuses)
    dead_letters = topic(own.dead_letters)
    worker = Worker(settings, document_types, factories.producers(statuses, retries, dead_letters), factories)

    @app.agent(changes)
    async def send_sales(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await worker.intake.take_change(event)

    @app.agent(retries)
    async def send_retries(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await worker.intake.take_retry(event)

    @app.agent(statuses)
    async def write_back(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await worker.intake.take_status(event)

    @app.on_worker_init.connect
    def require_driver(*_: Any, **__: Any) -> None:
        if "worker" not in sys.argv or "--help" in sys.argv:  # Faust sends this signal for every command
            return
        try:
            find_driver(settings)
        except DriverMissing as error:
            sys.stderr.write(f"sales database: {error}\n")  # logging is not set up yet
            raise SystemExit(WRONG_SETTINGS) from None

    @app.task  # type: ignore[untyped-decorator]
    async def open_worker() -> None:
        await worker.open()

    if settings.has_connector and settings.connector_restart_after:

        @app.task  # type: ignore[untyped-decorator]
        async def restart_failed_connector() -> None:
            await connector_restarts(settings, OUTAGES).run()

    health = WorkerHealth(app, settings, worker, change_topics(settings, wanted), OUTAGES)
    app.early.append(health)
    broker_wait = BrokerWait(settings)

    async def choose_what_to_carry() -> None:
        try:
            await worker.connect()
        except WrongSettings as problem:
            log.error(problem.event, problem=str(problem), action=problem.action)
            exit_now(WRONG_SETTINGS)  # a supervisor does not start it again after this code
        carried = worker.carried
        required = [*change_topics(settings, carried.required), *own]
        candidates = change_topics(settings, carried.all)
        missing = await broker_wait.until_there(required, [name for name in candidates if name not in required])
        carried.leave_out_without_topics(missing, candidates)
        carried.report()
        changes.topics = change_topics(settings, carried.all)
        health.set_change_topics(changes.topics)

    app.prepare = choose_what_to_carry

    @app.page("/livez")
    async def livez(view: View, _: Request) -> Response:
        report = health.alive()
        return view.json(report.as_json(), status=report.http_status)

    @app.page("/readyz")
    async def readyz(view: View, _: Request) -> Response:
        report = health.ready()
        return view.json(report.as_json(), status=report.http_status)

    capture_watch = CaptureWatch(
        lambda: worker.sales_db,
        lambda: dict(zip(change_topics(settings, worker.carried.all), worker.carried.all, strict=True)),
        lambda: health.measured,
        OUTAGES,
        polls=settings.polls,
    )

    @app.task  # type: ignore[untyped-decorator]
    async def watch_capture() -> None:
        await capture_watch.run()

    ask_connector = partial(read_connector_state, settings.connect_url) if settings.has_connector else _no_connector
    exposition = Exposition(worker, health, ask_connector, capture_watch)

    @app.page("/metrics")
    async def metrics(view: View, request: Request) -> Response:
        text, content_type = await exposition.page(request.headers.get("Accept", ""))
        return view.bytes(text, headers={"Content-Type": content_type})

    page = PageRoutes(settings, wanted, worker_view_of(settings, worker, health, exposition, factories.journal))
    web: Any = app.web  # aiohttp's application is the driver's own
    page.add_to(web.web_app)

    @app.on_partitions_revoked.connect
    async def partitions_revoked(_: Any, /, *args: Any, **__: Any) -> None:
        worker.intake.revoke(args[0])

    @app.on_before_shutdown.connect
    async def drain(*_: Any, **__: Any) -> None:
        limit_shutdown(settings.drain_timeout + SHUTDOWN_AFTER_DRAIN)
        await exposition.close()
        await page.close()
        await worker.close()

    return app


share_one_heap()
raise_limit()
catch_what_python_writes()
use_uvloop()
settings = settings_or_exit()
try:
    app = build(settings, DOCUMENT_TYPES)
except UnknownDocumentType as problem:
    exit_for("DOCUMENTS", str(problem))
for command in commands(settings, wanted_types(settings, DOCUMENT_TYPES)):
    cli.add_command(command)
tune_interpreter()
