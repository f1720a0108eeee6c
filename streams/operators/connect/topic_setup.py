"""The pipeline's topics: made as they should be, and where one is otherwise, said with its remedy.

Made here, not by whoever sends first: a broker's defaults are one partition, seven days and, on many, no making at all.
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
from streams.kafka.topics import OWN_TOPICS, change_topics
from streams.operators import Problem, Report
from streams.operators.connect.masking import is_reference
from streams.settings import Settings

_DAY_MS = 86_400_000
_CALL_MS = 10_000
_WHOLE = 25.0
"""Seconds for all that is asked of Kafka in one step: three brokers that swallow packets, none of them for ever."""

_CHANGE_DAYS = 14
"""As long as SQL Server's CDC keeps changes: workers that were away for less lose nothing."""
_OWN_DAYS = {
    # A message is worth something until its sale has an end: 72 h, and longer while a gate is closed. `due` would
    # feed a lost one again, only later.
    "sale-retry": 14,
    # Others read it: a consumer that was broken over a holiday catches up. The truth stands in SQL Server.
    "sale-status": 30,
    # Each one waits for a person to look at it.
    "sale-dead-letter": 90,
}
"""Topic -> days. Deleted by age, never compacted: of a sale's events each counts. min.insync.replicas is the
cluster's business."""
_HISTORY = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""Debezium reads all of it at every start: nothing may ever go."""


@dataclass(frozen=True, slots=True)
class WantedTopic:
    name: str
    partitions: int
    config: Mapping[str, str]
    strict: bool = False
    """Otherwise than wanted it breaks the connector: corrected, or refused. Else it is reported."""


@dataclass(frozen=True, slots=True)
class ExistingTopic:
    partitions: int
    replication: int


def pipeline_topics(settings: Settings, document_types: Iterable[DocumentType]) -> list[WantedTopic]:
    """Those that the workers read or write."""
    days = dict.fromkeys(change_topics(settings, document_types), _CHANGE_DAYS) | {
        name: _OWN_DAYS[name] for name in OWN_TOPICS
    }
    return [WantedTopic(name, settings.topic_partitions, _kept(count)) for name, count in days.items()]


def history_topic(config: Mapping[str, str]) -> list[WantedTopic]:
    """Debezium's, if it keeps one. Its other topics (heartbeats) Kafka Connect makes, by topic.creation.*."""
    name = config.get("schema.history.internal.kafka.topic", "")
    # One partition: its order is the order in which the schema changed.
    return [WantedTopic(name, 1, _HISTORY, strict=True)] if name and not is_reference(name) else []


def _kept(days: int) -> dict[str, str]:
    """Not compressed: the broker then unpacks what comes compressed and measures it again, so that no message that a
    worker reads can grow in its memory. Our own messages are small and come uncompressed in any case."""
    return {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS), "compression.type": "uncompressed"}


