"""Tests that the commands of docs/giving-up.md and docs/rehearsal.md remove topics and groups from a real Kafka, and
leave those of others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.documents import DOCUMENT_TYPES
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka
from streams.operators.connect.topic_setup import open_topics, pipeline_topics
from streams.settings import Settings
from tests.contract.stores.databases import settings_for
from tests.support.kafka_tools import KafkaTools
from tests.support.repository import ROOT

OTHERS = "sale-status-of-others"
CONNECTORS = ("pharmacy-schema-history", "pharmacy-connect-configs", "__debezium-heartbeat.pharmacy")


def commands(page: str) -> str:
    """Return the lines of the page that call Kafka's tools."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^ *(kafka=.*|\S*/kafka-(?:topics|consumer-groups)\.sh .*)$", text)
    assert lines
    return "\n".join(lines)


@pytest.fixture(scope="module")
def own_kafka(fetched: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("kafka"), fetched) as server:
        yield server


@pytest.fixture(scope="module")
def tools(own_kafka: Kafka, fetched: Jars, tmp_path_factory: pytest.TempPathFactory) -> KafkaTools:
    return KafkaTools(tmp_path_factory.mktemp("tools"), fetched, own_kafka.address)


def deployment(kafka: Kafka, **changed: Any) -> Settings:
    return settings_for(kafka_bootstrap_servers=kafka.address, topic_partitions=1, **changed)


async def deploy(settings: Settings, *more: str) -> None:
    """Create the topics as `topics deploy` does, and the two groups of the workers."""
    said: list[str] = []
    async with open_topics(settings) as topics:
        await topics.ensure(pipeline_topics(settings, DOCUMENT_TYPES), said.append)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1) for name in more])
    finally:
        await admin.close()
    for group in (settings.deployment, f"{settings.deployment}-journal"):
        consumer = AIOKafkaConsumer(
            settings.prefixed("sale-status"), bootstrap_servers=settings.kafka_bootstrap_servers, group_id=group
        )
        await consumer.start()
        await consumer.commit()
        await consumer.stop()


async def names(kafka: Kafka) -> tuple[set[str], set[str]]:
    """Return the topics and the groups that are there, but for Kafka's own."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        topics = {name for name in await admin.list_topics() if name != "__consumer_offsets"}
        return topics, {group for group, *_ in await admin.list_consumer_groups()}
    finally:
        await admin.close()


async def until(kafka: Kafka, topics: set[str], groups: set[str]) -> None:
    """Wait until a broker no longer lists what it has deleted."""
    async with asyncio.timeout(20):
        while await names(kafka) != (topics, groups):
            await asyncio.sleep(0.1)


async def test_the_documented_commands_remove_what_belongs_to_a_rehearsal_and_then_everything(
    own_kafka: Kafka, tools: KafkaTools
) -> None:
    production = deployment(own_kafka)
    rehearsal = deployment(
        own_kafka, topic_prefix="rehearsal", sales_change_topic="rehearsal.chain_rehearsal.dbo.SalesInvoices"
    )
    await deploy(production, *CONNECTORS, OTHERS)
    topics, groups = await names(own_kafka)
    await deploy(rehearsal)
    assert len((await names(own_kafka))[1]) == 4
    await asyncio.to_thread(tools.run, commands("rehearsal.md"))
    await until(own_kafka, topics, groups)
    said = await asyncio.to_thread(tools.run, commands("giving-up.md"))
    assert {"pharmacy-sale-streams", "pharmacy-sale-streams-journal"} <= set(said.split())
    await until(own_kafka, {OTHERS}, set())
