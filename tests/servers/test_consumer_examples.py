"""Tests the consumers of docs/contract/examples against a real broker."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams.documents import DOCUMENT_TYPES
from streams.domain.sale_status import SaleStatus
from streams.local.processes import Process
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka
from streams.operators.connect.topic_setup import open_topics, pipeline_topics
from tests.contract.stores.databases import settings_for
from tests.support.published_statuses import (
    ACCEPTED,
    LAST,
    NOT_WITHDRAWN,
    REFUSED,
    REQUESTED_AGAIN,
    WAITING,
    WITHDRAWAL_WAITING,
    WITHDRAWN,
)

EXAMPLES = Path(__file__).parents[2] / "docs/contract/examples"
JAVA = EXAMPLES / "SaleStatusConsumer.java"
PYTHON = EXAMPLES / "sale_status_consumer.py"
needs_jdk = pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK on the machine")

Start = Callable[..., Process]
"""Servers, consumer group, and the document types if not all."""
RECEIPT = REFUSED.model_copy(
    update={"event_id": "receipt", "document": "purchase_receipt", "id": ACCEPTED.id, "attempt": 9}
)
"""Of the codes, the id and the database of a sale, and later than it."""


def java_classpath(jars: Jars) -> str:
    """Return the jars that the head of the example names, and their dependencies, from those of the real servers."""
    named = {
        f"{artifact}-{version}.jar"
        for artifact, version in re.findall(r"[\w.]+:([\w-]+):([\d.]+)", JAVA.read_text().partition("import ")[0])
    }
    assert named == {"kafka-clients-4.3.1.jar", "jackson-databind-2.21.2.jar"}
    needed = [*named, "jackson-core-2.21.2.jar", "jackson-annotations-2.21.jar", "slf4j-api-1.7.36.jar"]
    paths = [jars.home / "kafka" / name for name in needed]
    assert [path for path in paths if not path.is_file()] == []
    return ":".join(map(str, paths))


@pytest.fixture(params=["python", pytest.param("java", marks=needs_jdk)])
def start(request: pytest.FixtureRequest, fetched: Jars, tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def command(servers: str, group: str, documents: str) -> Sequence[str | Path]:
        if request.param == "python":
            options = ["--servers", servers, "--group", group, "--store", str(tmp_path / "sales.db")]
            return [sys.executable, PYTHON, *options, *(["--documents", documents] if documents else [])]
        return ["java", "-cp", java_classpath(fetched), JAVA, servers, group, *([documents] if documents else [])]

    def start(servers: str, group: str, documents: str = "") -> Process:
        number = len(started)
        process = Process("consumer", command(servers, group, documents), log=tmp_path / f"{number}.log")
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate(30)


@pytest.fixture
async def servers(fetched: Jars, tmp_path: Path) -> AsyncIterator[str]:
    """Run a broker with only the pipeline's topics."""
    with Kafka(tmp_path, fetched) as kafka:
        settings = settings_for(kafka_bootstrap_servers=kafka.address, topic_partitions=2)
        async with open_topics(settings) as topics:
            await topics.ensure(pipeline_topics(settings, DOCUMENT_TYPES), lambda _: None)
        yield kafka.address


async def publish(servers: str, *decisions: SaleStatus) -> None:
    """Publish one after the other, because messages of one sale stay in order by their key."""
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        for each in decisions:
            await producer.send_and_wait("sale-status", each.model_dump_json().encode(), key=each.key)
    finally:
        await producer.stop()


def lines(process: Process) -> list[str]:
    """Return what the example printed about sales; the JVM and the clients print more."""
    return [line for line in process.output().splitlines() if line.startswith("HD-")]


def until_said(process: Process, line: str) -> list[str]:
    process.ready(lambda: line in lines(process) or None, timeout=60)
    return lines(process)


