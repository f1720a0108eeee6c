"""The peers that are measured: how each is started, how it gets its sales, and when a sale counts as published."""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

from celery import Celery

from streams.local.processes import Process
from streams.local.stack import CHANGE_TOPIC
from tests.harness.bench import celery_app
from tests.harness.bench.changes import Offsets
from tests.harness.bench.results import ALONE, OURS
from tests.harness.bench.servers import Servers, Sold

CONCURRENCY = 800
"""Sales in flight: places of the worker, as docs/sizing.md reckons them, and posts of the bare clients. A sale
keeps its place in the worker while it is read, claimed and told, too, so fewer are at the API at once. With 400 the
bare clients are as fast at 50 ms, and a sixth slower at 200."""
_REPOSITORY = Path(__file__).parents[3]


class Peer(ABC):
    name: str

    @abstractmethod
    def guess(self, latency_ms: float) -> float:
        """Estimate sales a second, and return how many make a run of the wanted length."""


class Roofline(Peer):
    """A bare client: no database, no Kafka."""

    client: ClassVar[str]
    most: ClassVar[float]

    def guess(self, latency_ms: float) -> float:
        return min(self.most, CONCURRENCY / max(latency_ms / 1000, 0.001))

    def start(self, servers: Servers, file: Path, concurrency: int = CONCURRENCY) -> Process:
        options = ["--url", servers.stack.simulator_url, "--concurrency", str(concurrency)]
        name = f"{self.client}-roofline"
        return keep_to_one(start(servers, name, "tests.harness.bench.roofline", self.client, str(file), *options))


class HttpxRoofline(Roofline):
    name = "httpx roofline"
    client = "httpx"
    most = 1000


class AiohttpRoofline(Roofline):
    name = "aiohttp roofline"
    client = "aiohttp"
    most = 1600


class PyreqwestRoofline(Roofline):
    name = "pyreqwest roofline"
    client = "pyreqwest"
    most = 1600


class Carrier(Peer):
    """Carries a sale from its row to the national API and back."""

    published_by: ClassVar[str]
    """What ends the latency of a sale."""
    waits_for_capture: ClassVar[bool] = False
    """Its sales come as change events."""
    sells_on: ClassVar[bool] = True
    """Sales that are made while it runs reach it, so their latency can be measured."""

    @contextmanager
    def at_work(self, servers: Servers) -> Iterator[None]:
        """Prepare what must be so from before its sales are made until it has stopped."""
        yield

    @abstractmethod
    def hand_over(self, servers: Servers, sold: Sold) -> None:
        """Give it the backlog before it starts."""

    def sold_one(self, id_: int) -> None:
        """Note that a point of sale has committed this sale while the peer runs."""

    @abstractmethod
    def start(self, servers: Servers) -> Process: ...

    @abstractmethod
    def published_ms(self, servers: Servers, sold: Sold, statuses_since: Offsets) -> Mapping[int, int]:
        """Return when each sale was published, in milliseconds since the epoch, once the peer has stopped."""

    def statuses(self, servers: Servers) -> Offsets:
        """Return how far its status topic is, if it has one."""
        return {}


class OnKafka(Carrier):
    group: ClassVar[str]
    status_topic: ClassVar[str]
    published_by = "message on its status topic"
    waits_for_capture = True

    def hand_over(self, servers: Servers, sold: Sold) -> None:
        servers.kafka.begin_at(self.group, CHANGE_TOPIC, servers.captured(sold).inserted())

    def statuses(self, servers: Servers) -> Offsets:
        return servers.kafka.ends(self.status_topic)

    def published_ms(self, servers: Servers, sold: Sold, statuses_since: Offsets) -> Mapping[int, int]:
        moments: dict[int, int] = {}
        for message in servers.kafka.read(self.status_topic, statuses_since):
            moments.setdefault(json.loads(message.value())["id"], message.timestamp()[1])
        return moments


class Worker(OnKafka):
    """Ours, one process."""

    name = OURS
    group = "pharmacy-sale-streams"
    status_topic = "sale-status"

    def guess(self, latency_ms: float) -> float:
        return 700

    def start(self, servers: Servers, name: str = "worker", *, processor: int = 0, **others: str) -> Process:
        """Start a process of the peer, which the caller stops."""
        settings = {
            "APP_ID": self.group,
            "MAX_IN_FLIGHT": str(CONCURRENCY),
            "MAX_IN_FLIGHT_PER_SHOP": str(CONCURRENCY),
            "LOG_LEVEL": "info",
            "LOG_FORMAT": "json",
            **others,
        }
        return keep_to_one(servers.stack.start_worker(name, settings), processor)


