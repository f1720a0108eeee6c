"""A lock that one worker holds at a time, and that passes on when its holder dies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from streams.local.processes import free_port
from streams.stores.lock import RedisLock
from tests.contract.valkey import running_valkey, url_of


@pytest.fixture
def url() -> Iterator[SecretStr]:
    with running_valkey() as server:
        yield url_of(server)


async def test_one_holder_at_a_time(url: SecretStr) -> None:
    one, other = RedisLock(url, "due", life=30), RedisLock(url, "due", life=30)
    assert await one.held()
    assert not await other.held()
    assert await one.held(), "renewed"
    await one.close()
    assert await other.held(), "given back"
    await other.close()


async def test_it_passes_on_when_its_holder_dies(url: SecretStr) -> None:
    dead, heir = RedisLock(url, "due", life=0.3), RedisLock(url, "due", life=30)
    assert await dead.held()
    async with asyncio.timeout(5):
        while not await heir.held():
            await asyncio.sleep(0.02)
    assert not await dead.held(), "it has passed on"
    await dead.close()
    assert await heir.held(), "who has lost it takes it from nobody"
    await heir.close()


async def test_without_redis_everybody_may() -> None:
    lock = RedisLock(SecretStr(f"redis://127.0.0.1:{free_port()}"), "due", life=1)
    assert await lock.held()
    await lock.close()
