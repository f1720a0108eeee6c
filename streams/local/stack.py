"""A whole stack: every server, the sales database, and what a worker must be told to use them."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from confluent_kafka import Producer

from streams.documents import DOCUMENT_TYPES
from streams.local.broker import make_topics
from streams.local.database import SalesDatabase, SqliteDatabase
from streams.local.debian import Debian
from streams.local.feed import CapturedSchema
from streams.local.ferretdb import server_binary
from streams.local.processes import Process, free_port
from streams.local.servers import Broker, Feed, Mongo, Server, Simulator, Valkey

Capture: TypeAlias = Literal["cdc", "polling"]
CHANGE_TOPIC = "pharmacy.chain.dbo.SalesInvoices"
STATE_FOLDER = Path(__file__).parents[2] / ".local"
_RUNS_KEPT = 5


class AlreadyRunning(Exception):
    """Another stack is up with the same state folder."""


class Stack(ABC):
    """``with LocalStack() as stack:`` brings all servers up, each a process, and takes them down.

    Use it in a thread that outlives the stack: the servers die with the thread that started them.

    Raises `PackagesMissing`, `AlreadyRunning`, or `NotReady` with the last lines of the log of what did not start.
    """

    broker: Server
    database: SalesDatabase
    servers: Sequence[Server]
    """In the order in which they are started; they are stopped the other way round."""

    def __init__(
        self,
        state: Path = STATE_FOLDER,
        *,
        latency_ms: float = 50,
        tell: Callable[[str], None] = print,
        capture: Capture = "cdc",
    ) -> None:
        """`state`: the folder for the runs' files and `stack.env`. `latency_ms`: of the national API. `capture`: the
        workers' CAPTURE; with ``polling`` nothing captures changes."""
        self.polls = capture == "polling"
        self.state = state.resolve()
        self.folder = self.state / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        """Of this run: database, ledger, logs/."""
        self.environment: dict[str, str] = {}
        """Settings for a worker, by name."""
        self.valkey = Valkey(self.folder)
        self.simulator = Simulator(self.folder, latency_ms)
        self._tell = tell
        self._cleanup = ExitStack()

    @abstractmethod
    def _start_servers(self, cleanup: ExitStack) -> None:
        """All of them, and `broker`, `database` and `servers` are known; `cleanup` stops what was started."""

    @property
    @abstractmethod
    def particulars(self) -> Mapping[str, str]:
        """Settings for a worker that the other stack has otherwise."""

    @property
    def simulator_url(self) -> str:
        return f"http://{self.simulator.address}"

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            self._start(cleanup)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def start_worker(
        self, name: str = "worker", extra_environment: Mapping[str, str] | None = None, *, web_port: int | None = None
    ) -> Process:
        """A worker on this stack; returns without waiting. Stopped with the stack. Two must have two names."""
        port = str(web_port or free_port())
        worker = Process(
            name,
            [sys.executable, "-m", "faust", "-A", "streams.app", "worker", "-l", "info", "--web-port", port],
            log=self.folder / "logs" / f"{name}.log",
            environment={
                **self.environment,
                "WEB_PORT": port,
                **(extra_environment or {}),
            },
            folder=self.folder,  # where no .env lies that could name other servers
        )
        self._cleanup.callback(worker.terminate, 30)
        return worker

    def revive(self) -> None:
        """Starts again what has died. Raises `NotReady` where that fails, or where its memory died with it."""
        for server in self.servers:
            if not server.process.running:
                if not server.keeps:
                    server.process.ready(lambda: None, timeout=0)
                self._tell(f"{server.name} ended with exit code {server.process.exit_code}; starting it again")
                server.start()

    def _start(self, cleanup: ExitStack) -> None:
        self._start_servers(cleanup)
        self.environment = self._settings()
        self._publish(cleanup)

    def _take_state_folder(self, cleanup: ExitStack) -> None:
        self.folder.mkdir(parents=True)
        lock = cleanup.enter_context((self.state / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.folder.rmdir()
            raise AlreadyRunning(f"a local stack is up already in {self.state}: stop that one first") from None
        runs = sorted(folder for folder in self.state.glob("[0-9]*-[0-9]*-[0-9]*") if folder.is_dir())
        for old in runs[:-_RUNS_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _settings(self) -> dict[str, str]:
        return {
            "STACK": "local",
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.address,
            "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "REDIS_URL": f"redis://{self.valkey.address}/0",
            "MONGO_DATABASE": "pharmacy",
            "NATIONAL_API_URL": self.simulator_url,
            "SALES_CHANGE_TOPIC": CHANGE_TOPIC,
            # Samples have no till that is slow: what is late is soon looked at again.
            "LINES_RETRY_DELAY": "1",
            "LINES_TIMEOUT": "8",
            "LOG_FORMAT": "text",
            **({"CAPTURE": "polling"} if self.polls else {}),
            **self.database.settings,
            **self.particulars,
        }

    def _publish(self, cleanup: ExitStack) -> None:
        file = self.state / "stack.env"
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.environment.items())
        file.write_text(f"# The local stack that is running (pid {os.getpid()}).\n{text}")
        cleanup.callback(file.unlink, missing_ok=True)


class LocalStack(Stack):
    """Servers that need nothing but Python and two small Debian packages; SQLite, and a feed that stands in for CDC."""

    def __init__(
        self,
        state: Path = STATE_FOLDER,
        *,
        latency_ms: float = 50,
        tell: Callable[[str], None] = print,
        capture: Capture = "cdc",
    ) -> None:
        super().__init__(state, latency_ms=latency_ms, tell=tell, capture=capture)
        self.broker = Broker(self.folder)
        self._sqlite = SqliteDatabase(self.folder / "sales.db")
        self.database = self._sqlite

    def _start_servers(self, cleanup: ExitStack) -> None:
        Debian.here().provide(tell=self._tell)
        binary = server_binary(self._tell)
        self._take_state_folder(cleanup)
        self._sqlite.connect().close()
        self.mongo = Mongo(self.folder, binary)
        first = (self.broker, self.valkey, self.mongo, self.simulator)
        start_together(first, cleanup)
        self.servers = first
        if self.polls:
            captured = CapturedSchema.of_topic(CHANGE_TOPIC)
            make_topics(
                Producer({"bootstrap.servers": self.broker.address}),
                (captured.topic(each.table) for each in DOCUMENT_TYPES),
            )
        else:
            self.feed = Feed(self.folder, self._sqlite.file, self.broker.address, CHANGE_TOPIC)
            start_together([self.feed], cleanup)
            self.servers = (*first, self.feed)

    @property
    def particulars(self) -> Mapping[str, str]:
        return {
            "MONGO_URL": f"mongodb://{self.mongo.address}/",
            "TOPIC_PARTITIONS": "4",  # as many as the broker makes
        }


def start_together(servers: Sequence[Server], cleanup: ExitStack) -> None:
    for server in servers:
        cleanup.callback(server.remove)
        cleanup.callback(server.stop)
        server.launch()
    for server in servers:
        server.wait()
