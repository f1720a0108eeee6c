"""Tests, on Kafka's own authorizer, that the ACLs of docs/kafka-access.md are enough for each user, and no more."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from pydantic import SecretStr

from streams.documents import DOCUMENT_TYPES
from streams.kafka.connection import aiokafka_options
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka, Security
from streams.local.stack import CHANGE_TOPIC, LocalStack
from streams.operators.checks import Level
from streams.operators.checks.kafka import Broker, probe_broker
from streams.operators.checks.kafka_access import judge_access, probe_access
from streams.operators.connect.topic_setup import history_topic, open_topics, pipeline_topics
from streams.operators.topic_reader import open_reader
from streams.settings import Settings
from tests.contract.stores.databases import settings_for
from tests.pipeline.pipeline import Pipeline

PAGE = Path(__file__).parents[2] / "docs/kafka-access.md"
PASSWORDS = {name: f"mat-khau-{name}" for name in ("worker", "admin", "connect", "bi", "operator", "stranger")}
HISTORY = "pharmacy-schema-history"
AUTHORIZER = dict(
    line.split("=")
    for line in re.findall(r"(?m)^(?!#).+$", re.findall(r"(?s)```properties\n(.*?)```", PAGE.read_text())[0])
)
"""As the page has it."""
COMMANDS = [block for block in re.findall(r"(?s)```sh\n(.*?)```", PAGE.read_text()) if "kafka-acls.sh" in block]
_TOOL = """#!/bin/bash
arguments=("$@")
exec {java} "${{arguments[@]/kafka01:9092/{address}}}"
"""


@pytest.fixture(scope="module")
def stack(fetched: Jars, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20)
    others = {user: password for user, password in PASSWORDS.items() if user != "worker"}
    security = Security("worker", PASSWORDS["worker"], certificate.with_name("keystore.pem"), others)
    # The broker itself, and the feed that is no part of the product, come by the open listener.
    settings = AUTHORIZER | {"super.users": f"{AUTHORIZER['super.users']};User:ANONYMOUS"}
    stack.broker = kafka = Kafka(stack.folder, fetched, security, settings)
    with stack:
        run_the_commands(kafka, fetched, certificate, stack.folder)
        asyncio.run(make_topics(of("operator", kafka, certificate)))
        stack.environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.secured_address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": "worker",
            "KAFKA_SASL_PASSWORD": PASSWORDS["worker"],
            "KAFKA_SSL_CAFILE": str(certificate),
        }
        yield stack


def run_the_commands(kafka: Kafka, fetched: Jars, certificate: Path, folder: Path) -> None:
    java = fetched.command("org.apache.kafka.tools.AclCommand", heap_mb=64)
    tool = folder / "kafka-acls.sh"
    tool.write_text(_TOOL.format(java=shlex.join(map(str, java)), address=kafka.secured_address))
    tool.chmod(0o700)
    login = f'username="admin" password="{PASSWORDS["admin"]}"'
    (folder / "admin.properties").write_text(
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n"
        f"sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {login};\n"
        f"ssl.truststore.type=PEM\nssl.truststore.location={certificate}\n"
    )
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", "".join(COMMANDS)],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("Adding ACLs for resource") >= "".join(COMMANDS).count("--add ")


async def make_topics(settings: Settings) -> None:
    """Create the topics as `connectors deploy` does."""
    said: list[str] = []
    async with open_topics(settings) as topics:
        history = history_topic({"schema.history.internal.kafka.topic": HISTORY})
        await topics.ensure([*pipeline_topics(settings, DOCUMENT_TYPES), *history], said.append)
        await topics.ensure(history, said.append)


def of(user: str, kafka: Kafka, certificate: Path) -> Settings:
    values: dict[str, Any] = {
        "kafka_bootstrap_servers": kafka.secured_address,
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_mechanism": "PLAIN",
        "kafka_sasl_username": user,
        "kafka_sasl_password": SecretStr(PASSWORDS[user]),
        "kafka_ssl_cafile": certificate,
        "sales_change_topic": CHANGE_TOPIC,
        "topic_partitions": 4,
    }
    return settings_for(**values)


@pytest.fixture
def log_in(stack: LocalStack, certificate: Path) -> Callable[[str], Settings]:
    broker = stack.broker
    assert isinstance(broker, Kafka)
    return lambda user: of(user, broker, certificate)


@pytest.fixture
async def pipeline(stack: LocalStack) -> AsyncIterator[Pipeline]:
    async with Pipeline(stack) as pipeline:
        yield pipeline


async def test_a_worker_does_all_its_work_with_the_documented_acls(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker()
    lost = pipeline.seller.sell(3)
    pipeline.without_events(sale.id for sale in lost)
    sales = pipeline.seller.sell(20)
    await pipeline.produce(b"no message of ours", topic="sale-retry")
    await pipeline.until_decided()
    journaled = {sale.local_invoice_id for sale in [*lost, *sales]}
    await pipeline.until(
        lambda: journaled <= {entry["local_invoice_id"] for entry in pipeline.journal("task_logs")},
        "the journal has all",
    )
    await pipeline.until(lambda: "[error    ] dead_letter" in worker.output(), "what cannot be read is put aside")
    for refused in ("Authorization", "authorized", "question.unanswered", "change_progress.unknown"):
        assert refused not in worker.output()


async def test_an_operator_may_read_everything_and_doctor_finds_nothing(log_in: Callable[[str], Settings]) -> None:
    settings = log_in("operator")
    assert isinstance(await probe_broker(settings, DOCUMENT_TYPES), Broker)
    access = await probe_access(settings)
    assert access is not None
    assert access.authorizer
    assert access.configs
    said = judge_access(access, [topic.name for topic in pipeline_topics(settings, DOCUMENT_TYPES)])
    assert [(finding.level, finding.about) for finding in said] == [(Level.OK, "Kafka access")]
    for topic in (CHANGE_TOPIC, "sale-retry", "sale-status", "sale-dead-letter"):
        async with open_reader(settings, topic) as reader:
            assert len(await reader.bounds()) == 4


async def test_doctor_knows_that_an_authorizer_exists_even_when_it_may_not_look(
    log_in: Callable[[str], Settings],
) -> None:
    access = await probe_access(log_in("worker"))
    assert access is not None
    assert (access.authorizer, access.configs) == (True, None)


async def write(settings: Settings, topic: str) -> None:
    async with AIOKafkaProducer(acks="all", **aiokafka_options(settings)) as producer:
        await producer.send_and_wait(topic, b"{}", partition=0)


async def join(settings: Settings, topic: str, group: str) -> None:
    consumer = AIOKafkaConsumer(topic, group_id=group, auto_offset_reset="earliest", **aiokafka_options(settings))
    try:
        async with asyncio.timeout(20):
            await consumer.start()
            await consumer.getmany(timeout_ms=1000)
            await consumer.commit()
    finally:
        await consumer.stop()


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        *(("connect", topic) for topic in (CHANGE_TOPIC, HISTORY)),
        *(("operator", topic) for topic in (CHANGE_TOPIC, "sale-retry", "sale-status")),
    ],
)
async def test_every_component_may_write_what_it_has_to(
    log_in: Callable[[str], Settings], user: str, topic: str
) -> None:
    await write(log_in(user), topic)


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        *((user, "sale-status") for user in ("connect", "bi", "stranger")),
        *((user, "sale-retry") for user in ("connect", "bi", "stranger")),
        *((user, CHANGE_TOPIC) for user in ("worker", "bi", "stranger")),
        *((user, HISTORY) for user in ("worker", "bi", "operator")),
    ],
)
async def test_nobody_else_may_write(log_in: Callable[[str], Settings], user: str, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await write(log_in(user), topic)


async def test_a_consumer_may_only_read_decisions_with_its_own_group(
    log_in: Callable[[str], Settings],
) -> None:
    await join(log_in("bi"), "sale-status", "bi")
    with pytest.raises(GroupAuthorizationFailedError):
        await join(log_in("bi"), "sale-status", "pharmacy-sale-streams")
    with pytest.raises(TopicAuthorizationFailedError):
        await join(log_in("bi"), "sale-retry", "bi")
