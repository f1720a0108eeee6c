"""Tests the lock on real servers: one owner, the next one after its life, and no stall without Redis."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from streams.local.servers import Valkey
from streams.stores.redis_lock import RedisLock
from tests.contract.redis_servers import url_of
from tests.contract.scripted_server import ScriptedServer, hang, serving

MakeLock: TypeAlias = Callable[..., RedisLock]


@pytest.fixture
async def make(redis_or_valkey: Valkey) -> AsyncIterator[MakeLock]:
    name = uuid.uuid4().hex
    async with AsyncExitStack() as opened:

        def lock(life: float = 10, name: str = name) -> RedisLock:
            made = RedisLock(url_of(redis_or_valkey), name, life=life)
            opened.push_async_callback(made.close)
            return made

        yield lock


async def test_one_owner_holds_the_lock_and_keeps_it(make: MakeLock) -> None:
    one, other = make(), make()
    assert [await lock.acquire_or_renew() for lock in (one, other, one, other, one)] == [True, False, True, False, True]


async def test_one_of_many_concurrent_callers_gets_the_lock(make: MakeLock) -> None:
    assert sum(await asyncio.gather(*(make().acquire_or_renew() for _ in range(20)))) == 1


async def test_locks_with_different_names_are_independent(make: MakeLock) -> None:
    assert await make().acquire_or_renew()
    assert await make(name="another").acquire_or_renew()


async def test_a_lock_that_is_not_renewed_passes_to_another_owner(make: MakeLock) -> None:
    one, other = make(life=0.3), make(life=0.3)
    assert await one.acquire_or_renew()
    began = time.monotonic()
    async with asyncio.timeout(10):
        while not await other.acquire_or_renew():
            await asyncio.sleep(0.01)
    assert time.monotonic() - began > 0.2
    assert not await one.acquire_or_renew()


async def test_a_renewed_lock_lasts(make: MakeLock) -> None:
    one, other = make(life=0.3), make(life=0.3)
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        assert await one.acquire_or_renew()
        assert not await other.acquire_or_renew()
        await asyncio.sleep(0.02)


async def test_closing_releases_only_the_callers_own_lock_at_once(make: MakeLock) -> None:
    one, other, third = make(), make(), make()
    assert await one.acquire_or_renew()
    await other.close()
    assert not await third.acquire_or_renew()
    await one.close()
    assert await third.acquire_or_renew()


async def test_the_lock_is_granted_without_redis_and_its_absence_logged_once(mortal: Valkey) -> None:
    lock = RedisLock(url_of(mortal), "due", life=10)
    assert await lock.acquire_or_renew()
    mortal.stop()
    with capture_logs() as logs:
        began = time.monotonic()
        assert [await lock.acquire_or_renew() for _ in range(3)] == [True] * 3
        assert time.monotonic() - began < 1
    assert [line["event"] for line in logs] == ["lock.redis_away"]
    mortal.start()
    rival = RedisLock(url_of(mortal), "due", life=10)
    assert await lock.acquire_or_renew()
    assert not await rival.acquire_or_renew()
    await lock.close()
    await rival.close()
    mortal.stop()
    await RedisLock(url_of(mortal), "due", life=10).close()


async def test_a_redis_that_hangs_delays_the_lock_by_seconds_only() -> None:
    async with serving(ScriptedServer(log_in=hang, other=hang)) as server:
        lock = RedisLock(SecretStr(f"redis://127.0.0.1:{server.port}"), "due", life=10)
        began = time.monotonic()
        assert await lock.acquire_or_renew()
        await lock.close()
        assert time.monotonic() - began < 4
