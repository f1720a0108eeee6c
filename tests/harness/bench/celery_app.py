"""The design that was replaced, tuned as far as it goes: a Celery task that carries one sale, one at a time a
process. ``celery -A tests.harness.bench.celery_app worker``.

Each process keeps a database connection and an HTTP connection open; tokens are shared through Redis. It keeps no
promise: after a crash nobody knows what happened to a sale.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pyodbc
import redis
from celery import Celery
from celery.signals import worker_process_init
from celery.utils.log import get_task_logger

from streams.documents.sale import SALE
from streams.national_api.login import PATH as LOG_IN
from tests.harness.bench import source

BROKER = "BENCH_CELERY_BROKER"
TOKENS = "BENCH_CELERY_TOKENS"
SEND = "send_sale"
_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_TOKEN_LIFE_S = 3000

log = get_task_logger(__name__)
log.setLevel(logging.INFO)  # ours; of Celery itself only warnings
app = Celery("bench", broker=os.environ.get(BROKER, "redis://127.0.0.1:1/1"))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=False,
    task_store_errors_even_if_ignored=False,
    worker_prefetch_multiplier=8,
    worker_send_task_events=False,
    worker_disable_rate_limits=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@dataclass
class _Connections:
    """Of one process."""

    database: Any = field(default_factory=lambda: pyodbc.connect(os.environ["SALES_DB_DSN"], autocommit=True))
    http: httpx.Client = field(
        default_factory=lambda: httpx.Client(base_url=os.environ["NATIONAL_API_URL"], timeout=15, trust_env=False)
    )
    cache: redis.Redis = field(default_factory=lambda: redis.Redis.from_url(os.environ[TOKENS], decode_responses=True))
    tokens: dict[str, str] = field(default_factory=dict)

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        cursor = self.database.execute(sql, *parameters)
        return source.rows(cursor, cursor.fetchall())

    def token(self, shop: str, account: str, password: str) -> str:
        if shop not in self.tokens:
            self.tokens[shop] = str(self.cache.get(shop) or self._log_in(shop, account, password))
        return self.tokens[shop]

    def _log_in(self, shop: str, account: str, password: str) -> str:
        answer = self.http.post(LOG_IN, json={"usr": account, "pwd": password}).raise_for_status()
        token = str(answer.json()["token"])
        self.cache.set(shop, token, ex=_TOKEN_LIFE_S)
        return token


_of_this_process: list[_Connections] = []


def _open(**_: object) -> None:
    _of_this_process[:] = [_Connections()]


def send_sale(id_: int) -> None:
    """One sale from its row to the API and back."""
    (ours,) = _of_this_process
    found = ours.rows(source.HEADER, id_)
    if not found:
        return
    (header,) = found
    lines = ours.rows(source.LINES, id_)
    (account,) = ours.rows(source.ACCOUNT, header["shop_pharmacy_code"])
    now = datetime.now(_ZONE).replace(tzinfo=None)
    body = SALE.transform(header, lines, now.date())
    token = ours.token(header["shop_pharmacy_code"], account["account"], account["password"])
    answer = ours.http.post(SALE.endpoint.path, content=body.content, headers=source.headers(token))
    status, parameters = source.end(id_, answer, now)
    ours.database.execute(source.WRITE_END, *parameters)
    log.info("sale %s: %s", header["local_invoice_id"], status)


worker_process_init.connect(_open)
app.task(send_sale, name=SEND)
