"""A lock in Redis that one worker has at a time, and that another can take when its holder has died."""

from __future__ import annotations

import uuid

import structlog
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

_TIMEOUT = 1.0
# Takes the lock when it is free, and renews it for its holder.
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
    """A lock that its holder must keep renewing.

    It is not redis-py's `Lock`, which keeps its token only once Redis has answered: if that answer is lost, the lock is
    taken and nobody has it until it expires. Here each worker has one token, and its next attempt renews the lock.

    `life`: seconds without renewal after which another worker may take it.
    """

    def __init__(self, url: SecretStr, name: str, *, life: float) -> None:
        self._redis: Redis = Redis.from_url(
            url.get_secret_value(), socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
        )
        self._take_or_renew = self._redis.register_script(_TAKE_OR_RENEW)
        self._release = self._redis.register_script(_RELEASE)
        self._name = name
        self._life_ms = int(life * 1000)
        self._holder = uuid.uuid4().hex
        self._is_unavailable = False
        self.attempts_total = 0
        """How often `acquire_or_renew` was called."""

    async def acquire_or_renew(self) -> bool:
        """Take or renew the lock. Return whether this worker has it.

        True while Redis is unavailable: the guarded work is harmless when two workers do it.
        """
        self.attempts_total += 1
        try:
            is_holder = bool(await self._take_or_renew(keys=[self._name], args=[self._holder, self._life_ms]))
        except (RedisError, OSError) as error:
            if not self._is_unavailable:
                log.warning("lock.redis_away", lock=self._name, error=type(error).__name__)
            self._is_unavailable = True
            return True
        self._is_unavailable = False
        return is_holder

    async def close(self) -> None:
        """Release the lock, so that the next worker need not wait for it to expire."""
        try:
            await self._release(keys=[self._name], args=[self._holder])
        except (RedisError, OSError) as error:
            log.debug("lock.not_released", lock=self._name, error=type(error).__name__)
        await self._redis.aclose()
