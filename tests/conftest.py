"""Starts real servers once for every suite that needs them, with databases, topics and names for each test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from streams.local.ferretdb import server_binary
from streams.local.processes import free_port
from streams.local.real.connect import Connect
from streams.local.real.java import Jars, jars
from streams.local.real.kafka import Kafka
from streams.local.real.postgres import Postgres
from streams.local.real.redis import Redis
from streams.local.servers import Mongo
from streams.stores.odbc_driver import DriverMissing
from tests.tsql_server import DSN, NONE_NAMED, NoServer, TsqlServer

# A shell starts its background jobs, as the gate starts parts of a suite, with SIGINT ignored, and whatever a test
# starts inherits that: a Ctrl-C that a test gives would never arrive.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that does something else beside makes any single example slow; how many there are bounds the time.
# Pythons beside the main one draw fewer: `.ci/other-pythons`.
_EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "100"))
settings.register_profile("shared machine", deadline=None, max_examples=_EXAMPLES)
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def fetched() -> Jars:
    return jars()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def tsql_server(request: pytest.FixtureRequest) -> Iterator[TsqlServer]:
    """Yield the server that TEST_TSQL_DSN names. One that cannot be used ends the run: a test for each row of the
    contract would say the same.
    """
    if not DSN:
        pytest.skip(NONE_NAMED)
    try:
        server = TsqlServer(DSN)
    except (NoServer, DriverMissing) as reason:
        pytest.exit(str(reason), returncode=2)
    with server:
        yield server
        rights = server.no_worker and f"; no login of the worker's own: {server.no_worker}"
        request.config.stash[_TSQL] = f"T-SQL server: {server.version}{rights}"


@pytest.fixture(scope="session")
def mongo_on_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    postgres.create("journals", owner="mongo")
    store = postgres.url("mongo", "journals")
    with Mongo(tmp_path_factory.mktemp("mongo"), server_binary(), "postgresql", store) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(fetched: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("kafka"), fetched) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka: Kafka) -> str:
    return kafka.address


@pytest.fixture(scope="session")
def connect(kafka: Kafka, fetched: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connect]:
    folder = tmp_path_factory.mktemp("connect")
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "debezium_password").write_text("mat-khau-debezium")
    # What production's configuration takes from the environment; nobody listens there.
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
        "PHARMACY_DB_HOST": "127.0.0.1",
        "PHARMACY_DB_PORT": str(free_port()),
        "PHARMACY_DB_NAME": "chain",
        "PHARMACY_DB_USER": "pharmacy_debezium",
        "PHARMACY_DB_TRUST_CERTIFICATE": "false",
    }
    with Connect(folder, fetched, kafka.address, secrets, environment) as server:
        yield server


@pytest.fixture(scope="session")
def connect_url(connect: Connect) -> str:
    return connect.url


_REAL = {"postgres", "mongo_on_postgres", "redis_server", "fetched", "real_stack", "shared_real_stack", "tsql_server"}
"""Whoever uses one of these runs on a real server."""
_RAN = pytest.StashKey[int]()
_TSQL = pytest.StashKey[str]()


@pytest.fixture(autouse=True)
def _counted(request: pytest.FixtureRequest) -> Iterator[None]:
    yield  # by now it is known which servers a parameter chose
    if _REAL.intersection(request.fixturenames):
        request.config.stash[_RAN] = request.config.stash.get(_RAN, 0) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how many tests ran on real servers; `.ci/suites` adds the suites up."""
    ran = config.stash.get(_RAN, 0)
    terminalreporter.write_line(f"on real servers: {ran} tests")
    if not DSN:
        terminalreporter.write_line(NONE_NAMED)
    elif said := config.stash.get(_TSQL, None):
        terminalreporter.write_line(said)
    if counts := os.environ.get("REAL_SERVER_COUNTS"):
        with Path(counts).open("a") as file:
            file.write(f"{ran}\n")
