"""Decompress batches within bounds, so that 870 KB of gzip which expand to 900 MB cannot end a worker.

aiokafka (0.14.0) decompresses a whole batch at once, however large it becomes. Here gzip is stopped once it has
produced too much; for the other codecs the size is known beforehand from their block headers. A batch beyond the bounds
counts as one that cannot be unpacked, which is the problem of its partition alone (`streams.kafka.unpacking`)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import cramjam
from aiokafka.errors import CorruptRecordException
from aiokafka.record import default_records, legacy_records

MOST = 16 * 2**20
"""The largest batch in bytes, uncompressed: sixteen times what a broker accepts in one piece. Our own messages are sent
uncompressed, and Kafka Connect's batches are 16 KB before compression. Every partition of a worker may hold one.
"""
MOST_OF_A_RECORD = 4 * 2**20
"""The largest record in bytes. Headers of two bytes each take forty times as much memory once they are read."""

_MOST_MEMBERS = 64
"""How many gzip members a batch may have. Every client writes one, and each further one copies what is left."""
_LEAST_RECORD = 6
"""The smallest record in bytes, with nothing but lengths. Otherwise sixteen million empty records could be claimed."""
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEAD = 16
_LZ4_FRAME = 0x184D2204
_ZSTD_FRAME = 0xFD2FB528
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_ZSTD_BLOCK = 128 * 1024


class TooLarge(CorruptRecordException):  # type: ignore[misc]
    """A batch, or one of its records, is larger than the bounds allow."""


def unpack_gzip(packed: Any) -> bytes:
    """Decompress gzip, one member after the other, as the standard library does. Raises `TooLarge` beyond `MOST`."""
    left = bytes(packed)
    parts: list[bytes] = []
    room = MOST
    for _ in range(_MOST_MEMBERS):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        part = stream.decompress(left, room + 1)
        room -= len(part)
        if room < 0:
            raise TooLarge
        if not stream.eof:
            raise CorruptRecordException("gzip: ends too early")
        parts.append(part)
        left = stream.unused_data.lstrip(b"\0")
        if not left:
            return _of_bounded_records(b"".join(parts))
    raise CorruptRecordException("gzip: too many members")


def unpack_snappy(packed: Any) -> bytes:
    packed = bytes(packed)
    blocks = [*_xerial_blocks(packed)] if packed.startswith(_XERIAL) else [packed]
    _within(sum(cramjam.snappy.decompress_raw_len(block) for block in blocks))
    return _of_bounded_records(b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks))


def unpack_lz4(packed: Any) -> bytes:
    packed = bytes(packed)
    _within(sum(_lz4_bounds(packed)))
    return _of_bounded_records(bytes(cramjam.lz4.decompress(packed)))


def unpack_zstd(packed: Any) -> bytes:
    packed = bytes(packed)
    _within(sum(_zstd_bounds(packed)))
    return _of_bounded_records(bytes(cramjam.zstd.decompress(packed)))


def unpack_within_bounds() -> None:
    """Install these functions for all consumers of this process. aiokafka offers no other hook than names."""
    unpackers: dict[str, Callable[[Any], bytes]] = {
        "gzip_decode": unpack_gzip,
        "snappy_decode": unpack_snappy,
        "lz4_decode": unpack_lz4,
        "zstd_decode": unpack_zstd,
    }
    for module in _modules():
        for name, unpack in unpackers.items():
            if hasattr(module, name):
                setattr(module, name, unpack)


def _modules() -> Iterator[ModuleType]:
    """Yield aiokafka's modules in Python, and those in C where they are installed."""
    yield from (default_records, legacy_records)
    try:
        from aiokafka.record._crecords import default_records as of_c
        from aiokafka.record._crecords import legacy_records as legacy_of_c
    except ImportError:
        return
    yield from (of_c, legacy_of_c)


def _within(size: int) -> None:
    if size > MOST:
        raise TooLarge


def _of_bounded_records(data: bytes) -> bytes:
    if len(data) <= MOST_OF_A_RECORD:
        return data
    place, end = 0, len(data)
    while place < end:
        length = shift = 0
        byte = 0x80
        while byte >= 0x80 and shift < 35:  # a number in parts of seven bits, its sign in the last one
            byte = data[place]
            length |= (byte & 0x7F) << shift
            place += 1
            shift += 7
        if length & 1 or length >> 1 < _LEAST_RECORD:
            raise CorruptRecordException("no record is so short")
        if length >> 1 > MOST_OF_A_RECORD:
            raise TooLarge
        place += length >> 1
    return data


def _xerial_blocks(packed: bytes) -> Iterator[bytes]:
    place = _XERIAL_HEAD
    while place < len(packed):
        (size,) = struct.unpack_from(">i", packed, place)
        if size < 0:
            raise CorruptRecordException("snappy: a block of negative length")
        yield packed[place + 4 : place + 4 + size]
        place += 4 + size


def _lz4_bounds(packed: bytes) -> Iterator[int]:
    """Yield the largest possible size of each block. https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md"""
    place = 0
    while place < len(packed):
        magic, size = struct.unpack_from("<II", packed.ljust(place + 8, b"\0"), place)
        if magic in _SKIPPABLE:
            place += 8 + size
            continue
        if magic != _LZ4_FRAME:
            raise CorruptRecordException("lz4: no frame")
        flags, block = packed[place + 4], 1 << (8 + 2 * (packed[place + 5] >> 4 & 7))
        place += 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
        while True:
            (size,) = struct.unpack_from("<I", packed, place)
            place += 4
            if not size:
                break
            yield min(block, size & 0x7FFF_FFFF) if size >> 31 else block
            place += (size & 0x7FFF_FFFF) + (4 if flags & 0x10 else 0)
        place += 4 if flags & 0x04 else 0


def _zstd_bounds(packed: bytes) -> Iterator[int]:
    """Yield the largest possible size of each block (RFC 8878)."""
    place = 0
    while place < len(packed):
        magic, size = struct.unpack_from("<II", packed.ljust(place + 8, b"\0"), place)
        if magic in _SKIPPABLE:
            place += 8 + size
            continue
        if magic != _ZSTD_FRAME:
            raise CorruptRecordException("zstd: no frame")
        head = packed[place + 4]
        single = head >> 5 & 1
        place += 5 + (not single) + (0, 1, 2, 4)[head & 3] + (single, 2, 4, 8)[head >> 6]
        last = 0
        while not last:
            number = int.from_bytes(packed[place : place + 3], "little")
            if len(packed) < place + 3:
                raise CorruptRecordException("zstd: ends too early")
            last, block_type, size = number & 1, number >> 1 & 3, number >> 3
            yield size if block_type in (0, 1) else _ZSTD_BLOCK
            place += 3 + (1 if block_type == 1 else size)
        place += 4 if head & 0x04 else 0
