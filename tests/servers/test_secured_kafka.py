"""Tests that the settings for SASL over TLS reach every client of Kafka in a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from streams.documents import DOCUMENT_TYPES
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka, Security
from streams.local.stack import LocalStack
from streams.operators.connect.topic_setup import open_topics
from tests.contract.stores.databases import settings_for
from tests.pipeline.pipeline import Pipeline

USER, PASSWORD = "worker", "mat-khau-kafka"


@pytest.fixture(scope="module")
def stack(fetched: Jars, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20)
    security = Security(USER, PASSWORD, certificate.with_name("keystore.pem"))
    # The feed, which is no part of the product, finds its topics made, by way of the open listener.
    topics = {"auto.create.topics.enable": "true", "num.partitions": "4"}
    stack.broker = kafka = Kafka(stack.folder, fetched, security, topics)
    with stack:
        stack.environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.secured_address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_CAFILE": str(certificate),
        }
        yield stack


@pytest.fixture
async def pipeline(stack: LocalStack) -> AsyncIterator[Pipeline]:
    async with Pipeline(stack) as pipeline:
        yield pipeline


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_worker_does_all_its_work_over_sasl_and_tls(pipeline: Pipeline, mechanism: str) -> None:
    """It reads, publishes, writes back and journals, and the scheduler measures the progress of change events."""
    worker = pipeline.start_worker(f"worker-{mechanism}", KAFKA_SASL_MECHANISM=mechanism)
    lost = pipeline.seller.sell(3)  # the scheduler enqueues them only once it knows the progress
    pipeline.without_events(sale.id for sale in lost)
    sales = pipeline.seller.sell(20)
    await pipeline.until_decided()
    journaled = {sale.local_invoice_id for sale in [*lost, *sales]}
    await pipeline.until(
        lambda: journaled <= {entry["local_invoice_id"] for entry in pipeline.journal("task_logs")},
        "the journal has all",
    )
    assert PASSWORD not in worker.log.read_text()


@pytest.mark.parametrize(
    "wrong", [{"KAFKA_SASL_PASSWORD": "sai-mat-khau"}, {"KAFKA_SSL_CAFILE": ""}], ids=["password", "authority"]
)
async def test_a_wrong_security_setting_is_reported(pipeline: Pipeline, wrong: dict[str, str]) -> None:
    worker = pipeline.start_worker("wrong", **wrong)
    await pipeline.until(lambda: worker.output().count("kafka.waiting") >= 2, "it says what it waits for")
    assert "correct KAFKA_BOOTSTRAP_SERVERS and the security settings of the connection" in worker.output()
    assert "sai-mat-khau" not in worker.output()
    assert PASSWORD not in worker.output()
    assert worker.running


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_the_command_that_creates_topics_can_log_in(stack: LocalStack, certificate: Path, mechanism: str) -> None:
    settings: dict[str, Any] = {
        "kafka_bootstrap_servers": stack.environment["KAFKA_BOOTSTRAP_SERVERS"],
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_mechanism": mechanism,
        "kafka_sasl_username": USER,
        "kafka_sasl_password": SecretStr(PASSWORD),
        "kafka_ssl_cafile": certificate,
    }
    async with open_topics(settings_for(**settings)) as topics:
        assert f"pharmacy.chain.dbo.{DOCUMENT_TYPES[0].table}" in await topics.find()
