"""The real servers with a proxy in front of each, and the settings with which a worker goes through them.

Judge and points of sale go straight to the servers; Connect has proxies of its own.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import redis

from streams.local.processes import free_port
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka, Way
from streams.local.real.postgres import Postgres
from streams.local.real.stack import RealStack
from streams.local.real.toxiproxy import Proxy, Toxiproxy, proxy_binary
from streams.local.servers import Server
from streams.local.simulator.control import Control
from streams.local.stack import Capture
from tests.harness.chaos.planted import Planted
from tests.harness.chaos.schedule import LEASE_GRACE
from tests.harness.chaos.workers import Workers

QUICK = {
    "RETRY_DELAYS": "[1, 1, 2]",
    "LINES_RETRY_DELAY": "1",
    "LINES_TIMEOUT": "12",
    "SWEEP_AFTER": "3",
    "SETTLE_AFTER_OUTAGE": "2",
    "LOGIN_RETRY_DELAY": "5",
    "API_CONNECT_TIMEOUT": "2",
    "ATTEMPT_DEADLINE": "4",
    "LEASE_GRACE": str(LEASE_GRACE),
    "SALES_DB_TIMEOUT": "4",
    "KAFKA_SESSION_TIMEOUT": "6",
    "GATE_LONGEST_PAUSE": "4",
    "DRAIN_TIMEOUT": "10",
    "WATCHDOG_AFTER": "120",
    "LOG_LEVEL": "debug",
}
"""Doubt is settled in seconds instead of minutes; what is promised is measured by these very times."""


class ChaosStack(RealStack):
    """Its servers lose nothing that they confirmed when they are killed."""

    def __init__(self, state: Path, tell: Callable[[str], None], capture: Capture = "cdc") -> None:
        super().__init__(state, latency_ms=20, tell=tell, capture=capture)
        self.links: dict[str, Proxy] = {}
        """The workers' way to each server, by its name."""
        self.capture: list[Proxy] = []
        """Connect's: to Kafka and to the sales database."""
        self.toxiproxy = Toxiproxy(Path(tempfile.gettempdir()), proxy_binary(tell))  # its folder comes with the run's

    def _start_servers(self, cleanup: ExitStack) -> None:
        super()._start_servers(cleanup)
        proxy = self.toxiproxy.proxy
        self.links["sql"] = proxy("sql", self.postgres.address)
        self.links["redis"] = proxy("redis", self.valkey.address)
        self.links["mongo"] = proxy("mongo", self.mongo.address)
        self.links["api"] = proxy("api", self.simulator.address)
        self.capture.append(proxy("sql-of-connect", self.postgres.address))

    def _make_kafka(self, fetched: Jars) -> Kafka:
        # Before the broker, which has to know the addresses that its clients are told.
        self.toxiproxy.folder = self.folder
        self._cleanup_later(self.toxiproxy)
        self.toxiproxy.start()
        ways = []
        for name in ("workers", "connect"):
            listens = f"127.0.0.1:{free_port()}"
            made = self.toxiproxy.proxy(f"kafka-of-{name}", listens)
            ways.append(Way(name.upper(), listens, made.address))
            if name == "workers":
                self.links["kafka"] = made
            else:
                self.capture.append(made)
        return Kafka(self.folder, fetched, ways=ways)

    def _make_postgres(self) -> Postgres:
        # A kill of the process loses nothing that it handed to the system; of the system nobody is afraid here.
        return Postgres(self.folder, {"synchronous_commit": "on", "fsync": "off"})

    @property
    def kafka_of_connect(self) -> str:
        return self.capture[0].address

    @property
    def postgres_of_connect(self) -> str:
        return self.capture[1].address

    @property
    def of_workers(self) -> Mapping[str, str]:
        """Settings that lead through the proxies."""
        direct = self.environment["SALES_DB_DSN"]
        port, way = (address.rpartition(":")[2] for address in (self.postgres.address, self.links["sql"].address))
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.links["kafka"].address,
            "SALES_DB_DSN": direct.replace(f"Port={port};", f"Port={way};"),
            "REDIS_URL": f"redis://{self.links['redis'].address}/0",
            "MONGO_URL": f"mongodb://{self.links['mongo'].address}/",
            "NATIONAL_API_URL": f"http://{self.links['api'].address}",
        }

    def _cleanup_later(self, server: Server) -> None:
        self._last.callback(server.stop)

    def __enter__(self) -> Self:
        self._last = ExitStack()
        try:
            return super().__enter__()
        except BaseException:
            self._last.close()
            raise

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(None, None, None)
        finally:
            self._last.close()


_RUBBISH = (
    b"\xff\xfe",
    b"[" * 15_000,
    b'{"token": "a\\r\\nX-Forged: yes", "until": 9e12}',
    b'{"token": 7, "until": NaN}',
    b'{"refused": true, "until": 9e12}',
    b"x" * 1_000_000,
    None,
)
"""Instead of a token; None: a value of another type."""


class World:
    """What the faults are done to."""

    def __init__(self, stack: ChaosStack, control: Control, seed: int, tell: Callable[[str], None]) -> None:
        self.stack = stack
        self.control = control
        self.seed = seed
        self.planted = Planted()
        self.tell = tell
        self.tokens: set[str] = set()
        """That were seen in Redis: they may stand nowhere else."""
        self.workers = Workers(stack, QUICK | dict(stack.of_workers), tell)

    def link(self, name: str) -> Proxy:
        return self.stack.links[name]

    def note_tokens(self) -> None:
        url = self.stack.environment["REDIS_URL"]
        with redis.Redis.from_url(url, socket_timeout=2) as client, suppress(redis.RedisError):
            for key in client.scan_iter("*:token:*"):
                with suppress(ValueError, TypeError, KeyError, RecursionError):  # it ran out meanwhile, or is rubbish
                    token = json.loads(client.get(key) or b"{}")["token"]
                    self.tokens |= {token} if isinstance(token, str) else set()

    def spoil_tokens(self, rng: random.Random) -> int:
        """Replace the tokens of so many shops."""
        url = self.stack.environment["REDIS_URL"]
        try:
            with redis.Redis.from_url(url, socket_timeout=2) as client:
                keys = list(client.scan_iter("*:token:*"))
                for key in keys:
                    client.delete(key)
                    if (rubbish := rng.choice(_RUBBISH)) is None:
                        client.rpush(key, "no text")
                    else:
                        client.set(key, rubbish, ex=60)
                return len(keys)
        except redis.RedisError:
            return 0

    async def up(self, server: Server) -> None:
        """Start it again, and wait until it serves."""
        server.launch()  # in this thread, whose end would be the server's
        await asyncio.to_thread(server.wait)
