"""Tests aiokafka's own fetch requests when a broker answers for one partition with an error."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiokafka.consumer import consumer
from aiokafka.errors import KafkaStorageError, NoError, NotLeaderForPartitionError, UnknownError
from aiokafka.protocol.fetch import FetchRequest
from structlog.testing import capture_logs

from streams.kafka import fetching, unpacking
from streams.kafka.fetching import (
    leave_out_paused_partitions,
    note_refused_partitions,
    pause_unreadable_partitions,
)
from streams.kafka.unpacking import Unreadable
from tests.support.moved_clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Unreadable:
    registry = Unreadable(clock)
    monkeypatch.setattr(fetching, "UNREADABLE", registry)
    monkeypatch.setattr(unpacking, "UNREADABLE", registry)
    return registry


def request() -> FetchRequest:
    return FetchRequest(500, 1, 1000, 0, [("sales", [(0, 7, 100), (1, 8, 100)]), ("others", [(0, 9, 100)])])


def answer(code: int) -> SimpleNamespace:
    return SimpleNamespace(
        topics=[("sales", [(0, code, -1, b""), (1, 0, 50, b"")]), ("others", [(0, 0, 60, b"")])], API_VERSION=4
    )


@pytest.mark.parametrize("error", [UnknownError, KafkaStorageError])
def test_an_unreadable_partition_is_reported_and_paused(
    unreadable: Unreadable, clock: Clock, error: type[UnknownError] | type[KafkaStorageError]
) -> None:
    """Promise 5. Broken by: a partition that its broker cannot read is requested hundreds of times a second."""
    with capture_logs() as lines:
        note_refused_partitions(request(), answer(error.errno))
    assert [(line["event"], line["partition"], line["offset"]) for line in lines] == [("kafka.unreadable", 0, 7)]
    assert f"sales, partition 0, offset 7 ({error.__name__})" in str(unreadable.current_outage())
    sent = request()
    assert leave_out_paused_partitions(sent)
    assert sent.topics == [("sales", [(1, 8, 100)]), ("others", [(0, 9, 100)])]
    clock.now += 10
    again = request()
    assert leave_out_paused_partitions(again)
    assert again.topics == request().topics


def test_no_request_is_sent_when_all_its_partitions_are_paused(unreadable: Unreadable) -> None:
    alone = FetchRequest(500, 1, 1000, 0, [("sales", [(0, 7, 100)])])
    note_refused_partitions(alone, SimpleNamespace(topics=[("sales", [(0, UnknownError.errno, -1, b"")])]))
    assert not leave_out_paused_partitions(alone)
    assert unreadable.of(("sales", 0))


def test_the_report_ends_when_the_broker_can_read_the_partition_again(unreadable: Unreadable) -> None:
    note_refused_partitions(request(), answer(UnknownError.errno))
    with capture_logs() as lines:
        note_refused_partitions(request(), answer(NoError.errno))
    assert [line["event"] for line in lines] == ["kafka.readable_again"]
    assert unreadable.current_outage() is None


def test_a_passing_error_of_a_broker_is_not_reported(unreadable: Unreadable) -> None:
    note_refused_partitions(request(), answer(NotLeaderForPartitionError.errno))
    assert unreadable.current_outage() is None
    sent = request()
    assert leave_out_paused_partitions(sent)
    assert sent.topics == request().topics


def test_every_consumer_uses_the_fetcher_that_pauses_unreadable_partitions() -> None:
    pause_unreadable_partitions()
    assert consumer.Fetcher.__module__ == "streams.kafka.fetching"
