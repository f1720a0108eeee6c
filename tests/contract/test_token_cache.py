"""The token cache on real servers, with them away, and with them hanging."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from pydantic import SecretStr
from structlog.testing import capture_logs

from streams.local.servers import Valkey
from streams.national_api.account import Account, CredentialsRefused, Token, fingerprint
from streams.stores.token_cache import TokenCache
from tests.contract.redis_servers import url_of
from tests.contract.scripted_server import ScriptedServer, hang, serving

URL = "https://api.example"


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
async def cache(redis_or_valkey: Valkey, prefix: str) -> AsyncIterator[TokenCache]:
    cache = TokenCache(url_of(redis_or_valkey), prefix)
    yield cache
    await cache.aclose()


@pytest.fixture
async def client(redis_or_valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
        url_of(redis_or_valkey).get_secret_value(), decode_responses=True
    )
    yield client
    await client.aclose()


def token(value: str = "abc", lives: float = 100) -> Token:
    return Token(SecretStr(value), time.time() + lives)


async def test_what_was_written_is_read_by_another_worker(
    cache: TokenCache, redis_or_valkey: Valkey, prefix: str
) -> None:
    other = TokenCache(url_of(redis_or_valkey), prefix)
    stranger = TokenCache(url_of(redis_or_valkey), "another-app")
    written = token()
    await cache.write("f", written)
    assert await other.read("f") == written
    assert await stranger.read("f") is None
    assert await other.read("g") is None
    refused = CredentialsRefused(time.time() + 50)
    await cache.write("g", refused)
    assert await other.read("g") == refused
    await other.aclose()
    await stranger.aclose()


async def test_everything_has_a_time_to_live(cache: TokenCache, client: redis.asyncio.Redis, prefix: str) -> None:
    await cache.write("f", token(lives=100))
    await cache.write("g", CredentialsRefused(time.time() + 50))
    assert 90 <= await client.ttl(f"{prefix}:token:f") <= 100
    assert 40 <= await client.ttl(f"{prefix}:token:g") <= 50
    async with cache.try_lock("f", 20) as ours:
        assert ours
        assert 15 <= await client.ttl(f"{prefix}:login-lock:f") <= 20


async def test_what_is_over_is_neither_written_nor_read(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str
) -> None:
    await cache.write("f", token(lives=-1))
    assert await client.exists(f"{prefix}:token:f") == 0
    await client.set(f"{prefix}:token:f", json.dumps({"token": "abc", "until": time.time() - 1}))
    assert await cache.read("f") is None


@pytest.mark.parametrize("junk", ["", "{", "[]", "5", '{"until": 1e12}', '{"until": "x", "token": "y"}'])
async def test_what_another_version_wrote_is_passed_over(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str, junk: str
) -> None:
    await client.set(f"{prefix}:token:f", junk)
    assert await cache.read("f") is None


async def test_a_token_is_dropped_only_if_it_is_still_that_one(cache: TokenCache) -> None:
    old, new = token("old"), token("new")
    await cache.write("f", new)
    await cache.drop("f", old)
    assert await cache.read("f") == new
    await cache.drop("f", new)
    assert await cache.read("f") is None


async def test_the_lock_is_for_one_at_a_time_and_only_its_holder_gives_it_back(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str
) -> None:
    async with cache.try_lock("f", 20) as first:
        async with cache.try_lock("f", 20) as second:
            assert (first, second) == (True, False)
        async with cache.try_lock("g", 20) as another:
            assert another
        assert await client.exists(f"{prefix}:login-lock:f") == 1
        await client.set(f"{prefix}:login-lock:f", "somebody else's by now")
    assert await client.exists(f"{prefix}:login-lock:f") == 1


async def test_redis_away_is_told_once_left_alone_for_a_while_and_noticed_when_it_is_back(
    mortal: Valkey, prefix: str
) -> None:
    cache = TokenCache(url_of(mortal), prefix, pause=0.05)
    await cache.write("f", token())
    mortal.stop()
    with capture_logs() as logs:
        for _ in range(20):
            assert await cache.read("f") is None
            await cache.write("f", token())
            await cache.drop("f", token())
            async with cache.try_lock("f", 20) as ours:
                assert ours  # nobody to ask: go on alone
        await asyncio.sleep(0.06)
        assert await cache.read("f") is None
    assert [log["event"] for log in logs] == ["redis_away"]
    mortal.start()
    with capture_logs() as logs:
        async with asyncio.timeout(10):
            while await cache.read("f") is None:
                await asyncio.sleep(0.02)
                await cache.write("f", token())
        assert [log["event"] for log in logs] == ["redis_back"]
    await cache.aclose()


async def test_redis_that_hangs_costs_about_a_second_once(prefix: str) -> None:
    async with serving(ScriptedServer(log_in=hang, other=hang)) as server:
        cache = TokenCache(SecretStr(f"redis://127.0.0.1:{server.port}"), prefix)
        began = time.monotonic()
        with capture_logs() as logs:
            for _ in range(50):
                assert await cache.read("f") is None
        assert time.monotonic() - began < 4
        assert len(logs) == 1
        await cache.aclose()


def test_changed_credentials_and_another_api_have_another_fingerprint() -> None:
    def of(shop: str, name: str, password: str, url: str = URL) -> str:
        return fingerprint(Account(shop, name, SecretStr(password)), url)

    prints = {
        of("s", "u", "p"),
        of("s", "u", "q"),
        of("s", "v", "p"),
        of("t", "u", "p"),
        of("s", "u", "p", "https://test.example"),
        of("s", "u\0p", ""),
    }
    assert len(prints) == 6
    assert of("s", "u", "p") in prints
    assert of("s", "tên", "\ud800") not in prints


async def test_no_password_and_no_account_name_in_redis(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str
) -> None:
    await cache.write(fingerprint(Account("shop", "usr-secret", SecretStr("pwd-secret")), URL), token())
    keys = [key async for key in client.scan_iter(f"{prefix}*")]
    assert len(keys) == 1
    assert not any("secret" in text for text in [*keys, await client.get(keys[0])])
