"""A complete healthy set-up on real servers without a worker, for the commands that examine everything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer

from streams.documents import DOCUMENT_TYPES
from streams.local.processes import free_port
from streams.local.real.connect import Connect
from streams.local.real.kafka import Kafka
from streams.local.real.postgres import Postgres
from streams.local.real.redis import Redis
from streams.local.servers import Mongo, Simulator
from streams.operators.checks import Finding
from streams.operators.commands.doctor import examine
from streams.settings import Settings
from tests.servers.deployment import Deployment
from tests.support.right_settings import RIGHT


@dataclass
class Servers:
    postgres: Postgres
    kafka: Kafka
    connect: Connect
    redis: Redis
    mongo: Mongo
    simulator: Simulator


@dataclass
class SetUp:
    servers: Servers
    connector: Deployment
    settings: dict[str, str]

    async def findings(self, shop: str | None = None, connector: str | None = None, **changed: str) -> list[Finding]:
        values = {name.lower(): value for name, value in (self.settings | changed).items()}
        settings = Settings(_env_file=None, **values)  # type: ignore[arg-type]
        return await examine(
            settings, DOCUMENT_TYPES, connector=connector or self.connector.name, shop=shop, max_lag=50
        )

    def produce(self, topic: str, *values: bytes, headers: dict[str, bytes] | None = None) -> None:
        async def send() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self.servers.kafka.address) as producer:
                for value in values:
                    await producer.send_and_wait(topic, value, headers=list((headers or {}).items()))

        asyncio.run(send())

    def copy_of_database(self, name: str, *statements: str) -> str:
        """Return the DSN, for a worker, of a copy that its owner has changed so."""
        postgres = self.servers.postgres
        postgres.create_sales_database(name)
        with closing(postgres.connect(name)) as owner:
            for statement in statements:
                owner.execute(statement)
        return postgres.dsn("worker", name)


@contextmanager
def set_up(servers: Servers, folder: Path, database: str) -> Iterator[SetUp]:
    """Create the topics and start the connector."""
    servers.postgres.create_sales_database(database)
    connector = Deployment(servers.connect.url, servers.kafka.address, folder)
    settings = RIGHT | {
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka.address,
        "SALES_CHANGE_TOPIC": connector.change_topic,
        "APP_ID": connector.name,
        "CONNECT_URL": servers.connect.url,
        "SALES_DB_DSN": servers.postgres.dsn("worker", database),
        "REDIS_URL": f"redis://{servers.redis.address}/0",
        "MONGO_URL": f"mongodb://{servers.mongo.address}/",
        "NATIONAL_API_URL": f"http://{servers.simulator.address}",
        "WEB_PORT": str(free_port()),
    }
    assert connector.deploy().code == 0
    try:
        yield SetUp(servers, connector, settings)
    finally:
        connector.delete()
