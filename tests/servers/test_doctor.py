"""`doctor` on real servers: one set-up that is well, and the same broken in one place each time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner

from streams.documents import KINDS
from streams.local.processes import free_port
from streams.local.real.connect import Connect
from streams.local.real.kafka import Kafka
from streams.local.real.postgres import Postgres
from streams.local.real.redis import Redis
from streams.local.servers import Mongo, Simulator
from streams.operators.doctor import doctor
from streams.settings import Settings
from tests.servers.deployment import Deployment

DATABASE = "examined"


@dataclass
class SetUp:
    """That is well, until a test breaks it."""

    settings: dict[str, str]
    postgres: Postgres
    connector: Deployment

    def sql(self, statement: str) -> None:
        with closing(self.postgres.connect(DATABASE)) as owner:
            owner.execute(statement)

    def connect(self, method: str, path: str) -> None:
        httpx.request(method, f"{self.connector.connect_url}/connectors/{self.connector.name}{path}", timeout=30)

    def produce(self, topic: str, count: int) -> None:
        async def send() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self.settings["KAFKA_BOOTSTRAP_SERVERS"]) as producer:
                for _ in range(count):
                    await producer.send_and_wait(topic, b"{}")

        asyncio.run(send())

    def doctor(self, *options: str) -> tuple[int, list[dict[str, str]]]:
        """Exit code and findings."""
        settings = Settings(_env_file=None, **{name.lower(): value for name, value in self.settings.items()})  # type: ignore[arg-type]
        result = CliRunner().invoke(
            doctor(settings, KINDS), ["--json", "--name", self.connector.name, "--lag", "50", *options]
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, json.loads(result.stdout)["findings"]

    def settled(self, *options: str) -> tuple[int, list[dict[str, str]]]:
        """Once Kafka Connect has done what it was told."""
        for _ in range(60):
            code, found = self.doctor(*options)
            if not any("UNASSIGNED" in f["what"] or "no tasks" in f["what"] for f in found):
                break
        return code, found


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("api"), 1) as server:
        yield server


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Postgres:
    postgres.create_sales_database(DATABASE)
    return postgres


@pytest.fixture
def well(
    database: Postgres,
    kafka: Kafka,
    connect: Connect,
    redis_server: Redis,
    mongo_on_postgres: Mongo,
    simulator: Simulator,
    tmp_path: Path,
) -> Iterator[SetUp]:
    database.empty_sales_database(DATABASE)
    connector = Deployment(connect.url, kafka.address, tmp_path)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
        "SALES_CHANGE_TOPIC": connector.change_topic,
        "APP_ID": connector.name,
        "CONNECT_URL": connect.url,
        "SALES_DB_DSN": database.dsn("worker", DATABASE),
        "REDIS_URL": f"redis://{redis_server.address}/0",
        "MONGO_URL": f"mongodb://{mongo_on_postgres.address}/",
        "NATIONAL_API_URL": f"http://{simulator.address}",
        "WEB_PORT": str(free_port()),
    }
    set_up = SetUp(settings, database, connector)
    assert connector.deploy().code == 0
    yield set_up
    connector.delete()


def errors(found: list[dict[str, str]]) -> list[dict[str, str]]:
    return [finding for finding in found if finding["level"] == "error"]


def test_nothing_is_wrong_with_what_is_well(well: SetUp) -> None:
    code, found = well.settled()
    assert errors(found) == []
    assert code == 0
    assert {f["about"] for f in found if f["level"] == "skipped"} == {"change data capture"}
    good = {f["about"] for f in found if f["level"] == "ok"}
    assert good >= {"sales database", "sales database: rights", "sales database: indexes", "Kafka", "Redis", "MongoDB"}
    assert good >= {"national API", f"connector {well.connector.name}", f"Kafka topic {well.connector.change_topic}"}
    assert well.doctor("--strict")[0] == 1, "no worker runs: a warning"


@dataclass(frozen=True)
class Broken:
    name: str
    how: Callable[[SetUp], None]
    about: str
    what: str
    remedy: str
    level: str = "error"
    options: tuple[str, ...] = field(default=())


def setting(name: str, value: Callable[[str], str]) -> Callable[[SetUp], None]:
    def change(set_up: SetUp) -> None:
        set_up.settings[name] = value(set_up.settings.get(name, ""))

    return change


def sql(statement: str) -> Callable[[SetUp], None]:
    return lambda set_up: set_up.sql(statement)


def nowhere(_: str) -> str:
    return f"127.0.0.1:{free_port()}"


GRANTS = "40_logins.sql again"
BROKEN = [
    Broken(
        "the database is unreachable",
        setting("SALES_DB_DSN", lambda dsn: dsn.replace("Port=", "Port=1")),
        "sales database",
        "cannot be reached",
        "correct Server",
    ),
    Broken(
        "its password is wrong",
        setting("SALES_DB_DSN", lambda dsn: dsn.replace("PWD=", "PWD=x")),
        "sales database",
        "is reached, but does not let us in",
        "Correct UID, PWD",
    ),
    Broken(
        "dbo.SaleSync is missing",
        sql("DROP TABLE dbo.SaleSync"),
        "sales database: table dbo.SaleSync",
        "is missing",
        "Run connectors/sql/sale_sync.sql",
    ),
    Broken(
        "dbo.SaleAction is missing",
        sql("DROP TABLE dbo.SaleAction"),
        "sales database: table dbo.SaleAction",
        "is missing",
        "Run connectors/sql/sale_action.sql",
    ),
    Broken(
        "a column is missing",
        sql("ALTER TABLE dbo.SaleSync DROP COLUMN tries"),
        "sales database: table dbo.SaleSync",
        "has no column tries",
        "Run connectors/sql/sale_sync.sql again",
    ),
    Broken(
        "an index is missing",
        sql("DROP INDEX dbo.IX_SalesInvoices_status_updated"),
        "sales database: indexes",
        "none of dbo.SalesInvoices begins with status, updated_at",
        "Run connectors/sql/30_indexes.sql",
        "warning",
    ),
    Broken(
        "the rows may not be written",
        sql("REVOKE UPDATE (status) ON dbo.SalesInvoices FROM worker"),
        "sales database: rights",
        "no UPDATE on dbo.SalesInvoices (status)",
        GRANTS,
    ),
    Broken(
        "the accounts may not be read",
        sql("REVOKE SELECT ON dbo.AccountShop FROM worker"),
        "sales database: table dbo.AccountShop",
        "may not read",
        GRANTS,
    ),
    Broken(
        "a topic is missing",
        setting("SALES_CHANGE_TOPIC", lambda _: "never.chain.dbo.SalesInvoices"),
        "Kafka topic never.chain.dbo.SalesInvoices",
        "is missing",
        "connectors deploy",
    ),
    Broken(
        "a topic has too few partitions",
        setting("TOPIC_PARTITIONS", lambda _: "64"),
        "Kafka topic sale-retry",
        "TOPIC_PARTITIONS says 64",
        "Set TOPIC_PARTITIONS=",
        "warning",
    ),
    Broken(
        "the broker is unreachable",
        setting("KAFKA_BOOTSTRAP_SERVERS", nowhere),
        "Kafka",
        "no proper answer",
        "KAFKA_BOOTSTRAP_SERVERS",
    ),
    Broken(
        "the workers are behind",
        lambda set_up: set_up.produce(set_up.connector.change_topic, 51),
        "Kafka group ",
        " events behind",
        "whether a worker runs",
        "warning",
    ),
    Broken(
        "dead letters lie there",
        lambda set_up: set_up.produce("sale-dead-letter", 1),
        "Kafka sale-dead-letter",
        "could not be read",
        "replay",
        "warning",
    ),
    Broken(
        "the connector is not deployed",
        lambda set_up: set_up.connector.delete(),
        "connector ",
        "is not deployed",
        "connectors deploy",
    ),
    Broken(
        "the connector is paused",
        lambda set_up: set_up.connect("PUT", "/pause"),
        "connector ",
        "is paused",
        "/resume",
    ),
    Broken(
        "Kafka Connect is unreachable",
        setting("CONNECT_URL", lambda _: f"http://{nowhere('')}"),
        "Kafka Connect",
        "cannot be reached",
        "CONNECT_URL",
    ),
    Broken(
        "Redis is away",
        setting("REDIS_URL", lambda _: f"redis://{nowhere('')}"),
        "Redis",
        "cannot be reached",
        "REDIS_URL",
    ),
    Broken(
        "MongoDB is away",
        setting("MONGO_URL", lambda _: f"mongodb://{nowhere('')}/?serverSelectionTimeoutMS=500"),
        "MongoDB",
        "cannot be reached",
        "MONGO_URL",
    ),
    Broken(
        "the national API is unreachable",
        setting("NATIONAL_API_URL", lambda _: f"http://{nowhere('')}"),
        "national API",
        "cannot be reached (unreachable)",
        "NATIONAL_API_URL",
    ),
    Broken(
        "a shop's log-in is refused",
        sql("INSERT INTO dbo.AccountShop VALUES ('SHOP-1', 'P', 'nobody', 'wrong', 'Shop', 1)"),
        "log-in of shop SHOP-1",
        "login_refused",
        "AccountShop",
        options=("--log-in", "SHOP-1"),
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_what_is_broken_is_named_with_its_remedy(well: SetUp, broken: Broken) -> None:
    broken.how(well)
    code, found = _until_seen(well, broken)
    [finding] = [f for f in found if f["level"] == broken.level and f["about"].startswith(broken.about)]
    assert broken.what in finding["what"]
    assert broken.remedy in finding["remedy"]
    assert len(errors(found)) == (broken.level == "error"), "and nothing else"
    assert code == (broken.level == "error")
    assert well.postgres.password("worker") not in json.dumps(found)


def _until_seen(well: SetUp, broken: Broken) -> tuple[int, list[dict[str, str]]]:
    """Kafka Connect takes a pause over in its own time."""
    for _ in range(30):
        code, found = well.settled(*broken.options)
        if any(f["level"] == broken.level and f["about"].startswith(broken.about) for f in found):
            break
    return code, found
