"""Checks of Kafka Connect, Redis, MongoDB, and the worker on this machine: one request to each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, TypeAdapter
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streams.operators import Problem
from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.operators.connect.api import ConnectApi, ConnectorStatus
from streams.operators.connect.masking import plain_secrets
from streams.operators.connect.wait_until_running import describe
from streams.settings import Settings
from streams.stores.journal import Journal, JournalUnavailable

_TIMEOUT = 5.0

# ---- Kafka Connect ----


@dataclass(frozen=True, slots=True)
class ConnectorReport:
    status: ConnectorStatus | None
    """None: it is not deployed."""
    secrets: Sequence[str]
    """The secrets in its configuration, which must not be shown."""


async def probe_connect(settings: Settings, name: str) -> ConnectorReport | Problem | None:
    """Return the connector's state; None: Kafka Connect is not used."""
    if not settings.has_connector:
        return None
    try:
        async with ConnectApi(settings.connect_url, rebalance_timeout=_TIMEOUT) as api:
            config = await api.config(name)
            return ConnectorReport(None if config is None else await api.status(name), plain_secrets(config or {}))
    except Problem as problem:
        return problem


def judge_connect(probed: ConnectorReport | Problem | None, name: str) -> list[Finding]:
    about = f"connector {name}"
    if probed is None:
        return [skipped(about, "Kafka Connect is not used: CAPTURE=polling, or the local stack")]
    if isinstance(probed, Problem):
        what, _, action = probed.lines[0].partition(". ")
        return [error("Kafka Connect", what, action)]
    status = probed.status
    if status is None:
        return [error(about, "is not deployed", "Deploy it: `faust -A streams.app connectors deploy`.")]
    states_text = "; ".join(line.strip() for line in describe(status, probed.secrets))
    states = {part.state for part in status.all}
    if "FAILED" in states:
        return [error(about, states_text, "Fix the cause, then `faust -A streams.app connectors restart`.")]
    if states & {"PAUSED", "STOPPED"}:
        what = "is paused: an operator did that; no new sale is captured"
        return [error(about, what, f"Resume it: curl -X PUT <CONNECT_URL>/connectors/{name}/resume")]
    if not status.runs:
        action = "`faust -A streams.app connectors restart`; if it persists, see Kafka Connect's log."
        return [error(about, states_text, action)]
    return [ok(about, states_text)]


# ---- Redis and MongoDB ----


async def probe_redis(settings: Settings) -> str | None:
    """Return the class name of the error that a read meets; None: Redis answers."""
    url = settings.redis_url.get_secret_value()
    client = Redis.from_url(url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 1))
    try:
        async with asyncio.timeout(3 * _TIMEOUT):  # a second try, since a process that has just started may be slow
            await client.get("doctor")
    except (RedisError, OSError, ValueError) as error_met:  # TimeoutError is an OSError
        return type(error_met).__name__
    finally:
        await client.aclose()
    return None


def judge_redis(error_name: str | None) -> list[Finding]:
    if error_name is None:
        return [ok("Redis", "answers")]
    if any(part in error_name for part in ("Auth", "Response", "NoPermission")):
        return [
            error("Redis", f"refuses the log-in ({error_name})", "Correct user and password in the REDIS settings.")
        ]
    action = (
        "Start Redis, or correct the REDIS settings. Until then no retry is scheduled, and each worker logs in "
        "separately."
    )
    return [error("Redis", f"cannot be reached ({error_name})", action)]


async def probe_mongo(settings: Settings) -> str | None:
    """Return the class name of the error that a read meets; None: MongoDB answers, and this log-in may read."""
    journal = None
    try:
        async with asyncio.timeout(3 * _TIMEOUT):
            journal = Journal(settings)
            await journal.history("", "", "", 1)
    except JournalUnavailable as unavailable:
        return str(unavailable)
    except Exception as error_met:  # such as a host name that DNS does not know, or an option that pymongo does not
        return type(error_met).__name__
    finally:
        if journal is not None:
            journal.close()
    return None


def judge_mongo(error_name: str | None) -> list[Finding]:
    if error_name is None:
        return [ok("MongoDB", "answers and can be read")]
    if error_name == "OperationFailure":
        return [
            error(
                "MongoDB", "refuses the log-in or the query", "Correct user, password and rights in the MONGO settings."
            )
        ]
    action = "Start MongoDB, or correct the MONGO settings. Sales are still sent; their history is written later."
    return [error("MongoDB", f"cannot be reached ({error_name})", action)]


# ---- the worker ----


class _Obstacle(BaseModel):
    part: str
    what: str
    action: str


class _Ready(BaseModel):
    """As much of /readyz as is shown."""

    status: str
    reasons: list[_Obstacle] = []


_READY = TypeAdapter(_Ready)


async def probe_worker(settings: Settings, address: str | None = None) -> Mapping[str, Any] | None:
    """Return the body of the worker's /readyz; None: no worker answers at `address`, by default on this machine, or
    something else does."""
    host = settings.web_host if settings.web_host not in ("0.0.0.0", "::", "") else "127.0.0.1"  # noqa: S104
    base = address or f"http://{f'[{host}]' if ':' in host else host}:{settings.web_port}"
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
            body: Mapping[str, Any] = (await client.get(f"{base.rstrip('/')}/readyz")).json()
            _READY.validate_python(body)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return None
    return body


def judge_worker(ready: Mapping[str, Any] | None) -> list[Finding]:
    """Return the findings of a /readyz body; None: no worker answered."""
    if ready is None:
        action = "Start it, or set WEB_HOST and WEB_PORT as it has them. Workers on other machines are not checked."
        return [warning("worker", "none answers on this machine", action)]
    if ready["status"] == "ok":
        return [ok("worker", "sales are being sent")]
    make = warning if ready["status"] == "degraded" else error
    return [make(f"worker: {reason['part']}", reason["what"], reason["action"]) for reason in ready.get("reasons", [])]
