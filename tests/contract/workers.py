"""Workers of the tests: clients of one scripted API that share one Redis."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from pydantic import HttpUrl, SecretStr

from streams.documents.document import Body
from streams.documents.sale import SALE
from streams.domain.account import Account
from streams.domain.outcome import Accepted
from streams.national_api.client import NationalApi
from streams.national_api.token_cache import TokenCache
from streams.settings import Settings
from tests.contract.scripted_server import ScriptedServer, respond
from tests.support.answer_tables import OWN, PHRASES, PLACE

ACCOUNT = Account("SHOP-1", "usr-secret", SecretStr("pwd-secret"))
BODY = Body(json.dumps({"ma_hoa_don": OWN}, ensure_ascii=False).encode(), PLACE, OWN)
SALES = SALE.endpoint
OK = {"ma_hoa_don": "HD_QG_1", "code": 200}
DONE = Accepted("HD_QG_1")
OVER = respond(401, {"code": 401, "mess": "Token không hợp lệ hoặc đã hết hạn"})
"""The API's own words about a token."""
WRONG = respond(400, {"mess": "Tài khoản hoặc mật khẩu không đúng"})

MakeApi: TypeAlias = Callable[..., NationalApi]


@asynccontextmanager
async def workers(server: ScriptedServer, redis: SecretStr, **of_all: Any) -> AsyncIterator[MakeApi]:
    """Yield what creates a worker with changed settings, and close them all in the end. `of_all`: settings of each."""
    prefix = f"test-{uuid.uuid4().hex}"
    made: list[NationalApi] = []

    def make(
        redis_url: SecretStr = redis,
        clock: Callable[[], float] = time.time,
        count: Callable[[str], None] = lambda _: None,
        **changed: Any,
    ) -> NationalApi:
        cache = TokenCache(redis_url, prefix, clock=clock)
        settings = _settings(**{"national_api_url": server.url, **of_all, **changed})
        api = NationalApi(settings, cache, clock=clock, count=count)
        made.append(api)
        return api

    try:
        yield make
    finally:
        for api in made:
            await api.aclose()


def _settings(**changed: Any) -> Settings:
    values: dict[str, Any] = {
        "kafka_bootstrap_servers": "127.0.0.1:9",
        "sales_change_topic": "pharmacy.db.dbo.SalesInvoices",
        "sales_db_dsn": "d",
        "redis_url": "redis://127.0.0.1:9",
        "mongo_url": "mongodb://127.0.0.1:9",
        "not_stored_phrases": PHRASES,
        "api_connect_timeout": 1,
        "api_call_deadline": 2,
    }
    values |= changed
    if values.get("national_api_transport") == "compatible":
        values.setdefault("max_in_flight", 64)
    values["national_api_url"] = HttpUrl(values["national_api_url"])
    return Settings(_env_file=None, **values)
