"""The Faust app of a worker: it starts its web server first, then waits for the broker and its topics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import faust
import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from faust.app.base import BootStrategy
from faust.types import TransportT
from mode import Service
from mode.types import ServiceT

from streams.kafka.connection import aiokafka_options
from streams.kafka.faust_overrides.transport import ResilientTransport
from streams.kafka.topics import deploy_command
from streams.runtime.outages import OUTAGES
from streams.runtime.retrying import Backoff, retry
from streams.runtime.web_server import BoundedWeb
from streams.settings import Settings

log = structlog.get_logger(__name__)


class TopicsMissing(Exception):
    """Topics do not exist yet. A consumer that subscribes to a topic before it exists notices it minutes later, without
    saying why.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__(", ".join(topics))


class BrokerWait:
    """Waits for the broker and its topics, and reports that as an outage. Faust itself exits when no broker answers at
    its start; a service that runs for months has to wait.
    """

    def __init__(self, settings: Settings) -> None:
        self._servers = settings.kafka_bootstrap_servers
        self._options = aiokafka_options(settings)
        self._deploy = deploy_command(settings)
        self._outage = OUTAGES.reporter(
            "kafka", "start Kafka, or correct KAFKA_BOOTSTRAP_SERVERS and the security settings"
        )

    async def until_there(self, topics: Sequence[str], optional: Sequence[str] = ()) -> list[str]:
        """Wait for the broker and `topics`. Return which of `optional` do not exist."""
        with self._outage:
            return await retry(
                lambda: self._check(topics, optional),
                (KafkaError, OSError, TopicsMissing),
                Backoff(1, 10),
                self._report,
            )

    async def _check(self, topics: Sequence[str], optional: Sequence[str]) -> list[str]:
        client = AIOKafkaClient(**self._options)
        try:
            await client.bootstrap()
            await client.set_topics(topics)
            missing = [topic for topic in topics if not client.cluster.partitions_for_topic(topic)]
            # A request for all topics: one that names a topic would create it, where brokers do so by themselves.
            existing = (await client.fetch_all_metadata()).topics() if optional else ()
        finally:
            await client.close()
        if missing:
            raise TopicsMissing(missing)
        return [topic for topic in optional if topic not in existing]

    def _report(self, error: Exception, tries: int) -> None:
        if isinstance(error, TopicsMissing):
            self._outage.report(f"topics are missing: {error}; create them: {self._deploy}")
            log.warning(
                "kafka.topics_missing",
                topics=str(error),
                tries=tries,
                action=f"create them: {self._deploy}",
            )
            return
        self._outage.report("no broker answers, or it refuses the log-in")
        log.warning(
            "kafka.waiting",
            servers=self._servers,
            tries=tries,
            action="start Kafka, or correct KAFKA_BOOTSTRAP_SERVERS and the security settings of the connection",
        )


class Preparation(Service):
    """A service that counts as started once `prepare` has returned."""

    def __init__(self, prepare: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._prepare = prepare

    async def on_start(self) -> None:
        await self._prepare()


async def _nothing() -> None:
    """Wait for nothing."""


class WebServerFirst(BootStrategy):
    """Starts the web server first, so that a worker that waits for Kafka can report what it waits for."""

    def server(self) -> Iterable[ServiceT]:
        app = self.app
        assert isinstance(app, PipelineApp)  # noqa: S101
        return self._chain(
            self.sensors(),
            self.web_server(),
            [*app.early, Preparation(app.prepare)],
            self.kafka_producer(),
            self.kafka_consumer(),
            self.agents(),
            self.kafka_conductor(),
            self.tables(),
        )


class PipelineApp(faust.App):
    """The Faust app with a bounded web server and a transport that survives broker outages."""

    BootStrategy = WebServerFirst

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(settings.deployment, **options)
        self.early: list[ServiceT] = []
        """Services that are started before `prepare`."""
        self.prepare: Callable[[], Awaitable[None]] = _nothing
        """Waits for what has to be there before anything reads from Kafka."""

    def _new_web(self) -> BoundedWeb:
        return BoundedWeb(self)

    def _new_transport(self) -> TransportT:
        return ResilientTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> TransportT:
        return ResilientTransport(self.conf.broker_producer, self)
