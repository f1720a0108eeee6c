"""Servers that speak Redis' protocol, for every suite: Valkey, which the local stack has, and Redis."""

from __future__ import annotations

import asyncio
import ctypes
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest
import uvloop

from streams.local.servers import Valkey
from tests.tsql_server import TSQL

collect_ignore = [] if TSQL else ["test_scripts_on_tsql.py"]


def pytest_asyncio_loop_factories(config: pytest.Config) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The worker's own loop: what its errors prove is part of the contract."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(params=["valkey", "redis_server"])
def redis_or_valkey(request: pytest.FixtureRequest) -> Valkey:
    chosen: Valkey = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def mortal(redis_or_valkey: Valkey, tmp_path: Path) -> Iterator[Valkey]:
    """Yield another server of that sort, for a test to stop and start."""
    with type(redis_or_valkey)(tmp_path) as server:
        yield server


@pytest.fixture(params=["fast", "compatible"])
def national_api_transport(request: pytest.FixtureRequest) -> str:
    """Both ways of speaking HTTP to the national API. What each proves is the same."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="session")
def driver() -> Path:
    """Microsoft's, as the wheel brings it; their own package puts it elsewhere."""
    arch = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    folder = Path(import_module("mssql_python_odbc").get_libs_dir()) / "linux" / "debian_ubuntu" / arch / "lib"
    (path,) = folder.glob("libmsodbcsql-*.so*")
    try:
        ctypes.CDLL(str(path))
    except OSError as missing:  # the driver manager would say "file not found", and not of which
        pytest.fail(f"{missing}. Debian has what it needs in: libgssapi-krb5-2, libltdl7, libssl3, libstdc++6")
    return path
