"""A topic that was deleted and made again while its group's offsets stayed, or that a broker has lost the end of."""

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
    """In the place of the one that has aiokafka's consumer."""

    def __init__(self, committed: dict[TP, int | None], ends: dict[TP, int], *, answers: bool = True) -> None:
        self.committed = committed
        self.ends = ends
        self.position = {tp: offset or 0 for tp, offset in committed.items()}
        self.answers = answers
        self.joined_anew = 0
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
        self.joined_anew += 1

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


async def test_where_more_was_committed_than_there_is_it_is_read_from_the_beginning(consumer: Any) -> None:
    """Promise 1. Broken by: what comes in a topic that was made anew is dropped until its offsets are the old ones."""
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
    assert thread.joined_anew == 0


async def test_where_all_is_read_and_nothing_came_since_nothing_is_said(consumer: Any) -> None:
    consumer._thread = thread = Thread({ONE: 1000, OTHER: None}, {ONE: 1000, OTHER: 0})
    with capture_logs() as logs:
        await consumer.perform_seek()
    assert logs == []
    assert thread.committed == {ONE: 1000, OTHER: None}


async def test_made_anew_while_it_is_read_it_is_joined_anew_and_nothing_old_is_committed(consumer: Any) -> None:
    """Promise 1. Broken by: what comes in a topic that was made anew under a worker is dropped without a word."""
    consumer._thread = thread = Thread({ONE: 1000, OTHER: 5}, {ONE: 1000, OTHER: 5})
    await consumer.perform_seek()
    thread.fetched = {ONE: records(0, 1), OTHER: records(5)}
    with capture_logs() as logs:
        assert await consumer._getmany(None, 1.0) == {OTHER: thread.fetched[OTHER]}
        assert await consumer._getmany(None, 1.0) == {OTHER: thread.fetched[OTHER]}, "until it is given out again"
    assert [log["event"] for log in logs] == ["kafka.read_from_start"]
    assert (thread.committed, thread.joined_anew) == ({ONE: 0, OTHER: 5}, 1)
    assert not consumer._should_commit(ONE, 1001), "that was an offset of the topic of before"
    await consumer.perform_seek()
    assert await consumer._getmany(None, 1.0) == thread.fetched
    assert consumer._should_commit(ONE, 2)


async def test_where_the_ends_are_not_known_what_is_read_tells_it(consumer: Any) -> None:
    consumer._thread = thread = Thread({ONE: 1000}, {ONE: 3}, answers=False)
    with capture_logs() as logs:
        await consumer.perform_seek()
        thread.fetched = {ONE: records(0)}
        assert await consumer._getmany(None, 1.0) == {}
    assert [log["event"] for log in logs] == ["kafka.ends_unknown", "kafka.read_from_start"]
    assert thread.joined_anew == 1
