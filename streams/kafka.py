"""Kafka: settings in the forms that Faust and aiokafka take them, waiting for the broker, sending for sure."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import faust
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.helpers import create_ssl_context
from faust import SASLCredentials, SSLCredentials
from faust.app.base import BootStrategy
from faust.exceptions import ProducerSendError
from faust.types import TopicT, TransportT
from faust.types.auth import CredentialsT
from mode import Service
from mode.types import ServiceT
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from streams.cancelled import is_cancelled
from streams.documents.document import DocumentKind
from streams.faust_transport import PatientTransport
from streams.fetching import leave_out_what_a_broker_cannot_read
from streams.settings import Settings
from streams.unpacking import pass_over_what_cannot_be_unpacked
from streams.waits import WAITS
from streams.web_server import BoundedWeb

log = structlog.get_logger(__name__)

pass_over_what_cannot_be_unpacked()
leave_out_what_a_broker_cannot_read()


def faust_broker(settings: Settings) -> list[str]:
    return [f"kafka://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")]


def faust_credentials(settings: Settings) -> CredentialsT | None:
    context = _ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """For `AIOKafkaConsumer` and its like."""
    password = settings.kafka_sasl_password
    return {
        "bootstrap_servers": [server.strip() for server in settings.kafka_bootstrap_servers.split(",")],
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": _ssl_context(settings),
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
    }


METADATA_MAX_AGE_MS = 10_000
"""A broker that has just come back may not know its topics yet. The leader of a group that then assigns nobody
anything does so until it asks anew, five minutes later by default. Partitions that were added are seen as soon."""


async def partitions_of(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """As the broker has them now: some may have been added.

    aiokafka's own `topics()` forgets what it has heard of partitions, and who is neither subscribed nor assigned knows
    of none.
    """
    names = sorted(set(topics))
    await consumer._client.set_topics(names)
    await consumer._client.force_metadata_update()
    return [TopicPartition(name, number) for name in names for number in consumer.partitions_for_topic(name) or ()]


OWN_TOPICS = ("sale-retry", "sale-status", "sale-dead-letter")
"""Those that no connector writes."""


class TopicsMissing(Exception):
    """A consumer that subscribes to a topic before it is there sees it minutes later, and nobody knows why."""

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__(", ".join(topics))


class BrokerPatience(Service):
    """Faust ends when no broker answers at its start; a service that runs for months waits for it and for its topics,
    and says so. Starts once they are there."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        super().__init__()
        self._needed = topics
        self._servers = settings.kafka_bootstrap_servers
        self._options = aiokafka_options(settings)
        self._waiting = WAITS.waiting("kafka", "start Kafka, or correct KAFKA_BOOTSTRAP_SERVERS and what secures it")

    async def on_start(self) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((KafkaError, OSError, TopicsMissing)),
            wait=wait_exponential_jitter(multiplier=0.5, max=10, jitter=0.5),
            before_sleep=self._say,
        )
        with self._waiting:
            await retrying(self._look)

    async def _look(self) -> None:
        client = AIOKafkaClient(**self._options)
        try:
            await client.bootstrap()
            await client.set_topics(self._needed)
            missing = [topic for topic in self._needed if not client.cluster.partitions_for_topic(topic)]
        finally:
            await client.close()
        if missing:
            raise TopicsMissing(missing)

    def _say(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TopicsMissing):
            self._waiting.say(f"topics are missing: {error}; make them: faust -A streams.app connectors deploy")
            log.warning(
                "kafka.topics_missing",
                topics=str(error),
                tries=state.attempt_number,
                remedy="make them: faust -A streams.app connectors deploy",
            )
            return
        self._waiting.say("no broker answers, or it refuses the log-in")
        log.warning(
            "kafka.waiting",
            servers=self._servers,
            tries=state.attempt_number,
            remedy="start Kafka, or correct KAFKA_BOOTSTRAP_SERVERS and what secures the connection",
        )


class PatientBoot(BootStrategy):
    """The web server first, so that a worker which waits for Kafka can be asked what it waits for."""

    def server(self) -> Iterable[ServiceT]:
        app = self.app
        assert isinstance(app, PatientApp)  # noqa: S101
        return self._chain(
            self.sensors(),
            self.web_server(),
            [*app.early, app.patience],
            self.kafka_producer(),
            self.kafka_consumer(),
            self.agents(),
            self.kafka_conductor(),
            self.tables(),
        )


class PatientApp(faust.App):
    BootStrategy = PatientBoot

    def __init__(self, settings: Settings, topics: Sequence[str], **options: Any) -> None:
        """`topics`: that are to be there before anything starts."""
        super().__init__(settings.app_id, **options)
        self.early: list[ServiceT] = []
        """Started before Kafka is waited for."""
        self.patience = BrokerPatience(settings, topics)

    def _new_web(self) -> BoundedWeb:
        return BoundedWeb(self)

    def _new_transport(self) -> TransportT:
        return PatientTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> TransportT:
        return PatientTransport(self.conf.broker_producer, self)


def _ssl_context(settings: Settings) -> ssl.SSLContext | None:
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context: ssl.SSLContext = create_ssl_context(
        cafile=str(settings.kafka_ssl_cafile) if settings.kafka_ssl_cafile else None,
        certfile=str(settings.kafka_ssl_certfile) if settings.kafka_ssl_certfile else None,
        keyfile=str(settings.kafka_ssl_keyfile) if settings.kafka_ssl_keyfile else None,
    )
    return context


def change_topics(settings: Settings, kinds: Iterable[DocumentKind]) -> list[str]:
    """Of each kind's table: Debezium names them alike but for the table, which is the last part."""
    prefix = settings.sales_change_topic.rpartition(".")[0]
    return [f"{prefix}.{kind.table}" for kind in kinds]


class Outlets:
    """Where results go. Each returns when the broker has confirmed."""

    def __init__(self, statuses: TopicT, retries: TopicT, dead_letters: TopicT) -> None:
        self._statuses = statuses
        self._retries = retries
        self._dead_letters = dead_letters

    async def status(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        await _send(self._statuses, key, value, headers)

    async def retry(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        await _send(self._retries, key, value, headers)

    async def dead_letter(self, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
        await _send(self._dead_letters, key, value, headers)


async def _send(topic: TopicT, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
    """Past what Faust keeps of each message that is sent: it took half of the sending, and leaves a message pending
    whose sending was cancelled."""
    producer = await topic.app.maybe_start_producer()
    try:
        await (await producer.send(topic.get_topic_name(), key, value, None, None, dict(headers)))
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise KafkaError("the producer has given it up") from None
    except ProducerSendError as error:
        if isinstance(error.__cause__, MessageSizeTooLargeError):  # which never passes
            raise MessageSizeTooLargeError from None
        raise
