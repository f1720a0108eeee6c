"""Tests what doctor finds on a broker that no consumer group has ever used."""

from __future__ import annotations

from pathlib import Path

from streams.documents import DOCUMENT_TYPES
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka
from streams.operators.checks.kafka import Broker, probe_broker
from streams.operators.connect.topic_setup import open_topics, pipeline_topics
from tests.contract.stores.databases import settings_for


async def test_a_broker_that_has_no_consumer_groups_yet_is_not_taken_for_one_that_does_not_answer(
    fetched: Jars, tmp_path: Path
) -> None:
    """It creates the topic in which it keeps the groups' offsets when it is asked for them the first time."""
    said: list[str] = []
    with Kafka(tmp_path, fetched) as kafka:
        settings = settings_for(kafka_bootstrap_servers=kafka.address, topic_partitions=1)
        async with open_topics(settings) as topics:
            await topics.ensure(pipeline_topics(settings, DOCUMENT_TYPES), said.append)
        found = await probe_broker(settings, DOCUMENT_TYPES)
        assert isinstance(found, Broker), found
        assert set(found.lag.values()) == {0}
