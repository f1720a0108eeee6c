"""Tests that the suites run on two different servers of Redis' protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from streams.local.debian import PackagesMissing
from streams.local.real.redis import Redis
from streams.local.servers import Valkey
from tests.contract.redis_servers import url_of


def test_each_redis_server_is_the_one_that_its_name_says(redis_or_valkey: Valkey) -> None:
    with redis.Redis.from_url(url_of(redis_or_valkey).get_secret_value()) as client:
        said = client.info("server")
    assert said.get("server_name", "redis") == redis_or_valkey.name


def test_a_redis_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackagesMissing, match="redis-server"):
        Redis(tmp_path).command()
