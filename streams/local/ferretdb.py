"""The Mongo-protocol server: FerretDB, embedded in `ferretdb/main.go`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streams.local.go_build import GoProgram

SOURCES = Path(__file__).with_name("ferretdb")


def server_binary(tell: Callable[[str], None] = print, cache: Path | None = None, sources: Path = SOURCES) -> Path:
    """The server's binary for these sources; built when the cache has none. Raises `NotReady`."""
    return GoProgram("ferretdb", "the Mongo-protocol server", 100, sources).binary(tell, cache)
