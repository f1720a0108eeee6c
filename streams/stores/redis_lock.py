"""A lock in Redis that one worker holds at a time, and that passes on when its holder dies."""

from __future__ import annotations

import uuid

import structlog
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

_TIMEOUT = 1.0
# Taken when free, renewed by its holder.
_TAKE_OR_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] or not holder then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return 1
end
return 0
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class RedisLock:
    """`life`: seconds without renewal after which another may take it."""

    def __init__(self, url: SecretStr, name: str, *, life: float) -> None:
        self._redis: Redis = Redis.from_url(
            url.get_secret_value(), socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
        )
        self._take_or_renew = self._redis.register_script(_TAKE_OR_RENEW)
        self._give_up = self._redis.register_script(_RELEASE)
        self._name = name
        self._life_ms = int(life * 1000)
        self._holder = uuid.uuid4().hex
        self._away = False
        self.asked_total = 0

    async def acquire_or_renew(self) -> bool:
        """Takes or renews it. True where Redis is away: what it guards is harmless when done twice."""
        self.asked_total += 1
        try:
            held = bool(await self._take_or_renew(keys=[self._name], args=[self._holder, self._life_ms]))
        except (RedisError, OSError) as error:
            if not self._away:
                log.warning("lock.redis_away", lock=self._name, error=type(error).__name__)
            self._away = True
            return True
        self._away = False
        return held

    async def close(self) -> None:
        """Gives it back, so that the next one need not wait."""
        try:
            await self._give_up(keys=[self._name], args=[self._holder])
        except (RedisError, OSError) as error:
            log.debug("lock.not_released", lock=self._name, error=type(error).__name__)
        await self._redis.aclose()
