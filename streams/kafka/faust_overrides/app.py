"""The Faust app of a worker: it starts its web server first, then waits for the broker and its topics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class WaitForBroker(Service):
    """Waits for the broker and its topics, and reports that as an outage. Faust itself exits when no broker answers at
    its start; a service that runs for months has to wait. The service counts as started once both are available.
    """

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        super().__init__()
        self._needed = topics
        self._servers = settings.kafka_bootstrap_servers
        self._options = aiokafka_options(settings)
        self._deploy = deploy_command(settings)
        self._outage = OUTAGES.reporter(
            "kafka", "start Kafka, or correct KAFKA_BOOTSTRAP_SERVERS and the security settings"
        )

    async def on_start(self) -> None:
        with self._outage:
            await retry(self._check, (KafkaError, OSError, TopicsMissing), Backoff(1, 10), self._report)

    async def _check(self) -> None:
        client = AIOKafkaClient(**self._options)
        try:
            await client.bootstrap()
            await client.set_topics(self._needed)
            missing = [topic for topic in self._needed if not client.cluster.partitions_for_topic(topic)]
        finally:
            await client.close()
        if missing:
            raise TopicsMissing(missing)

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


class WebServerFirst(BootStrategy):
    """Starts the web server first, so that a worker that waits for Kafka can report what it waits for."""

    def server(self) -> Iterable[ServiceT]:
        app = self.app
        assert isinstance(app, PipelineApp)  # noqa: S101
        return self._chain(
            self.sensors(),
            self.web_server(),
            [*app.early, app.broker_wait],
            self.kafka_producer(),
            self.kafka_consumer(),
            self.agents(),
            self.kafka_conductor(),
            self.tables(),
        )


class PipelineApp(faust.App):
    """The Faust app with a bounded web server and a transport that survives broker outages."""

    BootStrategy = WebServerFirst

    def __init__(self, settings: Settings, topics: Sequence[str], **options: Any) -> None:
        """`topics`: the topics that must exist before anything starts."""
        super().__init__(settings.deployment, **options)
        self.early: list[ServiceT] = []
        """Services that are started before the wait for Kafka."""
        self.broker_wait = WaitForBroker(settings, topics)

    def _new_web(self) -> BoundedWeb:
        return BoundedWeb(self)

    def _new_transport(self) -> TransportT:
        return ResilientTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> TransportT:
        return ResilientTransport(self.conf.broker_producer, self)
