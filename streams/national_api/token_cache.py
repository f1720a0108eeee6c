"""The cache of tokens and refused credentials, shared between workers through Redis.

It is only a cache: while Redis is unavailable it behaves as if it were empty, and work goes on.
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

from streams.domain.account import MAX_TOKEN_LIFETIME, CredentialsRefused, LogInResult, Token
from streams.national_api.login_answers import is_a_token
from streams.runtime.outages import OUTAGES

_TIMEOUT = 1.0
_PAUSE = 5.0
_MAX_CLOCK_SKEW = 60.0
"""Seconds by which the clocks of two workers may differ."""
_MAX_ENTRY = 20_000
"""Bytes: more than any token takes, its JSON envelope included."""
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
        """`refused_for`: the maximum seconds for which refused credentials are not tried again; `clock`: epoch seconds;
        `pause`: seconds without any request to Redis after one failed. Connects with the first request."""
        self._redis: Redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url.get_secret_value(),
                max_connections=16,
                timeout=_TIMEOUT,
                # One retry: connections from before a restart of Redis are found broken only when used.
                retry=Retry(NoBackoff(), 1),
                # Keep bytes: an entry may not be text at all, and `_decode` handles that.
                decode_responses=False,
            )
        )
        self._drop_if_still = self._redis.register_script(_DROP_IF_STILL)
        self._prefix = prefix
        self._refused_for = refused_for
        self._clock = clock
        self._pause = pause
        self._is_unavailable = False
        self._outage = OUTAGES.reporter("redis", "start Redis, or correct the REDIS settings", holds_up_sales=False)
        self._paused_until = 0.0

    async def read(self, fingerprint: str) -> LogInResult | None:
        """Return what is cached and still valid for these credentials."""
        raw = await self._request(lambda: self._redis.get(self._token_key(fingerprint)), None)
        known = _decode(raw) if isinstance(raw, bytes) else None
        if known is None:
            return None
        max_life = MAX_TOKEN_LIFETIME if isinstance(known, Token) else self._refused_for + _MAX_CLOCK_SKEW
        return known if 0 < known.until - self._clock() <= max_life else None

    async def write(self, fingerprint: str, known: LogInResult) -> None:
        """Cache the result of a log-in until it expires."""
        life_ms = int((known.until - self._clock()) * 1000)
        if life_ms > 0:
            key = self._token_key(fingerprint)
            await self._request(lambda: self._redis.set(key, _encode(known), px=life_ms), None)

    async def drop(self, fingerprint: str, token: Token) -> None:
        """Remove the token, unless another worker has replaced it already."""
        key = self._token_key(fingerprint)
        await self._request(lambda: self._drop_if_still(keys=[key], args=[_encode(token)]), None)

    @asynccontextmanager
    async def try_lock(self, fingerprint: str, life: float) -> AsyncIterator[bool]:
        """Try to become the one worker that logs in; yields at once whether it did.

        `life`: seconds after which the lock of a holder that died expires. Yields True while Redis is unavailable.
        """
        lock = Lock(self._redis, f"{self._prefix}:login-lock:{fingerprint}", timeout=life, blocking=False)
        acquired = await self._request(lock.acquire, True)
        try:
            yield acquired
        finally:
            if acquired:
                await self._request(lambda: _release(lock), None)

    async def aclose(self) -> None:
        self._outage.end()
        await self._redis.aclose(close_connection_pool=True)

    def _token_key(self, fingerprint: str) -> str:
        return f"{self._prefix}:token:{fingerprint}"

    async def _request(self, send: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """Return Redis's answer, or `otherwise` while it is unavailable; both changes of state are logged once."""
        now = time.monotonic()
        if now < self._paused_until:
            return otherwise
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await send()
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            if isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE"):
                return otherwise  # the key was not written by us
            if not self._is_unavailable:
                log.warning("redis_away", error=type(error).__name__, effect="tokens are kept in memory only")
            self._is_unavailable = True
            self._outage.report("unavailable: tokens are kept in memory only, and each worker logs in by itself")
            self._paused_until = time.monotonic() + self._pause
            return otherwise
        if self._is_unavailable:
            log.info("redis_back")
            self._is_unavailable = False
            self._outage.end()
        return answer


async def _release(lock: Lock) -> None:
    try:
        await lock.release()
    except LockError:  # it expired, or was never taken because Redis was unavailable
        return


def _encode(known: LogInResult) -> str:
    if isinstance(known, Token):
        return json.dumps({"token": known.value.get_secret_value(), "until": known.until})
    return json.dumps({"refused": True, "until": known.until})


def _decode(raw: bytes) -> LogInResult | None:
    """Decode an entry; None for what no worker of this version wrote. Tokens are checked as those from the API are."""
    if len(raw) > _MAX_ENTRY:
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
