"""Creates the pipeline's topics with the right settings, and reports an existing topic that differs, with the action.

Topics are created here and not by the first producer, because a broker's defaults are one partition and seven days, and
many brokers do not create topics automatically at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.documents.document import DocumentType
from streams.kafka.connection import aiokafka_options
from streams.kafka.topics import change_topics, own_topics
from streams.operators import Problem, Report
from streams.operators.connect.masking import is_reference
from streams.settings import Settings

_DAY_MS = 86_400_000
_CALL_TIMEOUT_MS = 10_000
_TOTAL_TIMEOUT = 25.0
"""Seconds for all requests of one step; enough for three brokers whose packets are dropped."""

_CHANGE_RETENTION_DAYS = 14
"""As long as SQL Server's CDC keeps changes: workers that were stopped for less than that lose nothing."""
_OWN_RETENTION_DAYS = {
    # A message is useful until its sale has a final status: 72 h, and longer while the gate is closed. The scheduler
    # would enqueue a lost one again, only later.
    "retries": 14,
    # Other systems read it: a consumer that failed over a holiday catches up. The source of truth is SQL Server.
    "statuses": 30,
    # Each message waits for a person to examine it.
    "dead_letters": 90,
}
"""Retention of our own topics in days. Messages are deleted by age and never compacted, since every event of a sale
counts. min.insync.replicas is left to the cluster."""
_HISTORY_CONFIG = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""Debezium reads the whole topic at every start, so nothing may ever be deleted."""


@dataclass(frozen=True, slots=True)
class WantedTopic:
    name: str
    partitions: int
    config: Mapping[str, str]
    strict: bool = False
    """Whether the connector breaks if the topic differs: it is then corrected or rejected, otherwise only reported."""


@dataclass(frozen=True, slots=True)
class ExistingTopic:
    partitions: int
    replication: int


def pipeline_topics(settings: Settings, document_types: Iterable[DocumentType]) -> list[WantedTopic]:
    """Return the topics that the workers read or write."""
    days = dict.fromkeys(change_topics(settings, document_types), _CHANGE_RETENTION_DAYS) | {
        name: _OWN_RETENTION_DAYS[use] for use, name in own_topics(settings)._asdict().items()
    }
    return [WantedTopic(name, settings.topic_partitions, _retention_config(count)) for name, count in days.items()]


def history_topic(config: Mapping[str, str]) -> list[WantedTopic]:
    """Return Debezium's schema history topic, if the configuration names one.

    Kafka Connect creates Debezium's other topics (heartbeats), by topic.creation.*.
    """
    name = config.get("schema.history.internal.kafka.topic", "")
    # One partition, because the records must stay in the order of the schema changes.
    return [WantedTopic(name, 1, _HISTORY_CONFIG, strict=True)] if name and not is_reference(name) else []


def _retention_config(days: int) -> dict[str, str]:
    """Return the configuration of a topic that keeps messages for `days`, uncompressed.

    With compression.type=uncompressed the broker unpacks compressed messages and checks their size again, so that no
    message can grow in a worker's memory. Our own messages are small and uncompressed in any case.
    """
    return {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS), "compression.type": "uncompressed"}


class Topics:
    """Examines and creates topics. Use `open_topics` to create one; methods raise `KafkaError` and `OSError`."""

    def __init__(self, admin: AIOKafkaAdminClient, settings: Settings) -> None:
        self._admin = admin
        self._settings = settings

    async def cluster(self) -> str | None:
        """Return the id of the Kafka cluster."""
        cluster = (await self._admin.describe_cluster()).get("cluster_id")
        return cluster if isinstance(cluster, str) else None

    async def find(self) -> dict[str, ExistingTopic]:
        """Return all topics of the cluster.

        A request for single topics would create missing ones, on a broker that creates topics automatically.
        """
        return {
            topic["topic"]: ExistingTopic(
                len(topic["partitions"]), min((len(part["replicas"]) for part in topic["partitions"]), default=0)
            )
            for topic in await self._admin.describe_topics()
            if not topic["error_code"]
        }

    async def ensure(self, wanted: Sequence[WantedTopic], report: Report, *, create: bool = True) -> None:
        """Create missing topics, correct strict ones, and report how the others differ. Raises `Problem`.

        `create`: False only reports which are missing.
        """
        existing = await self.find()
        if create:
            await self._create([topic for topic in wanted if topic.name not in existing])
        for topic in wanted:
            if topic.name not in existing:
                done = "created" if create else "is missing, and would be created"
                report(f"topic {topic.name}: {done}, {_count(topic.partitions)}, {_retention(topic.config)}")
                continue
            found = existing[topic.name]
            report(f"topic {topic.name}: exists, {_count(found.partitions)}")
            if topic.strict and found.partitions != topic.partitions:
                raise Problem(
                    f"topic {topic.name}: has {found.partitions} partitions, must have {topic.partitions}: Debezium "
                    "reads the schema history in order. Partitions cannot be removed: name another topic in "
                    "schema.history.internal.kafka.topic, and deploy once with snapshot.mode=recovery."
                )
            for warning in differences(topic, found, self._settings):
                report(f"warning: {warning}")
            await self._check_config(topic, report)

    async def _create(self, topics: Sequence[WantedTopic]) -> None:
        if not topics:
            return
        answer = await self._admin.create_topics(
            [
                NewTopic(
                    topic.name, topic.partitions, self._settings.topic_replication, topic_configs=dict(topic.config)
                )
                for topic in topics
            ]
        )
        refused = [
            f"topic {name}: Kafka does not create it: {message or for_code(code).__name__}. "
            "Correct TOPIC_PARTITIONS or TOPIC_REPLICATION, or give this login the right to create it."
            for name, code, message in answer.topic_errors
            if code not in (0, TopicAlreadyExistsError.errno)
        ]
        if refused:
            raise Problem(*refused)

    async def _check_config(self, topic: WantedTopic, report: Report) -> None:
        config = await self._config(topic.name)
        wrong = {key: value for key, value in topic.config.items() if config.get(key, (value, True))[0] != value}
        if not wrong:
            return
        is_now = ", ".join(f"{key}={config[key][0]}" for key in wrong)
        should = ",".join(f"{key}={value}" for key, value in wrong.items())
        tool = _tool("configs", self._settings)
        by_hand = f"{tool} --alter --entity-type topics --entity-name {topic.name} --add-config {should}"
        if not topic.strict:
            report(f"warning: topic {topic.name}: {is_now} instead of {should}; unchanged. If not intended: {by_hand}")
            return
        # AlterConfigs replaces all of a topic's own settings; those that are not listed would be lost.
        own = {key: value for key, (value, is_own) in config.items() if is_own} | wrong
        [answer] = await self._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, own)])
        code, message = answer.resources[0][:2]
        if code:
            raise Problem(
                f"topic {topic.name}: {is_now}, but Debezium needs {should}, and Kafka does not let it be corrected: "
                f"{message or for_code(code).__name__}. With the right to do so: {by_hand}"
            )
        report(
            f"topic {topic.name}: corrected to {should} (was {is_now}). If messages are already lost, the connector "
            "fails and names its history: then deploy once with snapshot.mode=recovery"
        )

    async def _config(self, topic: str) -> dict[str, tuple[str, bool]]:
        """Return for each key the value, and whether it is set for the topic itself rather than a default."""
        [answer] = await self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        resource: dict[str, Any] = answer.to_object()["resources"][0]
        if resource["error_code"]:
            raise for_code(resource["error_code"])(resource["error_message"])
        dynamic_topic_config = 1  # Kafka's ConfigSource
        return {
            entry["config_names"]: (entry["config_value"], entry["config_source"] == dynamic_topic_config)
            for entry in resource["config_entries"]
        }


def differences(topic: WantedTopic, found: ExistingTopic, settings: Settings) -> list[str]:
    """Return a warning for each difference of an existing topic, in the form ``thing: rule. Action``."""
    warnings = []
    if found.partitions < topic.partitions:
        warnings.append(
            f"topic {topic.name}: has {_count(found.partitions)}, TOPIC_PARTITIONS says {topic.partitions}: no "
            f"more workers than that can share it. Set TOPIC_PARTITIONS={found.partitions}; or, since more partitions "
            "change the order of unread events, add them while no worker runs and everything is read: "
            f"{_tool('topics', settings)} --alter --topic {topic.name} --partitions {topic.partitions}"
        )
    elif found.partitions > topic.partitions:
        warnings.append(
            f"topic {topic.name}: has {_count(found.partitions)}, TOPIC_PARTITIONS says {topic.partitions}: the "
            f"workers' buffers have the size for that. Set TOPIC_PARTITIONS={found.partitions}."
        )
    copies = settings.topic_replication
    if found.replication < copies:
        warnings.append(
            f"topic {topic.name}: has {_copies(found.replication)}, TOPIC_REPLICATION says {copies}. "
            "Reassign its partitions (kafka-reassign-partitions.sh), or correct TOPIC_REPLICATION."
        )
    return warnings


def _tool(name: str, settings: Settings) -> str:
    return f"kafka-{name}.sh --bootstrap-server {settings.kafka_bootstrap_servers}"


@asynccontextmanager
async def open_topics(settings: Settings) -> AsyncIterator[Topics]:
    """Yield a `Topics`. Raises `Problem`, in bounded time, if Kafka does not answer or rejects the login."""
    admin = AIOKafkaAdminClient(**aiokafka_options(settings), request_timeout_ms=_CALL_TIMEOUT_MS)
    try:
        async with asyncio.timeout(_TOTAL_TIMEOUT):
            await admin.start()
            yield Topics(admin, settings)
    except (KafkaError, OSError, TimeoutError) as error:
        raise Problem(
            f"Kafka: no proper answer from {settings.kafka_bootstrap_servers} ({type(error).__name__}). Start it, or "
            "correct KAFKA_BOOTSTRAP_SERVERS and the security settings (KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_..., "
            "KAFKA_SSL_...)."
        ) from None
    finally:
        await admin.close()


def _count(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"


def _copies(replication: int) -> str:
    return "1 copy" if replication == 1 else f"{replication} copies"


def _retention(config: Mapping[str, str]) -> str:
    retention_ms = int(config["retention.ms"])
    return "kept forever" if retention_ms < 0 else f"kept for {_days(retention_ms // _DAY_MS)}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
