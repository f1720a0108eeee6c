"""The map: topics, and who reads which. Run it with ``faust -A streams.app worker``.

    dbo.SalesInvoices ─CDC─▶ change topic ─▶ send_sales ─▶ sale-status ─┬─▶ write_back ─▶ SQL Server
    dbo.SaleSync ──due──▶ sale-retry ─▶ send_due ─┘                     └─▶ journal    ─▶ Mongo (a group of its own)

`streams.worker` builds what the agents call; `streams.pipeline.sender` is the path of one sale.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
import uvloop
from faust.cli.base import cli
from faust.types import StreamT, TopicT
from faust.web import Request, Response, View

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import DocumentType
from streams.kafka.connection import faust_broker, faust_credentials
from streams.kafka.faust_overrides.app import PipelineApp
from streams.kafka.faust_overrides.manual_ack import ManualAckStream, ManualAckTopic
from streams.kafka.topics import METADATA_MAX_AGE_MS, OWN_TOPICS, change_topics
from streams.monitoring.exposition import Exposition
from streams.monitoring.worker_health import WorkerHealth
from streams.operators.commands import commands
from streams.operators.connect.connector_restarts import connector_restarts
from streams.operators.page.routes import PageRoutes
from streams.operators.page.worker_view import worker_view_of
from streams.runtime.library_logs import catch_what_python_writes
from streams.runtime.logs import logging_config
from streams.runtime.open_files import raise_limit
from streams.runtime.outages import OUTAGES
from streams.runtime.process_exit import SHUTDOWN_AFTER_DRAIN, limit_shutdown
from streams.runtime.tuning import share_one_heap
from streams.settings import Settings, settings_or_exit
from streams.worker import Factories, Worker

_DAYS = 86_400.0
_POLL = 100
"""Records of a topic taken at once. With all partitions they must stay well below a stream's buffer: one stream whose
buffer is full would starve the others, since Faust feeds all of them in one loop."""
_FETCH = 131_072
"""Bytes fetched at once from a partition: it is emptied before the next one has its turn, and all of it is memory."""
_LINGER = 0.005
"""Seconds that a decision waits for others to go with it: sent one by one they cost the broker twice as much."""


def _nothing_is_kept_here(settings: Settings) -> Path:
    """Faust wants a folder for its tables, of which there are none."""
    return Path(tempfile.gettempdir()) / f"{settings.app_id}-{os.getuid()}"


def build(settings: Settings, document_types: Sequence[DocumentType], parts: Factories | None = None) -> faust.App:
    """An app that carries these kinds of documents."""
    parts = parts or Factories()
    app = PipelineApp(
        settings,
        [*change_topics(settings, document_types), *OWN_TOPICS],
        broker=faust_broker(settings),
        broker_credentials=faust_credentials(settings),
        broker_max_poll_records=_POLL,
        consumer_max_fetch_size=_FETCH,
        # A closed gate or a store that is away is no reason to leave the group.
        broker_max_poll_interval=7 * _DAYS,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.kafka_session_timeout,
        broker_heartbeat_interval=settings.kafka_session_timeout / 4,
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        stream_buffer_maxsize=max(4096, 6 * _POLL * settings.topic_partitions * len(document_types)),
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
        datadir=_nothing_is_kept_here(settings),
        logging_config=logging_config(settings),
    )

    def topic(*names: str) -> TopicT:
        return app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    changes = topic(*change_topics(settings, document_types))
    retries = topic("sale-retry")
    statuses = topic("sale-status")
    dead_letters = topic("sale-dead-letter")
    worker = Worker(settings, document_types, parts.producers(statuses, retries, dead_letters), parts)

    @app.agent(changes)
    async def send_sales(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await worker.take_change(event)

    @app.agent(retries)
    async def send_due(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await worker.take_retry(event)

    @app.agent(statuses)
    async def write_back(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await worker.take_status(event)

    app.task(worker.open)
    if settings.has_connector and settings.connector_restart_after:

        @app.task  # type: ignore[untyped-decorator]
        async def look_after_connector() -> None:
            await connector_restarts(settings, OUTAGES).run()

    vitals = WorkerHealth(app, settings, worker, change_topics(settings, document_types), OUTAGES)
    app.early.append(vitals)

    @app.page("/livez")
    async def livez(view: View, _: Request) -> Response:
        health = vitals.alive()
        return view.json(health.as_json(), status=health.http_status)

    @app.page("/readyz")
    async def readyz(view: View, _: Request) -> Response:
        health = vitals.ready()
        return view.json(health.as_json(), status=health.http_status)

    exposition = Exposition(settings, document_types, worker, vitals)

    @app.page("/metrics")
    async def metrics(view: View, request: Request) -> Response:
        page, content_type = await exposition.page(request.headers.get("Accept", ""))
        return view.bytes(page, headers={"Content-Type": content_type})

    site = PageRoutes(settings, document_types, worker_view_of(settings, worker, vitals, exposition, parts.journal))
    web: Any = app.web  # aiohttp's application is the driver's own
    site.add_to(web.web_app)

    @app.on_partitions_revoked.connect
    async def partitions_revoked(_: Any, /, *args: Any, **__: Any) -> None:
        worker.revoke(args[0])

    @app.on_before_shutdown.connect
    async def drain(*_: Any, **__: Any) -> None:
        limit_shutdown(settings.drain_timeout + SHUTDOWN_AFTER_DRAIN)
        await exposition.close()
        await site.close()
        await worker.close()

    return app


share_one_heap()
raise_limit()
catch_what_python_writes()
# Before any loop is made. It costs a sale a quarter less of the processor.
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
settings = settings_or_exit()
app = build(settings, DOCUMENT_TYPES)
for command in commands(settings, DOCUMENT_TYPES):
    cli.add_command(command)
# What is in flight was looked through again and again for what can be freed: a sixth of a sale's processor time.
gc.freeze()
gc.set_threshold(50_000, 20, 100)
# Threads that talk to the database wait as long for the interpreter after every statement while the event loop is busy;
# 5 ms by default. Shorter than this the two disturb each other more than they gain.
sys.setswitchinterval(0.002)
