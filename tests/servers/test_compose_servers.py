"""Tests the command of docs/compose/servers.yml that starts Redis, with the shell and the Redis of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from streams.local.processes import Process, connect, free_port
from tests.support.compose_files import compose_tools, loaded
from tests.support.repository import ROOT

PASSWORD = "mat1khau2dai"


async def test_redis_requires_the_password_and_writes_nothing_to_disk(tmp_path: Path) -> None:
    document = loaded(compose_tools(), (ROOT / "docs/compose/servers.yml").read_text(encoding="utf-8"))
    program, flag, text = document["services"]["redis"]["command"]
    port = free_port()
    text = text.replace("$$", "$").replace('save ""', f'save ""\nport {port}\nbind 127.0.0.1')
    environment = {"REDIS_PASSWORD": PASSWORD}
    server = Process("redis", [program, flag, text], log=tmp_path / "log", folder=tmp_path, environment=environment)

    def answers() -> bool:
        connect(f"127.0.0.1:{port}")
        return True

    try:
        server.ready(answers)
        with pytest.raises(AuthenticationError):
            await Redis(port=port).ping()
        client = Redis(port=port, password=PASSWORD)
        assert await client.ping()
        wanted = {"save": "", "maxmemory": str(64 * 2**20), "maxmemory-policy": "volatile-ttl"}
        assert {name: (await client.config_get(name))[name] for name in wanted} == wanted
        await client.aclose()
        command = Path(f"/proc/{server.pid}/cmdline").read_text()
        assert command.startswith("redis-server"), "the shell is replaced, so that Redis itself gets the signal to stop"
        assert PASSWORD not in command
    finally:
        assert server.terminate(10) == 0
    assert not list(tmp_path.glob("*.rdb"))
