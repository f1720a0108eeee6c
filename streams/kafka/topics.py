"""The names of the topics, and their partitions as the broker reports them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.documents.document import DocumentType
from streams.settings import Settings

METADATA_MAX_AGE_MS = 10_000
"""How often aiokafka refreshes its metadata. A broker that has just come back may not know its topics yet. The leader
of a group that then assigns no partitions to anyone keeps it so until the next refresh, by default five minutes later.
New partitions are seen as soon as that too.
"""


async def partitions_of(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """Return the current partitions of `topics`, including newly added ones.

    aiokafka's own `topics()` discards the partitions that it receives, and a consumer that is neither subscribed nor
    assigned knows of none.
    """
    names = sorted(set(topics))
    await consumer._client.set_topics(names)
    await consumer._client.force_metadata_update()
    return [TopicPartition(name, number) for name in names for number in consumer.partitions_for_topic(name) or ()]


class OwnTopics(NamedTuple):
    """The topics that workers write, not the connector."""

    retries: str
    statuses: str
    dead_letters: str


def own_topics(settings: Settings) -> OwnTopics:
    """Return the names of our own topics, with TOPIC_PREFIX."""
    return OwnTopics(*(settings.prefixed(name) for name in ("sale-retry", "sale-status", "sale-dead-letter")))


def change_topics(settings: Settings, document_types: Iterable[DocumentType]) -> list[str]:
    """Return the change topic of each document type. Debezium names them alike except for the table, which is the last
    part.
    """
    prefix = settings.sales_change_topic.rpartition(".")[0]
    return [f"{prefix}.{document_type.table}" for document_type in document_types]


def deploy_command(settings: Settings) -> str:
    """Return the command that creates the topics."""
    return f"faust -A streams.app {'topics' if settings.polls else 'connectors'} deploy"
