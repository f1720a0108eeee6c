"""The topics by name, and their partitions as the broker has them."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.documents.document import DocumentType
from streams.settings import Settings

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


def change_topics(settings: Settings, document_types: Iterable[DocumentType]) -> list[str]:
    """Of each kind's table: Debezium names them alike but for the table, which is the last part."""
    prefix = settings.sales_change_topic.rpartition(".")[0]
    return [f"{prefix}.{document_type.table}" for document_type in document_types]
