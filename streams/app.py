"""The map: topics, and who reads which. Run it with ``faust -A streams.app worker``.

    dbo.SalesInvoices ─CDC─▶ change topic ─▶ send_sales ─▶ sale-status ─┬─▶ write_back ─▶ SQL Server
    dbo.SaleSync ──due──▶ sale-retry ─▶ send_due ─┘                     └─▶ journal    ─▶ Mongo (a group of its own)

`streams.worker` builds what the agents call; `streams.send` is the path of one sale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import faust
from faust.types import StreamT

from streams.documents import KINDS
from streams.held_topic import HeldTopic
from streams.kafka import faust_broker, faust_credentials
from streams.logs import logging_config
from streams.settings import settings_or_exit
from streams.worker import Worker

settings = settings_or_exit()

_DAYS = 86_400.0
_POLL = 100  # records fetched at once; with all partitions they must stay well below the buffer (docs/decisions)

app = faust.App(
    settings.app_id,
    broker=faust_broker(settings),
    broker_credentials=faust_credentials(settings),
    broker_max_poll_records=_POLL,
    broker_max_poll_interval=7 * _DAYS,  # a closed gate or a store that is away is no reason to leave the group
    broker_commit_interval=1.0,
    stream_buffer_maxsize=max(4096, 6 * _POLL * settings.topic_partitions),
    stream_wait_empty=False,
    consumer_auto_offset_reset="earliest",
    producer_acks=-1,
    topic_disable_leader=True,
    topic_allow_declare=False,
    topic_partitions=settings.topic_partitions,
    topic_replication_factor=settings.topic_replication,
    Topic=HeldTopic,
    web_host=settings.web_host,
    web_port=settings.web_port,
    web_bind=settings.web_host,
    datadir=settings.data_dir,
    logging_config=logging_config(settings),
)


def _topic(name: str) -> HeldTopic:
    topic = app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    assert isinstance(topic, HeldTopic)  # noqa: S101 - for the type checker; the App was told so
    return topic


changes = _topic(settings.sales_change_topic)
retries = _topic("sale-retry")
statuses = _topic("sale-status")
dead_letters = _topic("sale-dead-letter")


class _Topics:
    """Sends, and waits until the broker has confirmed."""

    async def status(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        await (await statuses.send(key=key, value=value, headers=dict(headers)))

    async def retry(self, key: bytes, value: bytes) -> None:
        await (await retries.send(key=key, value=value))

    async def dead_letter(self, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
        await (await dead_letters.send(key=key, value=value, headers=dict(headers)))


worker = Worker(settings, KINDS, _Topics(), "sale-status")


@app.agent(changes)
async def send_sales(stream: StreamT[bytes]) -> None:
    async for event in stream.events():
        await worker.take_change(event)


@app.agent(retries)
async def send_due(stream: StreamT[bytes]) -> None:
    async for event in stream.events():
        await worker.take_due(event)


@app.agent(statuses)
async def write_back(stream: StreamT[bytes]) -> None:
    async for event in stream.events():
        await worker.take_status(event)


app.task(worker.open)


@app.on_partitions_revoked.connect
async def partitions_revoked(_: Any, /, *args: Any, **__: Any) -> None:
    worker.revoke(args[0])


@app.on_before_shutdown.connect
async def drain(*_: Any, **__: Any) -> None:
    await worker.close()