class WorkerAlone(Worker):
    """Our worker without the cost of what stands in here for servers that have machines of their own."""

    name = ALONE
    sells_on = False

    def __init__(self) -> None:
        self._cleanup = ExitStack()

    @contextmanager
    def at_work(self, servers: Servers) -> Iterator[None]:
        with self._cleanup:
            yield

    def start(self, servers: Servers, name: str = "worker", *, processor: int = 0, **others: str) -> Process:
        """Start a process of the peer, which the caller stops."""
        self._cleanup.enter_context(servers.without_stand_ins())
        return super().start(servers, name, processor=processor, **others)


class PlainFaust(OnKafka):
    """An agent that keeps no promise."""

    name = "plain faust"
    group = "bench-plain-faust"
    status_topic = "bench-plain-faust-status"

    def guess(self, latency_ms: float) -> float:
        return 250

    def start(self, servers: Servers) -> Process:
        servers.kafka.make(self.status_topic, int(servers.stack.environment["TOPIC_PARTITIONS"]))
        app = ("-A", "tests.harness.bench.plain_faust", "worker", "-l", "info", "--without-web")
        names = {"BENCH_GROUP": self.group, "BENCH_STATUSES": self.status_topic}
        return keep_to_one(start(servers, "plain-faust", "faust", *app, environment=names))


class CeleryPeer(Carrier):
    """The replaced design. It needs no change events, so Debezium does not run meanwhile."""

    published_by = "the row's update"

    def __init__(self, name: str, processes: int) -> None:
        self.name = name
        self._processes = processes
        self._point_of_sale: Celery | None = None

    def guess(self, latency_ms: float) -> float:
        return min(130.0, self._processes / (latency_ms / 1000 + 0.012))

    @contextmanager
    def at_work(self, servers: Servers) -> Iterator[None]:
        with servers.capture_stopped():
            self._point_of_sale = Celery("till", broker=self._redis(servers, 1))
            try:
                yield
            finally:
                self._point_of_sale.control.purge()
                self._point_of_sale.close()

    def hand_over(self, servers: Servers, sold: Sold) -> None:
        for id_ in sold.ids:
            self.sold_one(id_)

    def sold_one(self, id_: int) -> None:
        if self._point_of_sale is None:
            raise RuntimeError("there is no point of sale outside of at_work")
        self._point_of_sale.send_task(celery_app.SEND, args=[id_], ignore_result=True)

    def start(self, servers: Servers) -> Process:
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        app = ("-A", "tests.harness.bench.celery_app", "worker", "-l", "warning", "--pool", "prefork", *quiet)
        own = {celery_app.BROKER: self._redis(servers, 1), celery_app.TOKENS: self._redis(servers, 2)}
        name = self.name.replace(" ", "-")
        return start(servers, name, "celery", *app, "--concurrency", str(self._processes), environment=own)

    def published_ms(self, servers: Servers, sold: Sold, statuses_since: Offsets) -> Mapping[int, int]:
        return servers.captured(sold).updated_ms()

    def _redis(self, servers: Servers, number: int) -> str:
        return f"redis://{servers.stack.valkey.address}/{number}"


def start(
    servers: Servers, name: str, module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Process:
    """Start a process of the peer, which the caller stops."""
    stack = servers.stack
    return Process(
        name,
        [sys.executable, "-m", module, *arguments],
        log=stack.folder / "logs" / f"{name}.log",
        environment={**stack.environment, **(environment or {}), "PYTHONPATH": str(_REPOSITORY)},
        folder=stack.folder,
    )


def keep_to_one(process: Process, number: int = 0) -> Process:
    """`process`, just started: the threads that it makes keep to the same processor, one of those that we may use.

    So do all peers of one process: their threads wait for each other, across processors for longer."""
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(process.pid, {usable[number % len(usable)]})
    return process


_CORES = os.cpu_count() or 2
PEERS: tuple[Peer, ...] = (
    Worker(),
    WorkerAlone(),
    HttpxRoofline(),
    AiohttpRoofline(),
    PyreqwestRoofline(),
    CeleryPeer("celery", _CORES),
    CeleryPeer("celery x10", 10 * _CORES),
    PlainFaust(),
)
