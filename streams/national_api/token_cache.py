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
from redis.exceptions import LockError, RedisError, ResponseError

from streams.domain.account import CredentialsRefused, LogInResult, Token
from streams.national_api.login_answers import is_a_token
from streams.runtime.outages import OUTAGES

_TIMEOUT = 1.0
_PAUSE = 5.0
_LONGEST_TOKEN = 7 * 86_400.0
"""Seconds, as after a log-in."""
_CLOCKS_APART = 60.0
"""Seconds that two workers' clocks may be."""
_LONGEST = 20_000
"""Bytes: more than any token with what stands around it."""
_DROP_IF_STILL = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

T = TypeVar("T")
log = structlog.get_logger()


class TokenCache:
    """Keys, each with a time to live: `<prefix>:token:<fingerprint>` and `<prefix>:login-lock:<fingerprint>`."""

    def __init__(
        self,
        url: SecretStr,
        prefix: str,
        *,
        refused_for: float = 3600,
        clock: Callable[[], float] = time.time,
        pause: float = _PAUSE,
    ) -> None:
        """`refused_for`: seconds that refused credentials are left alone at most; `clock`: epoch seconds; `pause`: how
        long Redis is left alone after it failed. Connects when asked."""
        self._redis: Redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url.get_secret_value(),
                max_connections=16,
                timeout=_TIMEOUT,
                # Once: connections of before a restart are found broken only when used.
                retry=Retry(NoBackoff(), 1),
                # What is there may be no text at all: that is for `_decode` to say.
                decode_responses=False,
            )
        )
        self._drop_if_still = self._redis.register_script(_DROP_IF_STILL)
        self._prefix = prefix
        self._refused_for = refused_for
        self._clock = clock
        self._pause = pause
        self._away = False
        self._trouble = OUTAGES.reporter("redis", "start Redis, or correct REDIS_URL", holds_up_sales=False)
        self._left_alone_until = 0.0

    async def read(self, fingerprint: str) -> LogInResult | None:
        raw = await self._ask(lambda: self._redis.get(self._token_key(fingerprint)), None)
        known = _decode(raw) if isinstance(raw, bytes) else None
        if known is None:
            return None
        longest = _LONGEST_TOKEN if isinstance(known, Token) else self._refused_for + _CLOCKS_APART
        return known if 0 < known.until - self._clock() <= longest else None

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
            if isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE"):
                return otherwise  # one key that is none of ours
            if not self._away:
                log.warning("redis_away", error=type(error).__name__, effect="tokens are kept in memory only")
            self._away = True
            self._trouble.report("away: tokens are kept in memory only, and each worker logs in by itself")
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


def _decode(raw: bytes) -> LogInResult | None:
    """None for what no worker of this version wrote: a token passes the checks that an answer's passes."""
    if len(raw) > _LONGEST:
        return None
    try:
        fields: Any = json.loads(raw.decode())
        until = float(fields["until"])
        if "refused" in fields:
            return CredentialsRefused(until) if fields["refused"] is True else None
        token = fields["token"]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return Token(SecretStr(token), until) if isinstance(token, str) and is_a_token(token) else None
