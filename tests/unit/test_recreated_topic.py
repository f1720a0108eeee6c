"""Tests the consumer on a topic that was recreated while its group's offsets stayed, or whose end a broker has
lost.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from structlog.testing import capture_logs

from streams.kafka.faust_overrides.transport import ResilientTransport

ONE, OTHER = TP("sale-status", 0), TP("sale-status", 1)


class Thread:
    """Replaces the thread that has aiokafka's consumer."""

    def __init__(self, committed: dict[TP, int | None], ends: dict[TP, int], *, answers: bool = True) -> None:
        self.committed = committed
        self.ends = ends
        self.position = {tp: offset or 0 for tp, offset in committed.items()}
        self.answers = answers
        self.rejoined = 0
        self.fetched: dict[TP, list[Any]] = {}

    async def seek_to_committed(self) -> dict[TP, int | None]:
        return dict(self.committed)

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        if not self.answers:
            raise KafkaConnectionError
        return {tp: self.ends[tp] for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return dict.fromkeys(partitions, 0)

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        self.position |= partitions

    async def commit(self, offsets: dict[TP, int]) -> bool:
        self.committed |= offsets
        return True

    async def rejoin_group(self) -> None:
        self.rejoined += 1

    async def getmany(self, *_: object) -> dict[TP, list[Any]]:
        return self.fetched


@pytest.fixture
async def consumer() -> Any:
    app: Any = faust.App("anew", broker="kafka://127.0.0.1:9", store="memory://", topic_disable_leader=True)
    app.transport = ResilientTransport(app.conf.broker_consumer, app)
    app.consumer._thread.thread_loop.close()
    return app.consumer


def records(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=offset) for offset in offsets]


async def test_a_partition_with_a_commit_beyond_its_end_is_read_from_its_start(consumer: Any) -> None:
    """Promise 1. Broken by: records of a recreated topic are dropped until its offsets reach the old ones."""
    consumer._thread = thread = Thread({ONE: 1000, OTHER: 5}, {ONE: 3, OTHER: 5})
    with capture_logs() as logs:
        await consumer.perform_seek()
    [line] = logs
    assert (line["event"], line["partition"], line["committed"], line["starts_at"]) == (
        "kafka.read_from_start",
        0,
        1000,
        0,
    )
    assert thread.committed == {ONE: 0, OTHER: 5}, "known at once to whoever comes next"
    assert thread.position == {ONE: 0, OTHER: 5}
    thread.fetched = {ONE: records(0, 1, 2)}
    assert await consumer._getmany(None, 1.0) == thread.fetched
    assert thread.rejoined == 0


async def test_a_fully_read_partition_without_new_records_is_left_alone(consumer: Any) -> None:
    consumer._thread = thread = Thread({ONE: 1000, OTHER: None}, {ONE: 1000, OTHER: 0})
    with capture_logs() as logs:
        await consumer.perform_seek()
    assert logs == []
    assert thread.committed == {ONE: 1000, OTHER: None}


async def test_a_topic_that_is_recreated_while_it_is_read_is_rejoined_without_committing_old_offsets(
    consumer: Any,
) -> None:
    """Promise 1. Broken by: records of a topic that was recreated under a worker are dropped without a log line."""
    consumer._thread = thread = Thread({ONE: 1000, OTHER: 5}, {ONE: 1000, OTHER: 5})
    await consumer.perform_seek()
    thread.fetched = {ONE: records(0, 1), OTHER: records(5)}
    with capture_logs() as logs:
        assert await consumer._getmany(None, 1.0) == {OTHER: thread.fetched[OTHER]}
        assert await consumer._getmany(None, 1.0) == {OTHER: thread.fetched[OTHER]}, "until it is given out again"
    assert [log["event"] for log in logs] == ["kafka.read_from_start"]
    assert (thread.committed, thread.rejoined) == ({ONE: 0, OTHER: 5}, 1)
    assert not consumer._should_commit(ONE, 1001), "that was an offset of the topic of before"
    await consumer.perform_seek()
    assert await consumer._getmany(None, 1.0) == thread.fetched
    assert consumer._should_commit(ONE, 2)


async def test_a_recreated_topic_is_recognized_by_its_records_when_its_end_is_unknown(consumer: Any) -> None:
    consumer._thread = thread = Thread({ONE: 1000}, {ONE: 3}, answers=False)
    with capture_logs() as logs:
        await consumer.perform_seek()
        thread.fetched = {ONE: records(0)}
        assert await consumer._getmany(None, 1.0) == {}
    assert [log["event"] for log in logs] == ["kafka.ends_unknown", "kafka.read_from_start"]
    assert thread.rejoined == 1
