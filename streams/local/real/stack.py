"""The stack of real servers: Apache Kafka, Connect with Debezium, PostgreSQL, Valkey, and FerretDB on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from streams.local.database import SalesDatabase, SqliteDatabase
from streams.local.debian import PACKAGES as LOCAL_PACKAGES
from streams.local.debian import Debian
from streams.local.ferretdb import server_binary
from streams.local.processes import Process
from streams.local.real import capture, postgres, redis
from streams.local.real.connect import Connect
from streams.local.real.java import Jars, jars, missing_packages
from streams.local.real.kafka import Kafka
from streams.local.real.postgres import Postgres, PostgresDatabase
from streams.local.servers import MODULE, Mongo
from streams.local.stack import STATE_FOLDER, Capture, Stack, start_together

DATABASE = "chain"


def provide(tell: Callable[[str], None] = print) -> tuple[Jars, Path]:
    """Installs, fetches and builds what the servers, those of the tests alone too, need: the jars, and FerretDB's
    binary.

    Raises `PackagesMissing` or `NotReady`.
    """
    debian = (*LOCAL_PACKAGES, *postgres.PACKAGES, *redis.PACKAGES, *missing_packages())
    Debian.here().provide(debian, tell=tell)
    return jars(tell), server_binary(tell)


class RealStack(Stack):
    def __init__(
        self,
        state: Path = STATE_FOLDER,
        *,
        latency_ms: float = 50,
        tell: Callable[[str], None] = print,
        capture: Capture = "cdc",
        captured: bool = True,
        partitions: int = 8,
        lasting: bool = False,
    ) -> None:
        """`captured`: from the start; else once `deploy` is called. `partitions`: of every topic. `lasting`: Kafka and
        Connect come to their full speed, in time."""
        super().__init__(state, latency_ms=latency_ms, tell=tell, capture=capture)
        self._captured = captured
        self._partitions = partitions
        self._lasting = lasting

    def _start_servers(self, cleanup: ExitStack) -> None:
        fetched, binary = provide(self._tell)
        fetched = replace(fetched, lasting=self._lasting)
        self._take_state_folder(cleanup)
        self.secrets = self.folder / "secrets"
        self.secrets.mkdir(mode=0o700)
        self.postgres = self._make_postgres()
        self.broker = self.kafka = self._make_kafka(fetched)
        start_together([self.postgres, self.kafka, self.valkey, self.simulator], cleanup)
        self.database = sales = self.postgres.create_sales_database(DATABASE)
        self._tills_dsn = sales.tills_dsn
        self.postgres.create("journal", owner="mongo")
        self.mongo = Mongo(self.folder, binary, "postgresql", self.postgres.url("mongo", "journal"))
        (self.secrets / "debezium_password").write_text(self.postgres.password("debezium"))
        self.servers = (self.postgres, self.kafka, self.valkey, self.simulator, self.mongo)
        if self.polls:
            start_together([self.mongo], cleanup)
            return
        self.connect = Connect(self.folder, fetched, self.kafka_of_connect, self.secrets)
        start_together([self.mongo, self.connect], cleanup)
        self.servers = (*self.servers, self.connect)

    def _make_postgres(self) -> Postgres:
        return Postgres(self.folder)

    def _make_kafka(self, fetched: Jars) -> Kafka:
        return Kafka(self.folder, fetched)

    @property
    def kafka_of_connect(self) -> str:
        """Where Connect goes for it."""
        return self.kafka.address

    @property
    def postgres_of_connect(self) -> str:
        return self.postgres.address

    def _start(self, cleanup: ExitStack) -> None:
        super()._start(cleanup)
        if self._captured:
            self.deploy()

    @property
    def particulars(self) -> Mapping[str, str]:
        return {
            "MONGO_URL": f"mongodb://{self.mongo.address}/",
            **({} if self.polls else {"CONNECT_URL": self.connect.url}),
            "TOPIC_PARTITIONS": str(self._partitions),
            "SAMPLE_TILLS_DSN": self._tills_dsn,  # not the worker's: the samples' own
        }

    def deploy(self) -> None:
        """Topics and connector, by the command that production uses. Raises `NotReady`."""
        if self.polls:
            self.faust("topics", "deploy")
            return
        file = self.folder / f"{capture.NAME}.json"
        file.write_text(json.dumps(capture.configuration(self.postgres_of_connect, DATABASE, self.secrets), indent=2))
        self.faust("connectors", "deploy", "--file", file)

    def forget_changes(self) -> None:
        """The connector is gone, and what is committed until it is deployed again is never captured: as with CDC when a
        connector was away for longer than the changes are kept. Raises `NotReady`."""
        self.connect.forget(capture.NAME)
        self.faust("connectors", "remove", "--yes")
        with closing(self.postgres.connect(DATABASE)) as owner:
            owner.execute("SELECT pg_drop_replication_slot('pharmacy')")

    def faust(self, command: str, *arguments: str | Path, settings: Mapping[str, str] | None = None) -> None:
        """Runs ``faust -A streams.app <command>``; `settings` come before the stack's. Raises `NotReady`, with what it
        said."""
        Process(
            f"faust {command}",
            [*MODULE, "faust", "-A", "streams.app", command, *arguments],
            log=self.folder / "logs" / f"{command}.log",
            environment={**self.environment, **(settings or {})},
            folder=self.folder,
        ).succeed(120)


def running_database(environment: Mapping[str, str | None]) -> SalesDatabase:
    """The one of the stack whose `stack.env` this is."""
    if dsn := environment.get("SAMPLE_TILLS_DSN"):
        return PostgresDatabase("the running PostgreSQL", dsn, {})
    return SqliteDatabase(Path(environment["SALES_DB_ATTACH"] or ""))
