"""Tests that topics of Apache Kafka can be deleted and recreated, while a worker reads them and while none does.

Kafka forgets a group's offsets with the topic, and a client that learns that a topic is gone joins the group again.
Where neither happens (brokers that keep offsets, a topic that is back at once), see
`tests.unit.test_recreated_topic`.
"""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.local.real.stack import RealStack
from tests.pipeline.pipeline import Pipeline

TOPICS = ("sale-retry", "sale-status")


async def recreate(pipeline: Pipeline) -> None:
    """Create the topic with as many partitions as before, when the broker has deleted the earlier ones."""
    admin = AdminClient({"bootstrap.servers": pipeline.stack.broker.address})
    for gone in admin.delete_topics(list(TOPICS)).values():
        await asyncio.to_thread(gone.result, 30)
    partitions = int(pipeline.stack.environment["TOPIC_PARTITIONS"])

    async def made() -> bool:
        new = admin.create_topics([NewTopic(topic, partitions, 1) for topic in TOPICS])
        try:
            for each in new.values():
                await asyncio.to_thread(each.result, 30)
        except KafkaException:
            return False
        return True

    await pipeline.until(made, "they are made again")


async def test_sales_after_topics_of_kafka_were_recreated_are_sent_and_written_back(real_stack: RealStack) -> None:
    async with Pipeline(real_stack) as pipeline:
        worker = pipeline.start_worker()
        pipeline.seller.sell(100)
        await pipeline.until_decided()

        async def committed() -> bool:
            return not any((await pipeline.unfinished_offsets()).values())

        await pipeline.until(committed, "all is worked through")
        await recreate(pipeline)
        pipeline.seller.sell(20)
        await pipeline.until_decided()
        await pipeline.until(committed, "the group stands where it reads")
        assert await asyncio.to_thread(worker.terminate, 40) == 0, worker.tail()
        await recreate(pipeline)
        pipeline.start_worker("next")
        pipeline.seller.sell(20)
        await pipeline.until_decided()
        assert pipeline.counts() == {"SYNC_SUCCESS": 140}
