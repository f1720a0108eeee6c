"""Tests what is read from the broker: the lag of the groups, and the capture time of the oldest unfinished change."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.kafka.change_progress import ChangeProgress
from streams.kafka.consumer_position import NO_POSITION, PartitionPosition, position_of
from streams.kafka.lag import BrokerAway, LagMeter, Offsets
from streams.local.servers import Broker
from streams.settings import Settings
from tests.contract.stores.databases import settings_for

TOPIC = "pharmacy.chain.dbo.SalesInvoices"
GROUP = "pharmacy-sale-streams"
FIRST = TopicPartition(TOPIC, 0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return settings_for(kafka_bootstrap_servers=broker.address, sales_change_topic=TOPIC)


@pytest.fixture
async def producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=broker.address)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def meter(settings: Settings) -> AsyncIterator[LagMeter]:
    meter = LagMeter(settings, {GROUP: [TOPIC, "sale-retry"], f"{GROUP}-journal": ["sale-status"]})
    yield meter
    await meter.close()


@pytest.fixture
async def reader(broker: Broker) -> AsyncIterator[AIOKafkaConsumer]:
    reader = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=broker.address, group_id=GROUP, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    yield reader
    await reader.stop()


async def put(producer: AIOKafkaProducer, topic: str, *moments: int) -> None:
    for moment in moments:
        source = {"db": "chain", "table": "SalesInvoices", "ts_ms": moment}
        event = {"op": "c", "before": None, "after": {"id": 1}, "source": source}
        await producer.send_and_wait(topic, json.dumps(event).encode(), partition=0)


async def test_the_lag_of_each_consumer_group_is_measured(
    producer: AIOKafkaProducer, meter: LagMeter, reader: AIOKafkaConsumer
) -> None:
    await put(producer, TOPIC, 1, 2, 3)
    await put(producer, "sale-retry", 1)
    await put(producer, "sale-status", 1, 2)
    measured = await meter.measure()
    assert measured[GROUP][FIRST] == Offsets(0, 3)
    assert measured[f"{GROUP}-journal"][TopicPartition("sale-status", 0)] == Offsets(0, 2)
    assert sum(known.end for known in measured[GROUP].values()) == 4

    await reader.start()
    await reader.getone(FIRST)
    await reader.commit({FIRST: 1})
    assert (await meter.measure())[GROUP][FIRST] == Offsets(1, 3)
    position = await position_of(reader, {FIRST: 1})
    assert position.member
    assert position.partitions[FIRST] == PartitionPosition(1, 1)
    assert position.partitions[FIRST].lag(Offsets(1, 3)) == 2


async def test_a_consumer_that_left_its_group_is_no_member(
    producer: AIOKafkaProducer, reader: AIOKafkaConsumer
) -> None:
    await put(producer, TOPIC, 1)
    await reader.start()
    await reader.getone()
    assert (await position_of(reader, {})).member
    await reader._coordinator.close()
    assert not (await position_of(reader, {})).member
    assert await position_of(None, {}) == NO_POSITION


async def has_stopped(pid: int) -> None:
    """Wait until the process is stopped, because a busy thread answers once more."""
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            await asyncio.sleep(0.01)


async def test_a_frozen_broker_is_reported_as_away_and_found_again(
    broker: Broker, producer: AIOKafkaProducer, meter: LagMeter
) -> None:
    await put(producer, TOPIC, 1)
    await meter.measure()
    os.kill(broker.process.pid, signal.SIGSTOP)
    try:
        await has_stopped(broker.process.pid)
        with pytest.raises(BrokerAway):
            await meter.measure()
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)
    assert (await meter.measure())[GROUP][FIRST] == Offsets(0, 1)


async def test_change_progress_uses_the_databases_clock_and_not_that_of_the_events(
    settings: Settings, producer: AIOKafkaProducer, reader: AIOKafkaConsumer
) -> None:
    """Promise 3. Broken by: an event that is not worked through is taken for lost by what the connector's clock says.
    Promise 1. Broken by: an event that was lost under a backlog is never taken for lost.
    """
    now = 1_000_000

    async def now_ms() -> int:
        return now

    seven_hours_ahead = 1_700_000_000_000
    progress = ChangeProgress(settings, [TOPIC], now_ms)
    try:
        await put(producer, TOPIC, seven_hours_ahead)
        assert await progress.finished_before_ms() == 0, "of what was there at the start nothing is known"
        now += 10_000
        await put(producer, TOPIC, 0)
        assert await progress.finished_before_ms() == 0
        await reader.start()
        await reader.getone(FIRST)
        await reader.commit({FIRST: 1})
        now += 10_000
        assert await progress.finished_before_ms() == 1_000_000, "the end of the first look is committed"
        await reader.commit({FIRST: 2})
        assert await progress.finished_before_ms() is None
        now += 10_000
        await put(producer, TOPIC, 0)
        assert await progress.finished_before_ms() == 1_020_000, "then all was finished"
    finally:
        await progress.close()


async def test_a_commit_on_a_deleted_topic_does_not_finish_events_of_its_successor(
    settings: Settings, producer: AIOKafkaProducer, reader: AIOKafkaConsumer
) -> None:
    """Promise 3. Broken by: events of a recreated topic are taken for lost before anybody has read them."""

    async def now_ms() -> int:
        return 1_000_000

    progress = ChangeProgress(settings, [TOPIC], now_ms)
    try:
        await put(producer, TOPIC, 1)
        await reader.start()
        await reader.getone(FIRST)
        await reader.commit({FIRST: 1_000})
        assert await progress.finished_before_ms() == 0
        await reader.commit({FIRST: 1})
        assert await progress.finished_before_ms() is None
    finally:
        await progress.close()
