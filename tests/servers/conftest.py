from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.local.real.connect import Connect
from streams.local.real.kafka import Kafka
from streams.local.real.postgres import Postgres
from streams.local.real.redis import Redis
from streams.local.real.stack import RealStack
from streams.local.servers import Mongo, Simulator
from tests.certificates import self_signed
from tests.servers.examined import Servers


@pytest.fixture
def real_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    """Run a stack for one test."""
    with RealStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack


@pytest.fixture(scope="module")
def shared_real_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    """Run one stack for all tests of a module, each of which leaves everything decided and looks at its own sales."""
    with RealStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack


@pytest.fixture(scope="session")
def servers(
    postgres: Postgres,
    kafka: Kafka,
    connect: Connect,
    redis_server: Redis,
    mongo_on_postgres: Mongo,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Servers]:
    with Simulator(tmp_path_factory.mktemp("api"), 1) as simulator:
        yield Servers(postgres, kafka, connect, redis_server, mongo_on_postgres, simulator)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests with real servers more time, because servers start and settle within a test."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a self-signed certificate of localhost, and the broker's ``keystore.pem`` next to it."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = self_signed(folder, "localhost")
    (folder / "keystore.pem").write_text(key.read_text() + certificate.read_text())
    return certificate
