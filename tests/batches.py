"""Batches of records, byte by byte, as no proper client would write them, and a way to send them to a broker."""

from __future__ import annotations

import gzip
import io
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record._crc32c import crc as crc32c

LENGTH, MAGIC, CRC, COVERED, COUNT, RECORDS = 8, 16, 17, 21, 57, 61
"""Where these stand in a batch; its checksum covers all from COVERED on."""
GZIP = 1
_HEAD = struct.Struct(">qiibIhiqqqhii")
_AT = int(time.time() * 1000)
"""What is older than a topic keeps is deleted before anybody reads it."""
_MIB = 2**20


def number(value: int) -> bytes:
    """Encode a number as within a record."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def record(value: bytes, delta: int = 0, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Build a record; `delta` is its offset after that of the batch."""
    named = [number(len(name)) + name + number(len(text)) + text for name, text in headers]
    inner = b"".join(
        [b"\0", number(0), number(delta), number(-1), number(len(value)), value, number(len(named)), *named]
    )
    return number(len(inner)) + inner


@dataclass
class Batch:
    """A valid batch, except for what is changed in it."""

    records: bytes
    count: int = 1
    codec: int = 0
    first: int = 0
    magic: int = 2
    spoilt: bool = False
    """Its checksum is another's."""
    spans: int | None = None
    """How many offsets; otherwise as many as there are records."""

    def __bytes__(self) -> bytes:
        last = (self.count if self.spans is None else self.spans) - 1
        head = _HEAD.pack(
            self.first,
            len(self.records) + RECORDS - LENGTH - 4,
            -1,
            self.magic,
            0,
            self.codec,
            last,
            _AT,
            _AT,
            -1,
            -1,
            -1,
            self.count,
        )
        built = bytearray(head + self.records)
        checksum = crc32c(bytes(built[COVERED:])) ^ self.spoilt
        built[CRC : CRC + 4] = struct.pack(">I", checksum)
        return bytes(built)


def bomb(size_mb: int) -> bytes:
    """Build a gzip batch of one record with a value of that many MiB of zeros, piece by piece."""
    size = size_mb * _MIB
    head = b"\0" + number(0) + number(0) + number(-1) + number(size)
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(number(len(head) + size + 1) + head)
        for _ in range(size_mb):
            file.write(bytes(_MIB))
        file.write(number(0))
    return packed.getvalue()


async def put_raw(address: str, topic: str, partition: int, batch: bytes | Batch) -> int:
    """Return the broker's answer: the number of an error, 0 for none."""
    client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=60_000)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        request = ProduceRequest(None, -1, 30_000, [(topic, [(partition, bytes(batch))])])
        answer = await client.send(leader, request)
    finally:
        await client.close()
    [(_, [(_, code, *_)])] = answer.topics
    return int(code)
