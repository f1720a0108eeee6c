"""Kafka Connect, Redis, MongoDB, the national API, and the worker on this machine: each is asked once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, TypeAdapter
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streams.domain.account import Account
from streams.domain.outcome import TryLater
from streams.domain.reasons import REASON_TEXTS, TLS_PROBLEMS, Code
from streams.domain.sale_status import what_is_wrong
from streams.national_api.client import NationalApi
from streams.national_api.own_form import Answer
from streams.national_api.token_cache import TokenCache
from streams.national_api.transport import CallResult, Transport
from streams.operators import Problem
from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.operators.checks.certificates import REMEDIES, Certificate, describe_shown, shown_by
from streams.operators.command_line import explain, open_sales_db
from streams.operators.connect.api import ConnectApi, ConnectorStatus
from streams.operators.connect.masking import plain_secrets
from streams.operators.connect.wait_until_running import describe
from streams.settings import Settings
from streams.stores.journal import Journal, JournalUnavailable
from streams.stores.sales_db import StoreError
from streams.stores.source_rows import SourceRows

_PATIENCE = 5.0

# ---- Kafka Connect ----


@dataclass(frozen=True, slots=True)
class ConnectorReport:
    status: ConnectorStatus | None
    """None: it is not deployed."""
    secrets: Sequence[str]


def has_connect(settings: Settings) -> bool:
    """The local stack has a feed of its own instead."""
    return settings.stack != "local" or "connect_url" in settings.model_fields_set


async def ask_connect(settings: Settings, name: str) -> ConnectorReport | Problem | None:
    """None: this stack has none."""
    if not has_connect(settings):
        return None
    try:
        async with ConnectApi(settings.connect_url, patience=_PATIENCE) as api:
            config = await api.config(name)
            return ConnectorReport(None if config is None else await api.status(name), plain_secrets(config or {}))
    except Problem as trouble:
        return trouble


def judge_connect(asked: ConnectorReport | Problem | None, name: str) -> list[Finding]:
    about = f"connector {name}"
    if asked is None:
        return [skipped(about, "the local stack has no Kafka Connect")]
    if isinstance(asked, Problem):
        what, _, action = asked.lines[0].partition(". ")
        return [error("Kafka Connect", what, action)]
    status = asked.status
    if status is None:
        return [error(about, "is not deployed", "Deploy it: `faust -A streams.app connectors deploy`.")]
    told = "; ".join(line.strip() for line in describe(status, asked.secrets))
    states = {part.state for part in status.all}
    if "FAILED" in states:
        return [error(about, told, "Remove the cause, then `faust -A streams.app connectors restart`.")]
    if states & {"PAUSED", "STOPPED"}:
        what = "is paused: somebody did that; no new sale is captured"
        return [error(about, what, f"Resume it: curl -X PUT <CONNECT_URL>/connectors/{name}/resume")]
    if not status.runs:
        return [error(about, told, "`faust -A streams.app connectors restart`; if it lasts, Kafka Connect's log.")]
    return [ok(about, told)]


# ---- Redis and MongoDB ----


async def ask_redis(settings: Settings) -> str | None:
    """The kind of error; None: it answers."""
    url = settings.redis_url.get_secret_value()
    client = Redis.from_url(
        url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, retry=Retry(NoBackoff(), 0)
    )
    try:
        async with asyncio.timeout(2 * _PATIENCE):
            await client.get("doctor")
    except (RedisError, OSError, ValueError) as away:  # TimeoutError is an OSError
        return type(away).__name__
    finally:
        await client.aclose()
    return None


def judge_redis(away: str | None) -> list[Finding]:
    if away is None:
        return [ok("Redis", "answers")]
    if "Auth" in away or "Response" in away or "NoPermission" in away:
        return [error("Redis", f"refuses the log-in ({away})", "Correct user and password in REDIS_URL.")]
    action = "Start Redis, or correct REDIS_URL. Meanwhile no retry is brought back, and each worker logs in by itself."
    return [error("Redis", f"cannot be reached ({away})", action)]


async def ask_mongo(settings: Settings) -> str | None:
    """The kind of error; None: it answers, and this log-in may read."""
    journal = None
    try:
        async with asyncio.timeout(3 * _PATIENCE):
            journal = Journal(settings)
            await journal.history("", "", 1)
    except JournalUnavailable as away:
        return str(away)
    except Exception as wrong:  # a name that DNS does not know, an option that pymongo does not
        return type(wrong).__name__
    finally:
        if journal is not None:
            journal.close()
    return None


def judge_mongo(away: str | None) -> list[Finding]:
    if away is None:
        return [ok("MongoDB", "answers, and may be read")]
    if away == "OperationFailure":
        return [
            error("MongoDB", "refuses the log-in or the reading", "Correct user, password and rights in MONGO_URL.")
        ]
    action = "Start MongoDB, or correct MONGO_URL. Sales go out meanwhile; their history is written later."
    return [error("MongoDB", f"cannot be reached ({away})", action)]


# ---- the national API ----


async def ask_api(settings: Settings, path: str) -> tuple[CallResult, Sequence[Certificate]]:
    """Without a log-in: whatever it answers, it is there. And the certificates of a server that is not trusted."""
    transport = Transport(
        settings.api_url,
        connect_timeout=settings.api_connect_timeout,
        deadline=settings.api_call_deadline,
        connections=1,
        clock=time.time,
    )
    try:
        answered = await transport.call("GET", path, again=lambda _: False)
    finally:
        await transport.aclose()
    if not isinstance(answered, Answer) and answered.reason.code is Code.CERTIFICATE:
        return answered, await shown_by(settings.api_url, _PATIENCE)
    return answered, ()


def judge_api(answered: CallResult, settings: Settings, shown: Sequence[Certificate] = ()) -> list[Finding]:
    """`shown`: the certificates that its server sends, looked at where they are the trouble."""
    about = "national API"
    if not isinstance(answered, Answer) and answered.reason.code in TLS_PROBLEMS:
        [broken] = answered.reason.details
        what = f"{answered.reason.code}: {what_is_wrong(answered.reason).en.removesuffix(';')}"
        told = describe_shown(shown, broken.rule)
        action = REMEDIES.get(broken.rule, REASON_TEXTS[answered.reason.code].action_en)
        return [error(about, f"{what}. {told}" if told else what, action)]
    if not isinstance(answered, Answer):
        action = "Check NATIONAL_API_URL, the line and the firewall. Sales wait, none is lost."
        return [error(about, f"cannot be reached ({answered.reason.code})", action)]
    if answered.status >= 500:
        return [warning(about, f"answers with HTTP {answered.status}", "Nothing: sales wait until it is well again.")]
    return [ok(about, f"answers at {urlsplit(settings.api_url).netloc}")]


async def ask_log_in(settings: Settings, shop: str) -> TryLater | str | None:
    """One try, shared with the workers through Redis: what was refused within the hour is not tried again. A text: why
    it was not tried. None: logged in."""
    try:
        async with open_sales_db(settings) as db:
            [accounts] = await SourceRows(db).accounts([shop])
    except StoreError as away:
        return explain(away)
    if len(accounts) != 1:
        return f"the shop has {len(accounts)} active accounts in AccountShop, it needs one"
    return await _log_in(settings, accounts[0])


async def _log_in(settings: Settings, account: Account) -> TryLater | None:
    api = NationalApi(settings, TokenCache(settings.redis_url, settings.app_id, refused_for=settings.login_retry_delay))
    try:
        return await api.token_ready(account)
    finally:
        await api.aclose()


def judge_log_in(result: TryLater | str | None, shop: str) -> list[Finding]:
    about = f"log-in of shop {shop}"
    if result is None:
        return [ok(about, "is accepted")]
    if isinstance(result, str):
        return [error(about, f"was not tried: {result}", "Correct AccountShop: one row with status = 1.")]
    what = what_is_wrong(result.reason).en.removesuffix(";")
    return [error(about, f"{result.reason.code}: {what}", REASON_TEXTS[result.reason.code].action_en)]


# ---- the worker ----


class _Waits(BaseModel):
    part: str
    what: str
    action: str


class _Ready(BaseModel):
    """As far as it is shown."""

    status: str
    reasons: list[_Waits] = []


_READY = TypeAdapter(_Ready)


async def ask_worker(settings: Settings, address: str | None = None) -> Mapping[str, Any] | None:
    """What its /readyz says. None: none answers, or something else does."""
    host = settings.web_host if settings.web_host not in ("0.0.0.0", "::", "") else "127.0.0.1"  # noqa: S104
    base = address or f"http://{f'[{host}]' if ':' in host else host}:{settings.web_port}"
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False) as client:
            said: Mapping[str, Any] = (await client.get(f"{base.rstrip('/')}/readyz")).json()
            _READY.validate_python(said)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return None
    return said


def judge_worker(said: Mapping[str, Any] | None) -> list[Finding]:
    if said is None:
        action = "Start it, or set WEB_HOST and WEB_PORT as it has them. Workers of other machines are not asked."
        return [warning("worker", "none answers on this machine", action)]
    if said["status"] == "ok":
        return [ok("worker", "sales go out")]
    make = warning if said["status"] == "degraded" else error
    return [make(f"worker: {reason['part']}", reason["what"], reason["action"]) for reason in said.get("reasons", [])]
