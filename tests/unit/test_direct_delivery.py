"""Tests that a message enters its agent's queue at once, or the way Faust does it where something is in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import faust
import pytest
from faust.types import TP, Message

from streams.kafka.faust_overrides.direct_delivery import DELIVERED
from streams.kafka.faust_overrides.manual_ack import ManualAckTopic
from streams.kafka.faust_overrides.transport import ResilientTransport
from tests.unit.virtual_time import settle

_ROOM = 3


class Handing:
    """An app whose only topic has one partition, and the messages that its consumer would deliver."""

    def __init__(self, app: faust.App, topic: Any) -> None:
        self.app = app
        self.topic = topic.clone(is_iterator=True)  # as a stream that reads it does
        conductor: Any = app.topics
        self.conductor = conductor
        self.conductor.add(self.topic)
        self.partition = TP("sales", 0)
        conductor._update_tp_index({self.partition})
        conductor._update_callback_map()

    def message(self, offset: int = 0) -> Message:
        return Message("sales", 0, offset, 0.0, 0, [("a", b"1")], b"key", b"value", None, tp=self.partition)

    def hand(self, offset: int = 0) -> Any:
        return self.conductor.on_message(self.message(offset))

    def taken(self) -> Any:
        return self.topic.queue.get_nowait()


@pytest.fixture
async def app() -> AsyncIterator[faust.App]:
    app = faust.App(
        "hands-over",
        broker="kafka://127.0.0.1:9",
        store="memory://",
        topic_disable_leader=True,
        Topic=ManualAckTopic,
        stream_buffer_maxsize=_ROOM,
    )
    app.transport = ResilientTransport(app.conf.broker_consumer, app)
    app.flow_control.resume()
    yield app
    thread: Any = app.consumer
    thread._thread.thread_loop.close()


@pytest.fixture
def handing(app: faust.App) -> Handing:
    topic = app.topic("sales", key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    return Handing(app, topic)


async def test_an_unobstructed_message_enters_the_queue_before_anything_is_awaited(handing: Handing) -> None:
    assert handing.hand(7) is DELIVERED
    event = handing.taken()
    assert (event.message.offset, event.message.value, event.headers) == (7, b"value", {"a": b"1"})
    assert event.message.refcount == 2, "the stream's reference, and the one that only we give back"


async def test_the_result_of_a_direct_delivery_can_be_awaited(handing: Handing) -> None:
    await handing.hand()
    waiting: Any = asyncio.sleep(60)
    consumer: Any = handing.app.consumer
    await consumer.wait_first(handing.hand(), waiting)
    assert waiting.cr_frame is None, "closed, so that nobody misses that it was never awaited"


async def test_delivery_waits_during_a_rebalance(handing: Handing) -> None:
    handing.app.flow_control.suspend()
    handed = asyncio.ensure_future(handing.hand())
    await settle()
    assert handing.topic.queue.empty()
    handing.app.flow_control.resume()
    await handed
    assert handing.taken().message.refcount == 2


async def test_delivery_waits_while_the_conductor_changes_its_subscriptions(handing: Handing) -> None:
    async with handing.conductor._tp_to_callback_lock:
        handed = asyncio.ensure_future(handing.hand())
        await settle()
        assert handing.topic.queue.empty()
    await handed
    assert handing.taken().message.refcount == 2


async def test_delivery_to_a_full_queue_waits_and_stops_fetching_its_partition(handing: Handing) -> None:
    consumer: Any = handing.app.consumer
    offered = [handing.hand(offset) for offset in range(_ROOM + 1)]
    assert [each is DELIVERED for each in offered] == [True, True, True, False]
    assert handing.partition in consumer._buffered_partitions
    last = asyncio.ensure_future(offered[-1])
    await settle()
    assert not last.done()
    offsets = [handing.taken().message.offset]
    await settle()
    assert last.done()
    while not handing.topic.queue.empty():
        offsets.append(handing.taken().message.offset)
    assert offsets == [0, 1, 2, 3], "nothing is lost, and the order is kept"


async def test_a_message_of_a_revoked_partition_is_not_delivered(handing: Handing) -> None:
    handing.conductor.clear()
    with pytest.raises(KeyError):
        await handing.hand()
