"""Tests that no compressed batch grows beyond its bounds, with each codec's own encoder."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cramjam
import pytest
from aiokafka import codec as aiokafka_codec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.kafka import bounded_unpacking
from streams.kafka.bounded_unpacking import (
    MOST,
    MOST_OF_A_RECORD,
    TooLarge,
    unpack_gzip,
    unpack_lz4,
    unpack_snappy,
    unpack_within_bounds,
    unpack_zstd,
)
from tests.batches import Batch, bomb, number, record

MIB = 2**20


@dataclass(frozen=True)
class Codec:
    number: int
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes], bytes]


def packed_in_pieces(codec: Any) -> Callable[[bytes], bytes]:
    """Compress as a client does that writes a growing batch and cannot state its size in advance."""

    def pack(data: bytes) -> bytes:
        packer = codec.Compressor()
        for place in range(0, len(data), 50_000):
            packer.compress(data[place : place + 50_000])
        return bytes(packer.finish())

    return pack


CODECS = {
    "gzip": Codec(1, aiokafka_codec.gzip_encode, unpack_gzip),
    "snappy": Codec(2, aiokafka_codec.snappy_encode, unpack_snappy),
    "snappy in one piece": Codec(2, lambda data: bytes(cramjam.snappy.compress_raw(data)), unpack_snappy),
    "lz4": Codec(3, aiokafka_codec.lz4_encode, unpack_lz4),
    "lz4 in pieces": Codec(3, packed_in_pieces(cramjam.lz4), unpack_lz4),
    "zstd": Codec(4, aiokafka_codec.zstd_encode, unpack_zstd),
    "zstd in pieces": Codec(4, packed_in_pieces(cramjam.zstd), unpack_zstd),
}
EACH = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
LARGEST = b"".join(record(bytes(MIB - 20), number_) for number_ in range(MOST // MIB))
"""As large as a batch may be, of records that each are allowed."""


def contents() -> list[bytes]:
    chance = random.Random(5)
    sizes = (1, 100, 70_000, 300_000, 3_000_000)
    return [
        *(chance.randbytes(size) for size in sizes),
        *(bytes(size) for size in sizes),
        *((b'{"id": %d, "name": "Lan"}' % size) * (1 + size // 24) for size in sizes),
    ]


@EACH
def test_a_batch_within_the_bounds_is_unpacked_unchanged(codec: Codec) -> None:
    for content in contents():
        assert codec.unpack(codec.pack(content)) == content
    assert MOST - MIB < len(LARGEST) <= MOST
    assert codec.unpack(codec.pack(LARGEST)) == LARGEST


@EACH
def test_a_decompression_bomb_is_refused_before_it_fills_memory(codec: Codec) -> None:
    """Promise 5. Broken by: a batch of a kilobyte may fill a worker's memory."""
    packed = codec.pack(bytes(8 * MOST))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            codec.unpack(packed)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * MOST


@EACH
def test_batches_that_aiokafka_reads_are_unpacked_within_the_bounds(codec: Codec) -> None:
    unpack_within_bounds()
    batch = MemoryRecords(bytes(Batch(codec.pack(record(bytes(MOST))), codec=codec.number))).next_batch()
    assert batch is not None
    with pytest.raises(TooLarge):
        next(iter(batch))


def test_all_members_of_a_gzip_stream_are_unpacked_within_the_same_bounds() -> None:
    packed = aiokafka_codec.gzip_encode(b"one, ") + aiokafka_codec.gzip_encode(b"two")
    assert unpack_gzip(packed) == b"one, two"
    assert unpack_gzip(packed + bytes(7)) == b"one, two"
    with pytest.raises(TooLarge):
        unpack_gzip(aiokafka_codec.gzip_encode(bytes(MOST // 2)) * 3)
    with pytest.raises(CorruptRecordException, match="too many"):
        unpack_gzip(aiokafka_codec.gzip_encode(b"") * 100)


def test_a_record_of_millions_of_headers_is_refused() -> None:
    """Promise 5. Broken by: eight million empty headers in one record take as much memory as ten workers."""
    headers = (MOST_OF_A_RECORD // 2 + 10) * b"\0\1"
    inner = b"\0" + number(0) + number(0) + number(-1) + number(-1) + number(len(headers) // 2) + headers
    packed = aiokafka_codec.zstd_encode(number(len(inner)) + inner)
    assert len(packed) < 10_000
    with pytest.raises(TooLarge):
        unpack_zstd(packed)


@EACH
def test_a_truncated_or_corrupt_batch_raises_without_hanging_or_growing(codec: Codec) -> None:
    """Any error is enough, because it is reported with its partition."""
    packed = codec.pack(contents()[-2] + bytes(200_000))
    chance = random.Random(7)
    for _ in range(300):
        spoilt = bytearray(packed[: chance.randrange(len(packed))] if chance.random() < 0.3 else packed)
        for _ in range(chance.randrange(4)):
            if spoilt:
                spoilt[chance.randrange(min(len(spoilt), 40))] = chance.randrange(256)
        try:
            out = codec.unpack(bytes(spoilt))
        except Exception:  # noqa: S112 - which one, is the library's to choose
            continue
        assert len(out) <= MOST


def test_the_bomb_that_other_tests_use_really_is_one() -> None:
    assert len(bomb(20)) < 25_000
    with pytest.raises(TooLarge):
        unpack_gzip(bomb(20))
    assert len(bounded_unpacking.unpack_gzip(bomb(3))) > 3 * MIB
