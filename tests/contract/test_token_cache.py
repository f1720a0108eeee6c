"""Tests the token cache on real servers, with them away, and with them hanging."""

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

from streams.domain.account import Account, CredentialsRefused, Token, fingerprint
from streams.local.servers import Valkey
from streams.national_api.token_cache import TokenCache
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


async def test_a_token_is_read_by_another_worker(cache: TokenCache, redis_or_valkey: Valkey, prefix: str) -> None:
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


async def test_every_key_of_the_token_cache_has_a_time_to_live(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str
) -> None:
    await cache.write("f", token(lives=100))
    await cache.write("g", CredentialsRefused(time.time() + 50))
    assert 90 <= await client.ttl(f"{prefix}:token:f") <= 100
    assert 40 <= await client.ttl(f"{prefix}:token:g") <= 50
    async with cache.try_lock("f", 20) as ours:
        assert ours
        assert 15 <= await client.ttl(f"{prefix}:login-lock:f") <= 20


async def test_an_expired_token_is_neither_written_nor_read(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str
) -> None:
    await cache.write("f", token(lives=-1))
    assert await client.exists(f"{prefix}:token:f") == 0
    await client.set(f"{prefix}:token:f", json.dumps({"token": "abc", "until": time.time() - 1}))
    assert await cache.read("f") is None


FAR = time.time() + 8 * 86_400
SOON = time.time() + 1_000
JUNK: dict[str, str | bytes] = {
    "empty": "",
    "half": "{",
    "a list": "[]",
    "a number": "5",
    "no token": '{"until": 1e12}',
    "no time": '{"until": "x", "token": "y"}',
    "no UTF-8": b"\xff\xfe",
    "no UTF-8 within": b'{"token": "a\xff", "until": %d}' % SOON,
    "CR LF": json.dumps({"token": "abc\r\nHost: evil", "until": SOON}),
    "a blank": json.dumps({"token": "a b", "until": SOON}),
    "half a letter": json.dumps({"token": "a\ud83c", "until": SOON}),
    "an accent": json.dumps({"token": "phiên", "until": SOON}),
    "a token without letters": json.dumps({"token": "", "until": SOON}),
    "a placeholder": json.dumps({"token": "null", "until": SOON}),
    "a token that is no text": json.dumps({"token": ["a"], "until": SOON}),
    "a token too long": json.dumps({"token": "a" * 8193, "until": SOON}),
    "deep": "[" * 100_000,
    "deep within": '{"token": ' + "[" * 5_000 + "]" * 5_000 + f', "until": {SOON}}}',
    "large": json.dumps({"token": "abc", "until": SOON, "more": "x" * 100_000}),
    "a token forever": json.dumps({"token": "abc", "until": 9e12}),
    "a token for more than a week": json.dumps({"token": "abc", "until": FAR}),
    "refused forever": json.dumps({"refused": True, "until": 9e12}),
    "refused for more than the delay": json.dumps({"refused": True, "until": time.time() + 7_200}),
    "refused, and not": json.dumps({"refused": False, "until": SOON}),
    "infinity": '{"token": "abc", "until": Infinity}',
    "no number": '{"token": "abc", "until": NaN}',
    "a number beyond all": '{"token": "abc", "until": 1' + "0" * 400 + "}",
    "digits without end": '{"token": "abc", "until": ' + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
async def test_a_value_that_no_worker_wrote_is_ignored(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str, junk: str | bytes
) -> None:
    """Broken by: a value that is no UTF-8, and the shop's sales wait without a reason; a token with CR LF, and the gate
    closes for all.

    Promise 5. Broken by: a token out of Redis is not checked as one out of an answer is.
    Promise 1. Broken by: a refusal out of Redis is believed until the year 287,000.
    Promise 5. Broken by: deep JSON in Redis keeps a shop from logging in.
    Promise 5. Broken by: what is no text in Redis keeps a shop from logging in.
    """
    await client.set(f"{prefix}:token:f", junk)
    with capture_logs() as logs:
        assert await cache.read("f") is None
        await cache.write("f", token())
        assert await cache.read("f") is not None, "a log-in's own takes its place"
    assert logs == []


async def test_a_key_of_another_type_affects_one_shop_and_is_no_outage(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str
) -> None:
    """Promise 5. Broken by: a key of another type is taken for Redis being away."""
    await client.rpush(f"{prefix}:token:f", "x")
    with capture_logs() as logs:
        assert await cache.read("f") is None
        await cache.write("g", token())
        assert await cache.read("g") is not None
    assert logs == []


async def test_a_token_is_dropped_only_if_it_is_unchanged(cache: TokenCache) -> None:
    old, new = token("old"), token("new")
    await cache.write("f", new)
    await cache.drop("f", old)
    assert await cache.read("f") == new
    await cache.drop("f", new)
    assert await cache.read("f") is None


async def test_the_log_in_lock_has_one_owner_who_alone_can_release_it(
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


async def test_an_absent_redis_is_logged_once_and_its_return_is_noticed(mortal: Valkey, prefix: str) -> None:
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


async def test_a_redis_that_hangs_delays_the_token_cache_once(prefix: str) -> None:
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


async def test_redis_contains_no_password_and_no_account_name(
    cache: TokenCache, client: redis.asyncio.Redis, prefix: str
) -> None:
    await cache.write(fingerprint(Account("shop", "usr-secret", SecretStr("pwd-secret")), URL), token())
    keys = [key async for key in client.scan_iter(f"{prefix}*")]
    assert len(keys) == 1
    assert not any("secret" in text for text in [*keys, await client.get(keys[0])])
