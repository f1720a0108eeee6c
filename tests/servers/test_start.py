"""Tests that a worker that starts before its topics exist reports which are missing, and goes on when they exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.documents import DOCUMENT_TYPES
from streams.local.processes import Process
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka
from streams.local.stack import LocalStack
from streams.operators.connect.topic_setup import open_topics, pipeline_topics
from tests.contract.stores.databases import settings_for
from tests.pipeline.pipeline import Pipeline


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack


@pytest.fixture
def kafka(fetched: Jars, tmp_path: Path) -> Iterator[Kafka]:
    """Run a broker without any topic."""
    with Kafka(tmp_path, fetched) as server:
        yield server


async def test_a_worker_waits_for_missing_topics_and_names_them(stack: LocalStack, kafka: Kafka) -> None:
    settings = settings_for(
        kafka_bootstrap_servers=kafka.address, sales_change_topic="early.chain.dbo.SalesInvoices", topic_partitions=2
    )
    async with Pipeline(stack) as pipeline:
        worker = pipeline.start_worker(
            KAFKA_BOOTSTRAP_SERVERS=kafka.address, SALES_CHANGE_TOPIC=settings.sales_change_topic
        )
        await pipeline.until(lambda: worker.output().count("kafka.topics_missing") >= 2, "it says what is missing")
        assert "early.chain.dbo.SalesInvoices, sale-retry, sale-status, sale-dead-letter" in worker.output()
        assert "connectors deploy" in worker.output()
        assert "worker.ready" not in worker.output()
        async with open_topics(settings) as topics:
            await topics.ensure(pipeline_topics(settings, DOCUMENT_TYPES), lambda _: None)
        [line] = await _said(pipeline, worker, "documents.carried")
        assert "documents=['sale', 'purchase_receipt', 'goods_issue']" in line
        sales = pipeline.seller.sell(5)  # no feed writes to this broker: the scheduler finds them
        await pipeline.until_decided()
        assert len(sales) == pipeline.counts()["SYNC_SUCCESS"]


async def test_a_document_type_without_its_topic_is_not_carried_and_sales_are(stack: LocalStack, kafka: Kafka) -> None:
    """As after an upgrade, before `connectors deploy` was run again.

    Promise 5. Broken by: sales wait until the topics of receipts are made.
    """
    settings = settings_for(
        kafka_bootstrap_servers=kafka.address, sales_change_topic="early.chain.dbo.SalesInvoices", topic_partitions=2
    )
    async with open_topics(settings) as topics:
        await topics.ensure(pipeline_topics(settings, DOCUMENT_TYPES[:1]), lambda _: None)
    async with Pipeline(stack) as pipeline:
        worker = pipeline.start_worker(
            KAFKA_BOOTSTRAP_SERVERS=kafka.address, SALES_CHANGE_TOPIC=settings.sales_change_topic
        )
        pipeline.seller.sell(5)
        await pipeline.until_decided()
        [line] = await _said(pipeline, worker, "documents.carried")
        assert "documents=['sale'] " in line
        assert "'purchase_receipt': 'the topic early.chain.dbo.PurchaseReceipts is missing'" in line
        assert "connectors deploy" in line
        async with open_topics(settings) as topics:
            assert "early.chain.dbo.PurchaseReceipts" not in await topics.find()
        named = pipeline.start_worker(
            "named",
            KAFKA_BOOTSTRAP_SERVERS=kafka.address,
            SALES_CHANGE_TOPIC=settings.sales_change_topic,
            DOCUMENTS="sale,purchase_receipt",
        )
        [line, *_] = await _said(pipeline, named, "kafka.topics_missing")
        assert "topics=early.chain.dbo.PurchaseReceipts " in line


async def _said(pipeline: Pipeline, worker: Process, event: str) -> list[str]:
    await pipeline.until(lambda: event in worker.output(), f"it says {event}")
    return [line for line in worker.output().splitlines() if event in line]
