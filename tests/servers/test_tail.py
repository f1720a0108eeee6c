"""Tests `tail` while its broker goes away and comes back."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from confluent_kafka import Producer

from streams.documents import DOCUMENT_TYPES
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka
from streams.operators.connect.topic_setup import open_topics, pipeline_topics
from tests.contract.stores.databases import settings_for
from tests.support.published_statuses import ACCEPTED, LAST, REFUSED
from tests.support.repository import ROOT
from tests.support.right_settings import RIGHT


@pytest.fixture
def broker(fetched: Jars, tmp_path: Path) -> Iterator[Kafka]:
    """Run a broker for this test, because it is killed."""
    with Kafka(tmp_path, fetched) as server:
        asyncio.run(_make_topics(server))
        yield server


async def _make_topics(broker: Kafka) -> None:
    settings = settings_for(kafka_bootstrap_servers=broker.address, topic_partitions=2)
    async with open_topics(settings) as topics:
        await topics.ensure(pipeline_topics(settings, DOCUMENT_TYPES), lambda _: None)


@contextmanager
def tailing(broker: Kafka, folder: Path) -> Iterator[subprocess.Popen[str]]:
    tail = subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "streams.app", "tail", "--json"],
        cwd=folder,
        env=RIGHT | {"KAFKA_BOOTSTRAP_SERVERS": broker.address, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield tail
    finally:
        tail.kill()
        tail.communicate()


def publish(broker: Kafka, *values: str) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for value in values:
        producer.produce("sale-status", value.encode())
    assert producer.flush(60) == 0


def line(pipe: IO[str] | None) -> str:
    assert pipe is not None
    return pipe.readline()


def test_tail_waits_for_a_lost_broker_and_shows_every_decision_once(broker: Kafka, tmp_path: Path) -> None:
    publish(broker, REFUSED.model_dump_json())
    with tailing(broker, tmp_path) as tail:
        first = line(tail.stdout)
        assert first, line(tail.stderr)
        assert json.loads(first)["id"] == REFUSED.id
        publish(broker, ACCEPTED.model_dump_json())
        assert json.loads(line(tail.stdout))["id"] == ACCEPTED.id
        broker.kill()
        assert line(tail.stderr) == f"Kafka: {broker.address} no longer answers. Waiting for it; Ctrl-C ends.\n"
        broker.start()
        publish(broker, LAST.model_dump_json())
        assert json.loads(line(tail.stdout))["id"] == LAST.id
        tail.send_signal(signal.SIGINT)
        out, err = tail.communicate(timeout=30)
    assert (tail.returncode, out) == (130, "")
    assert err in ("", "Kafka: answers again.\n")
