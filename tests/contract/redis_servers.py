"""What a test needs of servers that speak Redis' protocol."""

from __future__ import annotations

from pydantic import SecretStr

from streams.local.servers import Valkey


def url_of(server: Valkey) -> SecretStr:
    return SecretStr(f"redis://{server.address}/0")
