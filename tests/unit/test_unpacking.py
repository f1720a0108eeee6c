"""Tests aiokafka's own records and fetch results, without a broker, when a batch cannot be unpacked."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record._crc32c import crc as crc32c
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from structlog.testing import capture_logs

from streams.kafka import unpacking
from streams.kafka.unpacking import Unreadable
from tests.batches import GZIP, Batch, bomb, record
from tests.support.moved_clock import Clock

SALES = TopicPartition("sales", 3)
OTHER = TopicPartition("sales", 4)
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_LENGTH, _CRC, _COVERED, _RECORDS = 8, 17, 21, 61
"""Where these stand in a batch."""


def batch(first: int, *values: bytes, codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000_000,
    )
    for number, value in enumerate(values):
        assert builder.append(number, 1_795_400_000_000, b"key", value, []) is not None
    built = bytearray(builder.build())
    built[0:8] = struct.pack(">q", first)
    return bytes(built)


def rubbish(first: int, codec: int) -> bytes:
    """Build a batch that claims to be compressed, is not, and has a valid checksum."""
    built = bytearray(batch(first, b"a value")[:_RECORDS] + b"\x07nothing of the kind")
    built[_COVERED : _COVERED + 2] = struct.pack(">h", codec)
    built[_LENGTH : _LENGTH + 4] = struct.pack(">i", len(built) - _LENGTH - 4)
    built[_CRC : _CRC + 4] = struct.pack(">I", crc32c(bytes(built[_COVERED:])))
    return bytes(built)


def broken(first: int) -> bytes:
    """Build a batch with one corrupt byte."""
    built = bytearray(batch(first, b"a value"))
    built[-3] ^= 0xFF
    return bytes(built)


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Unreadable:
    registry = Unreadable(clock)
    monkeypatch.setattr(unpacking, "UNREADABLE", registry)
    unpacking.skip_unreadable_batches()
    return registry


class Fetched:
    """The records that a fetch brought from one partition, and the position of its consumer."""

    def __init__(self, raw: bytes, offset: int = 0) -> None:
        self.position = offset
        state = SimpleNamespace(paused=False, position=offset, consumed_to=self._consumed_to)
        self._state = state
        assignment = SimpleNamespace(active=True, state_value=lambda _: state)
        records = fetcher.PartitionRecords(SALES, MemoryRecords(raw), [], offset, None, None, True, 0)
        self._result: Any = fetcher.FetchResult(SALES, assignment=assignment, partition_records=records, backoff=0)

    def _consumed_to(self, position: int) -> None:
        self.position = self._state.position = position

    def all(self, most: int | None = None) -> list[bytes]:
        return [record.value for record in self._result.getall(most)] if self._result.has_more() else []


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_batch_of_each_codec_is_read(unreadable: Unreadable, codec: int) -> None:
    fetched = Fetched(batch(0, b"one", b"two", codec=codec))
    assert fetched.all() == [b"one", b"two"]
    assert fetched.position == 2
    assert unreadable.current_outage() is None


BAD = {
    "broken": broken(2),
    **{name: rubbish(2, codec) for name, codec in (CODECS | {"a codec to come": 5}).items() if codec},
    "fewer records than there are": bytes(Batch(record(b"a value"), first=2, count=0, spans=1)),
    "a header's name is no UTF-8": bytes(Batch(record(b"a value", headers=[(b"\xff\xfe", b"")]), first=2)),
    "a bomb": bytes(Batch(bomb(20), first=2, codec=GZIP)),
    "an offset far beyond": bytes(Batch(record(b"a value", delta=2**31 - 1), first=2)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("most", [None, 1, 2, 500])
def test_records_before_an_unreadable_batch_are_delivered_and_the_batch_is_reported(
    unreadable: Unreadable, clock: Clock, bad: bytes, most: int | None
) -> None:
    """Promise 5. Broken by: a batch that cannot be unpacked ends every worker that reads it."""
    with capture_logs() as lines:
        fetched = Fetched(batch(0, b"one", b"two") + bad)
        read: list[bytes] = []
        for _ in range(3):
            read += fetched.all(most)
        assert read == [b"one", b"two"]
        assert fetched.position == 2, "nothing is passed over"
        for _ in range(5):
            clock.now += 10
            again = Fetched(bad, fetched.position)
            assert again.all(most) == []
            assert again.position == 2
    [line] = lines
    assert (line["event"], line["topic"], line["partition"], line["offset"]) == ("kafka.unreadable", "sales", 3, 2)
    wait = unreadable.current_outage()
    assert wait
    assert wait.what.startswith("cannot be unpacked: sales, partition 3, offset 2 (")
    assert (wait.part, wait.holds_up_sales) == ("kafka", False)
    assert wait.until > clock.now + 100, "the watchdog forgives it"


@pytest.mark.parametrize("most", [None, 1, 2])
def test_a_record_with_an_offset_beyond_its_batch_hides_no_later_record(
    unreadable: Unreadable, most: int | None
) -> None:
    """Promise 1. Broken by: the offset that a record gives itself is believed, and all after it count as read."""
    fetched = Fetched(batch(0, b"one") + bytes(Batch(record(b"far", delta=2**31 - 1), first=1)) + batch(2, b"two"))
    read = fetched.all(most) + fetched.all(most)
    assert (read, fetched.position) == ([b"one"], 1)
    assert "sales, partition 3, offset 1 (OffsetBeyondBatch)" in str(unreadable.current_outage())
    assert Fetched(batch(2, b"two"), 2).all() == [b"two"]


@pytest.mark.parametrize("count", [3, 2**31 - 1])
def test_a_batch_that_claims_more_records_than_it_has_is_read_and_reported(unreadable: Unreadable, count: int) -> None:
    fetched = Fetched(bytes(Batch(record(b"one") + record(b"two", 1), count=count)))
    assert fetched.all() == [b"one", b"two"]
    assert fetched.position == 2
    assert "sales, partition 3, offset 2 (CorruptRecordException)" in str(unreadable.current_outage())


@pytest.mark.parametrize("magic", [0, 1])
def test_a_batch_of_an_older_format_is_reported(unreadable: Unreadable, magic: int) -> None:
    fetched = Fetched(bytes(Batch(record(b"a value"), first=2, magic=magic)), 2)
    assert (fetched.all(), fetched.position) == ([], 2)
    # Which error it is depends on what aiokafka then takes for the length of a record.
    assert "sales, partition 3, offset 2 (" in str(unreadable.current_outage())


def test_only_the_partition_of_an_unreadable_batch_is_fetched_less_often(unreadable: Unreadable, clock: Clock) -> None:
    """Promise 5. Broken by: a partition that cannot be unpacked is fetched without a pause."""
    assert unreadable.ready({SALES, OTHER}) == {SALES, OTHER}
    Fetched(broken(0)).all()
    assert unreadable.ready({SALES, OTHER}) == {OTHER}
    assert unreadable.ready({SALES}) == set()
    clock.now += 10
    assert unreadable.ready({SALES, OTHER}) == {SALES, OTHER}


def test_the_report_ends_when_the_unreadable_batch_was_skipped(unreadable: Unreadable) -> None:
    Fetched(broken(0)).all()
    with capture_logs() as lines:
        assert Fetched(batch(1, b"after it"), 1).all() == [b"after it"]
    assert [line["event"] for line in lines] == ["kafka.readable_again"]
    assert unreadable.current_outage() is None


def test_an_unreadable_batch_that_another_worker_has_now_is_no_longer_reported(
    unreadable: Unreadable, clock: Clock
) -> None:
    Fetched(broken(0)).all()
    clock.now += 61
    assert unreadable.current_outage() is None


def test_an_unreadable_batch_that_stays_is_logged_every_ten_minutes(unreadable: Unreadable, clock: Clock) -> None:
    with capture_logs() as lines:
        for _ in range(130):
            clock.now += 10
            Fetched(broken(0)).all()
    assert [line["for_s"] for line in lines] == [0, 600, 1200]
