"""Tests which hostile or corrupt batches a real broker accepts, and that each affects only its partition. ``make
bomb`` has the largest.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import CorruptRecordException, MessageSizeTooLargeError, NoError, UnknownError, for_code

from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka
from streams.local.real.stack import RealStack
from streams.local.stack import CHANGE_TOPIC
from streams.operators.commands.sizing import MEMORY_MB
from tests.batches import GZIP, MAGIC, Batch, bomb, number, put_raw, record
from tests.pipeline.pipeline import Pipeline
from tests.pipeline.test_watchdog import beyond_the_watchdogs_timeout
from tests.servers.test_codecs import compress_with
from tests.support.worker_requests import RequestedWorker

BOMB_MB = int(os.environ.get("BOMB_MB", "64"))
_HEADERS = 4_000_000


def of_headers() -> bytes:
    """Build a gzip batch of one record with nothing but headers without name and value."""
    inner = b"\0" + number(0) * 2 + number(-1) * 2 + number(_HEADERS) + b"\0\1" * _HEADERS
    return gzip.compress(number(len(inner)) + inner)


BAD_NAME = Batch(record(b"{}", headers=[(b"Nh\xe0 thu\xf4c", b"")]))
"""As a client in another tongue writes it, which does not look at its encoding."""
FAR_BEYOND = Batch(record(b"{}", delta=2**31 - 1))
TWO = record(b"a") + record(b"b", 1)

# ---- what a broker lets through ----


@pytest.fixture(scope="module")
def broker(fetched: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("kafka"), fetched) as server:
        yield server


LET_THROUGH = {
    "as it should be": Batch(record(b"{}")),
    "a header's name that is no UTF-8": BAD_NAME,
    "an offset that is not the batch's": FAR_BEYOND,
}
REFUSED = {
    "another checksum": Batch(record(b"{}"), spoilt=True),
    "a magic of long ago": Batch(record(b"{}"), magic=1),
    "a magic to come": Batch(record(b"{}"), magic=5),
    "more records said than there are": Batch(TWO, count=3),
    "fewer": Batch(TWO, count=1),
    "fewer than none": Batch(TWO, count=-1, spans=2),
    "more headers said than there are": Batch(number(10) + b"\0" + number(0) * 2 + number(-1) * 2 + number(2**30)),
    "a codec to come": Batch(record(b"{}"), codec=5),
    "what says gzip and is none": Batch(b"\x07nothing of the kind", codec=GZIP),
    "what says lz4 and is none": Batch(b"\x07nothing of the kind", codec=3),
}


async def test_kafka_accepts_exactly_the_known_hostile_batches(broker: Kafka) -> None:
    """Where a new version of Kafka accepts others, a worker has to withstand them too."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("sales", 1, 1, topic_configs={"compression.type": "uncompressed"})])
        await admin.describe_topics(["sales"])
    finally:
        await admin.close()
    while for_code(await put_raw(broker.address, "sales", 0, LET_THROUGH["as it should be"])) is not NoError:
        pass  # it has a leader a moment later
    for name, batch in LET_THROUGH.items():
        assert for_code(await put_raw(broker.address, "sales", 0, batch)) is NoError, name
    for name, batch in REFUSED.items():
        answer = for_code(await put_raw(broker.address, "sales", 0, batch))
        assert answer in (CorruptRecordException, UnknownError), name


# ---- what a worker does with them ----

PLACES = {
    (CHANGE_TOPIC, 0): Batch(bomb(BOMB_MB), codec=GZIP),
    ("sale-retry", 0): Batch(bomb(BOMB_MB), codec=GZIP),
    ("sale-retry", 1): Batch(of_headers(), codec=GZIP),
    ("sale-retry", 2): BAD_NAME,
    ("sale-retry", 3): FAR_BEYOND,
    ("sale-status", 0): Batch(bomb(BOMB_MB), codec=GZIP),
    ("sale-status", 1): BAD_NAME,
}
BROKEN_ON_DISK = ("sale-retry", 4)
ERRORS = {
    (CHANGE_TOPIC, 0): "TooLarge",
    ("sale-retry", 0): "TooLarge",
    ("sale-retry", 1): "TooLarge",
    ("sale-retry", 2): r"\w+",
    ("sale-retry", 3): "OffsetBeyondBatch",
    BROKEN_ON_DISK: "UnknownError",
    ("sale-status", 0): "TooLarge",
    ("sale-status", 1): r"\w+",
}