class Topics:
    """Made by `open_topics`."""

    def __init__(self, admin: AIOKafkaAdminClient, settings: Settings) -> None:
        self._admin = admin
        self._settings = settings

    async def cluster(self) -> str | None:
        """The cluster's id."""
        cluster = (await self._admin.describe_cluster()).get("cluster_id")
        return cluster if isinstance(cluster, str) else None

    async def find(self) -> dict[str, ExistingTopic]:
        """All topics. Not asked by name: that alone makes a topic, on a broker that makes what is asked for."""
        return {
            topic["topic"]: ExistingTopic(
                len(topic["partitions"]), min((len(part["replicas"]) for part in topic["partitions"]), default=0)
            )
            for topic in await self._admin.describe_topics()
            if not topic["error_code"]
        }

    async def ensure(self, wanted: Sequence[WantedTopic], tell: Report) -> None:
        """Makes what is missing, corrects what is strict, says what is otherwise. Raises `Problem`."""
        there = await self.find()
        await self._make([topic for topic in wanted if topic.name not in there])
        for topic in wanted:
            if topic.name not in there:
                tell(f"topic {topic.name}: made, {_count(topic.partitions)}, {_how_long(topic.config)}")
                continue
            found = there[topic.name]
            tell(f"topic {topic.name}: there, {_count(found.partitions)}")
            if topic.strict and found.partitions != topic.partitions:
                raise Problem(
                    f"topic {topic.name}: has {found.partitions} partitions, must have {topic.partitions}: Debezium "
                    "reads the history of the schema in order. Partitions cannot be taken away: name another topic in "
                    "schema.history.internal.kafka.topic, and deploy once with snapshot.mode=recovery."
                )
            for warning in differences(topic, found, self._settings):
                tell(f"warning: {warning}")
            await self._check_config(topic, tell)

    async def _make(self, topics: Sequence[WantedTopic]) -> None:
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
            f"topic {name}: Kafka does not make it: {message or for_code(code).__name__}. "
            "Correct TOPIC_PARTITIONS or TOPIC_REPLICATION, or give this login the right to create it."
            for name, code, message in answer.topic_errors
            if code not in (0, TopicAlreadyExistsError.errno)
        ]
        if refused:
            raise Problem(*refused)

    async def _check_config(self, topic: WantedTopic, tell: Report) -> None:
        config = await self._config(topic.name)
        wrong = {key: value for key, value in topic.config.items() if config.get(key, (value, True))[0] != value}
        if not wrong:
            return
        is_now = ", ".join(f"{key}={config[key][0]}" for key in wrong)
        should = ",".join(f"{key}={value}" for key, value in wrong.items())
        tool = _tool("configs", self._settings)
        by_hand = f"{tool} --alter --entity-type topics --entity-name {topic.name} --add-config {should}"
        if not topic.strict:
            tell(f"warning: topic {topic.name}: {is_now} instead of {should}; left so. If it is not meant: {by_hand}")
            return
        # AlterConfigs sets all of a topic's own settings at once; those that are not named would be lost.
        own = {key: value for key, (value, is_own) in config.items() if is_own} | wrong
        [answer] = await self._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, own)])
        code, message = answer.resources[0][:2]
        if code:
            raise Problem(
                f"topic {topic.name}: {is_now}, but Debezium needs {should}, and Kafka does not let it be corrected: "
                f"{message or for_code(code).__name__}. With the right to do so: {by_hand}"
            )
        tell(
            f"topic {topic.name}: corrected to {should} (was {is_now}). If something is lost already the connector "
            "fails and names its history: deploy once with snapshot.mode=recovery then"
        )

    async def _config(self, topic: str) -> dict[str, tuple[str, bool]]:
        """Key -> value, and whether it is the topic's own rather than a default."""
        [answer] = await self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        resource: dict[str, Any] = answer.to_object()["resources"][0]
        if resource["error_code"]:
            raise for_code(resource["error_code"])(resource["error_message"])
        topics_own = 1
        return {
            entry["config_names"]: (entry["config_value"], entry["config_source"] == topics_own)
            for entry in resource["config_entries"]
        }


def differences(topic: WantedTopic, found: ExistingTopic, settings: Settings) -> list[str]:
    """What an operator should know of a topic that is there: thing, rule. Remedy."""
    warnings = []
    if found.partitions < topic.partitions:
        warnings.append(
            f"topic {topic.name}: has {_count(found.partitions)}, TOPIC_PARTITIONS says {topic.partitions}: not "
            f"more workers share it. Set TOPIC_PARTITIONS={found.partitions}; or, since more partitions change the "
            "order of events under way, add them while no worker runs and all is read: "
            f"{_tool('topics', settings)} --alter --topic {topic.name} --partitions {topic.partitions}"
        )
    elif found.partitions > topic.partitions:
        warnings.append(
            f"topic {topic.name}: has {_count(found.partitions)}, TOPIC_PARTITIONS says {topic.partitions}: the "
            f"workers' buffers are made for that. Set TOPIC_PARTITIONS={found.partitions}."
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
    """Raises `Problem`, in bounded time, where Kafka does not answer or refuses."""
    admin = AIOKafkaAdminClient(**aiokafka_options(settings), request_timeout_ms=_CALL_MS)
    try:
        async with asyncio.timeout(_WHOLE):
            await admin.start()
            yield Topics(admin, settings)
    except (KafkaError, OSError, TimeoutError) as error:
        raise Problem(
            f"Kafka: no proper answer from {settings.kafka_bootstrap_servers} ({type(error).__name__}). Start it, or "
            "correct KAFKA_BOOTSTRAP_SERVERS and what secures the connection (KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_..., "
            "KAFKA_SSL_...)."
        ) from None
    finally:
        await admin.close()


def _count(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"


def _copies(replication: int) -> str:
    return "1 copy" if replication == 1 else f"{replication} copies"


def _how_long(config: Mapping[str, str]) -> str:
    kept = int(config["retention.ms"])
    return "kept for ever" if kept < 0 else f"kept for {_days(kept // _DAY_MS)}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
