"""What Faust alone comes to: an agent that carries each sale by itself and keeps no promise (no claim, no look-up, an
event counts as done whatever became of it).

``faust -A tests.harness.bench.plain_faust worker``
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import aioodbc
import faust
import httpx
from faust.types import StreamT
from httpx_aiohttp import AiohttpTransport

from streams.documents.sale import SALE
from streams.national_api.login import PATH as LOG_IN
from tests.harness.bench import source

_GROUP = os.environ["BENCH_GROUP"]
_CONCURRENCY = 200
_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)

app = faust.App(
    _GROUP,
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
    value_serializer="json",
    topic_partitions=int(os.environ["TOPIC_PARTITIONS"]),
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
    datadir=f"{tempfile.gettempdir()}/{_GROUP}-{os.getuid()}",
)
changes = app.topic(os.environ["SALES_CHANGE_TOPIC"], key_type=bytes, key_serializer="raw")
statuses = app.topic(os.environ["BENCH_STATUSES"], key_type=bytes, key_serializer="raw")


class _Connections:
    """Of the worker, made in its loop."""

    async def open(self) -> None:
        places = int(os.environ.get("SALES_DB_CONNECTIONS", "8"))
        self.database = await aioodbc.create_pool(
            dsn=os.environ["SALES_DB_DSN"], minsize=places, maxsize=places, autocommit=True
        )
        self.http = httpx.AsyncClient(
            base_url=os.environ["NATIONAL_API_URL"],
            timeout=15,
            trust_env=False,
            transport=AiohttpTransport(
                client=lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONCURRENCY))
            ),
        )
        self.tokens: dict[str, str] = {}

    async def rows(self, sql: str, *parameters: object) -> list[Any]:
        async with self.database.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(sql, *parameters)
            return source.rows(cursor, await cursor.fetchall())

    async def execute(self, sql: str, *parameters: object) -> None:
        async with self.database.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(sql, *parameters)

    async def token(self, shop: str) -> str:
        if shop not in self.tokens:
            (account,) = await self.rows(source.ACCOUNT, shop)
            answer = await self.http.post(LOG_IN, json={"usr": account["account"], "pwd": account["password"]})
            self.tokens[shop] = answer.raise_for_status().json()["token"]
        return self.tokens[shop]

    async def close(self) -> None:
        await self.http.aclose()
        self.database.close()
        await self.database.wait_closed()


ours = _Connections()
ready = asyncio.Event()


async def connect() -> None:
    await ours.open()
    ready.set()


app.task(connect)


@app.on_before_shutdown.connect
async def close(*_: Any, **__: Any) -> None:
    await ours.close()


@app.agent(changes, concurrency=_CONCURRENCY)
async def send_sales(stream: StreamT[Any]) -> None:
    await ready.wait()
    async for event in stream:
        if event and event["op"] == "c":
            await _send(event["after"]["id"])


async def _send(id_: int) -> None:
    found = await ours.rows(source.HEADER, id_)
    if not found:
        return
    (header,) = found
    lines = await ours.rows(source.LINES, id_)
    now = datetime.now(_ZONE).replace(tzinfo=None)
    body = SALE.transform(header, lines, now.date())
    token = await ours.token(header["shop_pharmacy_code"])
    answer = await ours.http.post(SALE.endpoint.path, content=body.content, headers=source.headers(token))
    status, parameters = source.end(id_, answer, now)
    await ours.execute(source.WRITE_END, *parameters)
    await statuses.send(key=str(id_).encode(), value={"id": id_, "status": status})
    log.info("sale %s: %s", header["local_invoice_id"], status)
