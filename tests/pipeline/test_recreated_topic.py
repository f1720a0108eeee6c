"""Tests a worker whose group has committed offsets beyond the end of its topics, which were deleted and recreated."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.local.stack import CHANGE_TOPIC
from tests.pipeline.pipeline import Pipeline

TOPICS = (CHANGE_TOPIC, "sale-retry", "sale-status")


async def test_sales_after_topics_were_recreated_are_sent_and_written_back(pipeline: Pipeline) -> None:
    partitions = [TopicPartition(topic, n) for topic in TOPICS for n in range(4)]
    group = AIOKafkaConsumer(bootstrap_servers=pipeline.stack.broker.address, group_id="pharmacy-sale-streams")
    await group.start()
    try:
        group.assign(partitions)
        await group.commit(dict.fromkeys(partitions, 1_000))
    finally:
        await group.stop()
    worker = pipeline.start_worker(SWEEP_AFTER="3600")
    pipeline.seller.sell(40)
    await pipeline.until_decided()
    assert pipeline.counts() == {"SYNC_SUCCESS": 40}
    assert worker.output().count("kafka.read_from_start") == len(partitions)

    async def committed() -> bool:
        return set((await pipeline.unfinished_offsets()).values()) == {0}

    await pipeline.until(committed, "the group stands where it reads")
    await pipeline.assert_both_sides_agree()
