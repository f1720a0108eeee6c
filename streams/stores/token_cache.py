"""What is known of the shops' credentials, shared between workers through Redis.

Only a cache: with Redis away every question is answered as if nothing were known, and work goes on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.lock import Lock
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import LockError, RedisError

from streams.national_api.account import CredentialsRefused, LogInResult, Token
from streams.waits import WAITS

_TIMEOUT = 1.0
_PAUSE = 5.0
_DROP_IF_STILL = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

T = TypeVar("T")
log = structlog.get_logger()


class TokenCache:
    """Keys, each with a time to live: `<prefix>:token:<fingerprint>` and `<prefix>:login-lock:<fingerprint>`."""

    def __init__(
        self, url: SecretStr, prefix: str, *, clock: Callable[[], float] = time.time, pause: float = _PAUSE
    ) -> None:
        """`clock`: epoch seconds; `pause`: how long Redis is left alone after it failed. Connects when asked."""
        self._redis: Redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url.get_secret_value(),
                max_connections=16,
                timeout=_TIMEOUT,
                # Once: connections of before a restart are found broken only when used.
                retry=Retry(NoBackoff(), 1),
                decode_responses=True,
            )
        )
        self._drop_if_still = self._redis.register_script(_DROP_IF_STILL)
        self._prefix = prefix
        self._clock = clock
        self._pause = pause
        self._away = False
        self._trouble = WAITS.waiting("redis", "start Redis, or correct REDIS_URL", holds_up_sales=False)
        self._left_alone_until = 0.0

    async def read(self, fingerprint: str) -> LogInResult | None:
        text = await self._ask(lambda: self._redis.get(self._token_key(fingerprint)), None)
        known = _decode(text) if isinstance(text, str) else None
        return known if known and known.until > self._clock() else None

    async def write(self, fingerprint: str, known: LogInResult) -> None:
        life_ms = int((known.until - self._clock()) * 1000)
        if life_ms > 0:
            key = self._token_key(fingerprint)
            await self._ask(lambda: self._redis.set(key, _encode(known), px=life_ms), None)

    async def drop(self, fingerprint: str, token: Token) -> None:
        """Only if it is still this one: another worker may have renewed it."""
        key = self._token_key(fingerprint)
        await self._ask(lambda: self._drop_if_still(keys=[key], args=[_encode(token)]), None)

    @asynccontextmanager
    async def try_lock(self, fingerprint: str, life: float) -> AsyncIterator[bool]:
        """Whether we are the one to log in; at once. `life`: seconds, after which a dead holder's lock is gone."""
        lock = Lock(self._redis, f"{self._prefix}:login-lock:{fingerprint}", timeout=life, blocking=False)
        ours = await self._ask(lock.acquire, True)
        try:
            yield ours
        finally:
            if ours:
                await self._ask(lambda: _release(lock), None)

    async def aclose(self) -> None:
        self._trouble.end()
        await self._redis.aclose(close_connection_pool=True)

    def _token_key(self, fingerprint: str) -> str:
        return f"{self._prefix}:token:{fingerprint}"

    async def _ask(self, question: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """Redis's answer, or `otherwise` while it is away: one warning then, one line when it is back."""
        now = time.monotonic()
        if now < self._left_alone_until:
            return otherwise
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await question()
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            if not self._away:
                log.warning("redis_away", error=type(error).__name__, effect="tokens are kept in memory only")
            self._away = True
            self._trouble.say("away: tokens are kept in memory only, and each worker logs in by itself")
            self._left_alone_until = time.monotonic() + self._pause
            return otherwise
        if self._away:
            log.info("redis_back")
            self._away = False
            self._trouble.end()
        return answer


async def _release(lock: Lock) -> None:
    try:
        await lock.release()
    except LockError:  # it ran out, or was never taken because Redis was away
        return


def _encode(known: LogInResult) -> str:
    if isinstance(known, Token):
        return json.dumps({"token": known.value.get_secret_value(), "until": known.until})
    return json.dumps({"refused": True, "until": known.until})


def _decode(text: str) -> LogInResult | None:
    """None for what no worker of this version wrote."""
    try:
        fields: Any = json.loads(text)
        until = float(fields["until"])
        return CredentialsRefused(until) if "refused" in fields else Token(SecretStr(fields["token"]), until)
    except (ValueError, TypeError, KeyError):
        return None
