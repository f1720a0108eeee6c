"""Tests that every reader reads a topic with any compression, and that an unreadable batch stops nobody."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka
from streams.local.real.stack import RealStack
from streams.local.simulator import presets
from streams.local.stack import CHANGE_TOPIC
from streams.operators import Problem
from streams.operators.topic_reader import open_reader
from streams.settings import Settings
from tests.batches import COVERED, LENGTH, RECORDS
from tests.contract.stores.databases import settings_for
from tests.pipeline.pipeline import Pipeline
from tests.support.worker_requests import RequestedWorker

TOPICS = (CHANGE_TOPIC, "sale-retry", "sale-status", "sale-dead-letter")
CODECS = ("gzip", "snappy", "lz4", "zstd")
ATTRIBUTE = {codec: number for number, codec in enumerate(("uncompressed", *CODECS))}


async def compress_with(address: str, codec: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic, {"compression.type": codec}) for topic in TOPICS]
        await admin.alter_configs(resources)
    finally:
        await admin.close()


async def read_as_operators_do(settings: Settings, topic: str) -> list[bytes | None]:
    """Read the topic as `tail` and `replay` do."""
    async with open_reader(settings, topic) as reader:
        end_offsets = {partition: end for partition, (_, end) in (await reader.bounds()).items()}
        reader.seek(dict.fromkeys(end_offsets, 0))
        return [record.value async for batch in reader.read_until(end_offsets) for record in batch]


def codecs_on_disk(stack: RealStack, topic: str) -> set[int]:
    """Return the codecs of the batches that a topic has, by their attributes."""
    found = set()
    for segment in stack.folder.rglob(f"{topic}-[0-9]*/*.log"):
        raw, place = segment.read_bytes(), 0
        while place + RECORDS <= len(raw):
            (length,) = struct.unpack_from(">i", raw, place + LENGTH)
            found.add(struct.unpack_from(">h", raw, place + COVERED)[0] & 7)
            place += LENGTH + 4 + length
    return found


async def test_a_batch_of_each_codec_is_read_by_every_reader(real_stack: RealStack) -> None:
    """Sales, some of them by sale-retry, are accepted and written back, and the journal and the operators' commands
    read them too.
    """
    async with Pipeline(real_stack) as pipeline:
        worker = pipeline.start_worker()
        settings = settings_for(kafka_bootstrap_servers=real_stack.kafka.address)
        sold = 0
        for round_, codec in enumerate(("uncompressed", *CODECS), 1):
            await compress_with(real_stack.kafka.address, codec)
            retried = len(await pipeline.records("sale-retry"))
            # These are looked up and sent again, by way of sale-retry.
            await pipeline.control.add_rule(presets.cut_before_accepting(), "create", times=3)
            sold += len(pipeline.seller.sell(20))
            await pipeline.produce(b"no message of ours", topic="sale-retry")
            await pipeline.until_decided()
            assert pipeline.counts() == {"SYNC_SUCCESS": sold}, codec
            assert len(await pipeline.records("sale-retry")) > retried + 1, "some came by it"
            await pipeline.until(lambda: len(pipeline.journal("task_logs")) >= sold, f"{codec}: the journal")  # noqa: B023
            assert len(await read_as_operators_do(settings, "sale-status")) >= sold
            await pipeline.until(lambda: worker.output().count("[error    ] dead_letter") == round_, codec)  # noqa: B023
            assert await read_as_operators_do(settings, "sale-dead-letter") == [b"no message of ours"] * round_
            for topic in TOPICS:
                assert ATTRIBUTE[codec] in codecs_on_disk(real_stack, topic), f"{topic} holds batches of {codec}"
        await pipeline.assert_both_sides_agree()
        assert worker.running


def break_on_disk(stack: RealStack, topic: str, value: bytes) -> None:
    [segment] = (
        path for path in stack.folder.rglob(f"{topic}-0/*.log") if path.is_file() and value in path.read_bytes()
    )
    raw = bytearray(segment.read_bytes())
    raw[raw.index(value)] ^= 0xFF
    with segment.open("r+b") as file:  # in its place: the broker has it open
        file.write(raw)


async def put(stack: RealStack, topic: str, *values: bytes) -> None:
    """Write each record as a batch of its own to the first partition."""
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka.address) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def delete_up_to(stack: RealStack, topic: str, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka.address)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def test_a_batch_that_a_disk_corrupted_affects_only_its_partition(real_stack: RealStack) -> None:
    async with Pipeline(real_stack) as pipeline:
        await put(real_stack, "sale-retry", b"the first", b"the broken one", b"the last")
        await put(real_stack, "sale-status", b"a broken decision")
        break_on_disk(real_stack, "sale-retry", b"the broken one")
        break_on_disk(real_stack, "sale-status", b"a broken decision")
        worker = RequestedWorker(pipeline)
        pipeline.seller.sell(40)

        async def others_are_decided() -> bool:
            return pipeline.counts().get("SYNC_SUCCESS", 0) >= 20

        await pipeline.until(others_are_decided, "the other partitions go on")
        await pipeline.until(lambda: worker.shows(200, "kafka"), "it says so")
        _, health = await worker.get("/readyz")
        [reason] = health["reasons"]
        assert "sale-retry, partition 0, offset 1 (CorruptRecordException)" in reason["what"]
        assert "sale-status, partition 0, offset 0 (CorruptRecordException)" in reason["what"]
        await asyncio.sleep(20)  # beyond the watchdog's patience
        assert (await worker.get("/livez"))[0] == 200
        assert worker.process.running
        with pytest.raises(Problem, match="sale-status, partition 0, offset 0"):
            await read_as_operators_do(settings_for(kafka_bootstrap_servers=real_stack.kafka.address), "sale-status")

        await delete_up_to(real_stack, "sale-retry", 2)
        await delete_up_to(real_stack, "sale-status", 1)
        await pipeline.until_decided(90)
        assert pipeline.counts() == {"SYNC_SUCCESS": 40}
        await pipeline.until(lambda: worker.process.output().count("[error    ] dead_letter") == 2, "first and last")
        await pipeline.until(lambda: worker.shows(200), "nothing is waited for")
        assert "watchdog.stalled" not in worker.process.output()


@pytest.fixture
def broker(fetched: Jars, tmp_path: Path) -> Iterator[Kafka]:
    with Kafka(tmp_path, fetched) as server:
        yield server


@pytest.mark.parametrize("codec", CODECS)
async def test_a_topic_without_compression_refuses_a_batch_that_is_too_large_unpacked(
    broker: Kafka, codec: str
) -> None:
    """The broker unpacks each compressed batch, and measures it again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        config = {"compression.type": "uncompressed"}
        await admin.create_topics([NewTopic("sales", 1, 1, topic_configs=config), NewTopic("as-it-comes", 1, 1)])
    finally:
        await admin.close()
    options = {"bootstrap_servers": broker.address, "compression_type": codec, "max_request_size": 100_000_000}
    async with AIOKafkaProducer(max_batch_size=50_000_000, **options) as producer:
        await producer.send_and_wait("sales", b"small")
        await producer.send_and_wait("as-it-comes", b"\0" * 20_000_000)
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait("sales", b"\0" * 20_000_000)