@pytest.mark.timeout(600)
async def test_a_hostile_batch_affects_only_its_partition_and_no_memory(real_stack: RealStack) -> None:

    address = real_stack.kafka.address
    for topic in (CHANGE_TOPIC, "sale-retry", "sale-status"):
        answer = for_code(await put_raw(address, topic, 0, PLACES["sale-retry", 0]))
        # What the broker cannot hold itself it refuses without a word of why.
        assert answer in (MessageSizeTooLargeError, UnknownError), "the topics as they are made"
    behind = 0
    await compress_with(address, "producer")  # as a house may have made them
    for (topic, partition), batch in PLACES.items():
        assert for_code(await put_raw(address, topic, partition, batch)) is NoError
        if topic != "sale-status":  # that is read by the test itself
            assert for_code(await put_raw(address, topic, partition, Batch(record(b"behind it")))) is NoError
            behind += 1
    assert for_code(await put_raw(address, *BROKEN_ON_DISK, Batch(record(b"its magic changes")))) is NoError
    change_magic(real_stack, *BROKEN_ON_DISK)

    async with Pipeline(real_stack) as pipeline:
        worker = RequestedWorker(pipeline)
        sold = len(pipeline.seller.sell(60))
        await pipeline.until(
            lambda: all(said(worker.process.output(), place, error) for place, error in ERRORS.items()), "all are named"
        )
        await pipeline.until(lambda: worker.shows(200, "kafka"), "it waits for nothing else")
        await pipeline.until(lambda: pipeline.counts().get("SYNC_SUCCESS", 0) >= 20, "the other partitions go on")
        await beyond_the_watchdogs_timeout()
        assert (await worker.get("/livez"))[0] == 200
        assert worker.process.running
        highest = highest_mb(worker.process.pid)
        print(f"\na bomb of {BOMB_MB} MB on three topics: the worker's memory was {highest} MB at its highest")  # noqa: T201
        assert highest < 3 * MEMORY_MB

        await delete_bad(address)
        await pipeline.until_decided(120)
        assert pipeline.counts() == {"SYNC_SUCCESS": sold}
        await pipeline.assert_both_sides_agree()
        letters = f"{behind} of what lay behind them could not be read, and is said to be so"
        await pipeline.until(lambda: worker.process.output().count("[error    ] dead_letter") == behind, letters)
        await pipeline.until(lambda: worker.shows(200), "nothing is waited for")
        assert "watchdog.stalled" not in worker.process.output()


def said(output: str, place: tuple[str, int], error: str) -> bool:
    topic, partition = place
    return any(
        re.search(rf"\bpartition={partition}\b", line)
        and re.search(r"\boffset=0\b", line)
        and f"topic={topic}" in line
        and re.search(rf"\berror={error}\b", line)
        for line in output.splitlines()
        if "kafka.unreadable" in line
    )


def highest_mb(pid: int) -> int:
    [kib] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kib) // 1024


def change_magic(stack: RealStack, topic: str, partition: int) -> None:
    """Change the magic byte, which the checksum does not cover, and which the broker itself cannot read."""
    [segment] = stack.folder.rglob(f"{topic}-{partition}/{0:020}.log")
    with segment.open("r+b") as file:  # in its place: the broker has it open
        file.seek(MAGIC)
        file.write(struct.pack(">b", 1))


async def delete_bad(address: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(*place): RecordsToDelete(before_offset=1) for place in ERRORS})
    finally:
        await admin.close()