async def test_the_consumer_examples_drop_repeats_and_keep_the_later_attempt(servers: str, start: Start) -> None:
    await publish(servers, WAITING, WAITING, REFUSED, ACCEPTED, WAITING, ACCEPTED, REQUESTED_AGAIN, REFUSED)
    consumer = start(servers, "reporting")
    until_said(consumer, "HD-2 2 SYNC_SUCCESS HD_QG_2")
    until_said(consumer, "HD-1 2 SYNC_SUCCESS HD_QG_1")
    await publish(servers, REFUSED, WAITING, LAST)
    said = until_said(consumer, "HD-3 1 SYNC_SUCCESS HD_QG_3")
    assert [line for line in said if line.startswith("HD-1")] == [
        "HD-1 1 PENDING_SYNC timed_out",
        "HD-1 2 SYNC_SUCCESS HD_QG_1",
    ]
    assert [line for line in said if line.startswith("HD-2")] == [
        "HD-2 1 SYNC_FAILED api_refused",
        "HD-2 2 SYNC_SUCCESS HD_QG_2",
    ]


async def test_a_receipt_with_the_codes_of_a_sale_is_a_different_document(servers: str, start: Start) -> None:
    receipt = RECEIPT.model_copy(update={"local_invoice_id": ACCEPTED.local_invoice_id})
    await publish(servers, WAITING, receipt, ACCEPTED, LAST)
    said = until_said(start(servers, "reporting"), "HD-3 1 SYNC_SUCCESS HD_QG_3")
    assert {line for line in said if line.startswith("HD-1")} == {
        "HD-1 1 PENDING_SYNC timed_out",
        "HD-1 9 SYNC_FAILED api_refused",
        "HD-1 2 SYNC_SUCCESS HD_QG_1",
    }


async def test_a_consumer_of_sales_alone_skips_all_other_document_types(servers: str, start: Start) -> None:
    receipt = RECEIPT.model_copy(update={"local_invoice_id": ACCEPTED.local_invoice_id})
    of_tomorrow = receipt.model_copy(update={"event_id": "another", "document": "stock_count"})
    await publish(servers, WAITING, receipt, of_tomorrow, ACCEPTED, receipt, LAST)
    said = until_said(start(servers, "reporting", "sale"), "HD-3 1 SYNC_SUCCESS HD_QG_3")
    assert [line for line in said if line.startswith("HD-1")] == [
        "HD-1 1 PENDING_SYNC timed_out",
        "HD-1 2 SYNC_SUCCESS HD_QG_1",
    ]


async def test_a_consumer_that_was_written_before_there_were_withdrawals_follows_them(
    servers: str, start: Start
) -> None:
    """Neither example names a status: both show what they read."""
    for example in (PYTHON, JAVA):
        assert not re.search("SYNC_SUCCESS|SYNC_FAILED|PENDING|CANCEL", example.read_text())
    await publish(servers, ACCEPTED, WITHDRAWAL_WAITING, WITHDRAWN, WITHDRAWAL_WAITING, NOT_WITHDRAWN, LAST)
    consumer = start(servers, "reporting")
    until_said(consumer, "HD-2 3 CANCEL_FAILED api_refused")
    until_said(consumer, "HD-3 1 SYNC_SUCCESS HD_QG_3")
    consumer.ready(lambda: [line for line in lines(consumer) if "CANCELLED" in line] or None, timeout=60)
    said = [line.removesuffix(" None").removesuffix(" null") for line in lines(consumer) if line.startswith("HD-1")]
    assert said == ["HD-1 2 SYNC_SUCCESS HD_QG_1", "HD-1 3 PENDING_CANCEL timed_out", "HD-1 4 CANCELLED"]


@pytest.mark.parametrize("start", ["python"], indirect=True)
async def test_a_killed_consumer_example_does_not_report_stored_decisions_again(servers: str, start: Start) -> None:
    await publish(servers, WAITING, ACCEPTED)
    first = start(servers, "reporting")
    until_said(first, "HD-1 2 SYNC_SUCCESS HD_QG_1")
    first.kill()
    await publish(servers, LAST)
    again = start(servers, "another-group")  # reads all of it from its beginning
    assert until_said(again, "HD-3 1 SYNC_SUCCESS HD_QG_3") == ["HD-3 1 SYNC_SUCCESS HD_QG_3"]


@needs_jdk
def test_the_java_example_compiles_without_a_warning(fetched: Jars, tmp_path: Path) -> None:
    strict = ["--release", "17", "-Xlint:all", "-Werror"]
    command = ["javac", *strict, "-d", str(tmp_path), "-cp", java_classpath(fetched), str(JAVA)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
