"""Redis from Debian. Valkey was made from it and takes the same options."""

from __future__ import annotations

import shutil
from pathlib import Path

from streams.local.debian import PackagesMissing
from streams.local.servers import Valkey

PACKAGES = ("redis-server",)


class Redis(Valkey):
    name = "redis"

    def binary(self) -> str | Path:
        """Raises `PackagesMissing`."""
        found = shutil.which("redis-server")
        if found is None:
            raise PackagesMissing("no redis-server in PATH: install the package redis-server")
        return found
