"""Tests what Faust would commit, with its real consumer, messages, conductor and streams, but without a broker.

Each trap is shown twice: how Faust goes wrong by itself (should that test fail one day, Faust was mended and some
of our care can go), and that it comes out right through the window.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.transport.conductor import ConductorCompiler
from faust.transport.consumer import Consumer
from faust.types import TP, EventT
from faust.types.tuples import ConsumerMessage

from streams.kafka.faust_overrides.manual_ack import ManualAckStream, ManualAckTopic, acknowledge
from streams.kafka.in_order_window import Delivery, InOrderWindow
from tests.unit.virtual_time import settle

SALES = TP("sales", 0)
GENERATION = 7


class Worker:
    """A Faust worker after its partitions were assigned, up to the point where it would call Kafka."""

    def __init__(self, topic_class: type[faust.Topic], stream_class: type[faust.Stream[Any]] = faust.Stream) -> None:
        self.app = faust.App(
            "commits",
            broker="kafka://127.0.0.1:9",
            store="memory://",
            Topic=topic_class,
            Stream=stream_class,
            topic_disable_leader=True,
        )
        self.app.consumer_generation_id = GENERATION
        self.app.flow_control.resume()
        self.app.topics.acking_topics.add(SALES.topic)
        self.topic = self.app.topic(SALES.topic, key_type=bytes, value_type=bytes)
        self.stream: Any = self.app.stream(self.topic)
        self.stream.enable_acks = False
        self.consumer: Any = self.app.consumer
        self.conductor: Any = self.app.topics
        assert isinstance(self.consumer, Consumer)

    def close(self) -> None:
        self.consumer._thread.thread_loop.close()

    def starts_from(self, committed: int | None) -> None:
        self.consumer._committed_offset[SALES] = committed
        self.consumer._read_offset[SALES] = committed

    def fetch(self, offset: int, value: bytes | None = b'"a sale"') -> ConsumerMessage:
        record = SimpleNamespace(
            topic=SALES.topic,
            partition=SALES.partition,
            offset=offset,
            timestamp=1_795_400_000_000,
            timestamp_type=0,
            headers=(),
            key=b"key",
            value=value,
            checksum=None,
            serialized_key_size=3,
            serialized_value_size=len(value or b""),
        )
        message: ConsumerMessage = self.consumer._to_message(SALES, record)
        return message

    async def conduct(self, message: ConsumerMessage) -> None:
        """Pass a message to the streams as `Consumer._drain_messages` does, holes included."""
        read = self.consumer._read_offset[SALES]
        if read and message.offset - read > 1:
            await self.consumer._add_gap(SALES, read + 1, message.offset)
        handler = self.conductor._build_handler(SALES, {self.stream.channel})
        await handler(message)
        self.consumer._read_offset[SALES] = message.offset

    async def read(self, *offsets: int) -> dict[int, EventT[Any]]:
        """Return what an agent gets, by offset."""
        for offset in offsets:
            await self.conduct(self.fetch(offset))
        return {offset: self.stream.channel.queue.get_nowait() for offset in offsets}

    def would_commit(self) -> int | None:
        """Return the number that the next commit would send: the first offset that is read after a crash."""
        offset: int | None = self.consumer._filter_committable_offsets([SALES]).get(SALES)
        if offset is not None:
            self.consumer._committed_offset[SALES] = offset
        return offset


@pytest.fixture
async def plain() -> AsyncIterator[Worker]:
    worker = Worker(faust.Topic)
    yield worker
    worker.close()


@pytest.fixture
async def manual() -> AsyncIterator[Worker]:
    worker = Worker(ManualAckTopic, ManualAckStream)
    yield worker
    worker.close()


class Agent:
    """Admits events to the window; the test ends their work by offset."""

    def __init__(self) -> None:
        self.window = InOrderWindow()
        self.futures: dict[int, asyncio.Future[None]] = {}

    async def take_in(self, *events: EventT[Any]) -> None:
        for event in events:
            await self.admit(event)
        await settle()

    async def admit(self, event: EventT[Any]) -> None:
        offset = event.message.offset
        end = self.futures[offset] = asyncio.get_running_loop().create_future()

        async def work(overdue: bool) -> None:
            await end

        assert await self.window.admit(
            Delivery(
                partition=event.message.tp,
                offset=offset,
                order_key=None,
                shop=None,
                lane="new",
                acknowledge=lambda: acknowledge(event),
                work=work,
            )
        )

    async def finish(self, *offsets: int) -> None:
        for offset in offsets:
            self.futures[offset].set_result(None)
        await settle()


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    agent = Agent()
    yield agent
    await agent.window.drain(0)


@pytest.mark.upgrade
async def test_faust_commits_past_a_running_event_when_later_ones_are_acknowledged(plain: Worker) -> None:
    plain.starts_from(32)
    events = await plain.read(32, 33, 34)
    events[33].ack()
    events[34].ack()
    assert plain.would_commit() == 35  # 32 is still running


@pytest.mark.upgrade
async def test_faust_commits_past_running_events_when_nothing_was_committed_yet(plain: Worker) -> None:
    plain.starts_from(None)
    events = await plain.read(*range(8))
    for offset in (5, 6, 7):
        events[offset].ack()
    assert plain.would_commit() == 8  # 0 to 4 are still running


@pytest.mark.upgrade
async def test_faust_counts_the_first_record_after_a_hole_as_done(plain: Worker) -> None:
    plain.starts_from(3)
    events = await plain.read(3, 4, 8, 9)  # 5 to 7: compacted away, or markers of transactions
    events[3].ack()
    events[4].ack()
    assert plain.would_commit() == 5
    events[9].ack()
    assert plain.would_commit() == 10  # 8 is still running


async def test_the_window_commits_nothing_past_a_running_event(manual: Worker, agent: Agent) -> None:
    manual.starts_from(32)
    await agent.take_in(*(await manual.read(32, 33, 34)).values())
    await agent.finish(33, 34)
    assert manual.would_commit() is None
    await agent.finish(32)
    assert manual.would_commit() == 35


async def test_the_window_makes_the_first_commit_wait_for_running_events(manual: Worker, agent: Agent) -> None:
    manual.starts_from(None)
    await agent.take_in(*(await manual.read(*range(8))).values())
    await agent.finish(5, 6, 7)
    assert manual.would_commit() is None
    await agent.finish(0, 1)
    assert manual.would_commit() == 2
    await agent.finish(3, 4)
    assert manual.would_commit() is None
    await agent.finish(2)
    assert manual.would_commit() == 8


async def test_the_window_commits_past_a_hole_only_when_the_record_after_it_is_done(
    manual: Worker, agent: Agent
) -> None:
    manual.starts_from(3)
    await agent.take_in(*(await manual.read(3, 4, 8, 9, 12)).values())
    await agent.finish(3, 4, 9, 12)
    assert manual.would_commit() == 5
    await agent.finish(8)
    committed = [manual.would_commit() for _ in range(3)]  # Faust takes one step per hole
    assert max(offset for offset in committed if offset) == 13


@pytest.mark.parametrize("committed", [None, 3])
async def test_the_window_commits_past_a_hole_right_after_the_committed_offset(
    manual: Worker, agent: Agent, committed: int | None
) -> None:
    manual.starts_from(committed)
    await agent.take_in(*(await manual.read(6, 7)).values())
    await agent.finish(7)
    assert manual.would_commit() is None
    await agent.finish(6)
    assert max(offset for _ in range(2) if (offset := manual.would_commit())) == 8


async def test_work_that_ends_after_a_rebalance_commits_nothing(manual: Worker, agent: Agent) -> None:
    manual.starts_from(None)
    await agent.take_in(*(await manual.read(0, 1, 2)).values())
    await revoke(manual)
    agent.window.revoke([SALES])
    old_futures = dict(agent.futures)

    assign(manual, None)
    await agent.take_in(*(await manual.read(0, 1, 2)).values())
    for end in old_futures.values():
        end.set_result(None)
    await settle()
    assert manual.would_commit() is None
    await agent.finish(1, 2)
    assert manual.would_commit() is None
    await agent.finish(0)
    assert manual.would_commit() == 3


async def revoke(worker: Worker) -> None:
    """Play the first half of a rebalance, as Faust's listener and app do it (the app's half needs a broker)."""
    worker.app.rebalancing = True

    async def suspend(revoked: set[TP]) -> None:
        worker.app.flow_control.suspend()

    worker.consumer._on_partitions_revoked = suspend
    await worker.consumer.on_partitions_revoked({SALES})


def assign(worker: Worker, committed: int | None) -> None:
    """Play the second half: a new generation, read again from what was committed."""
    worker.app.consumer_generation_id += 1
    worker.starts_from(committed)
    worker.app.flow_control.resume()
    worker.app.rebalancing = False


@pytest.mark.upgrade
async def test_faust_takes_a_late_acknowledgement_for_the_new_assignment(plain: Worker) -> None:
    plain.starts_from(None)
    old = await plain.read(0, 1, 2)
    await revoke(plain)
    assign(plain, None)
    await plain.read(0, 1, 2)
    old[2].ack()
    assert plain.would_commit() == 3  # 0 and 1 are running


async def test_an_event_that_an_agent_kept_across_a_rebalance_commits_nothing(manual: Worker) -> None:
    """The window cannot know: the agent may have waited (for the gate) between getting the event and admitting it."""
    manual.starts_from(None)
    old = await manual.read(0, 1, 2)
    await revoke(manual)
    assert acknowledge(old[1]) is False  # between the two halves
    assign(manual, None)
    new = await manual.read(0, 1, 2)
    assert acknowledge(old[2]) is False
    assert manual.would_commit() is None
    assert acknowledge(new[0]) is True
    assert manual.would_commit() == 1


async def test_work_that_ends_while_the_worker_stops_is_committed(manual: Worker) -> None:
    manual.starts_from(None)
    events = await manual.read(0)
    manual.app.flow_control.suspend()  # Faust stops the flow before it commits for the last time
    assert acknowledge(events[0]) is True
    assert manual.would_commit() == 1


async def skip_stale(worker: Worker, iterator: Any) -> None:
    """Let a stream meet 0 and 1 in time, and 2 after a rebalance."""
    for offset in (0, 1, 2):
        await worker.conduct(worker.fetch(offset))
    for _ in range(2):
        await anext(iterator)
    worker.app.consumer_generation_id += 1
    skipping = asyncio.ensure_future(anext(iterator))
    while not worker.stream.channel.queue.empty():  # nothing tells when an event was taken
        await asyncio.sleep(0)
    await settle()
    skipping.cancel()
    await asyncio.gather(skipping, return_exceptions=True)
    await worker.stream.stop()


@pytest.mark.upgrade
async def test_fausts_stream_acknowledges_what_it_skips(plain: Worker) -> None:
    await skip_stale(plain, plain.stream._py_aiter())
    assert plain.would_commit() == 3  # 0 and 1 are with an agent that has not acknowledged them


@pytest.mark.parametrize("stream", ["_c_aiter", "_py_aiter", "events"])
async def test_a_manual_ack_stream_does_not_acknowledge_events_that_it_skips(manual: Worker, stream: str) -> None:
    await skip_stale(manual, getattr(manual.stream, stream)())
    assert manual.would_commit() is None


async def leave_in_the_middle(worker: Worker, stream: str = "__aiter__") -> None:
    worker.stream.enable_acks = True
    for offset in (0, 1):
        await worker.conduct(worker.fetch(offset))
    iterator = getattr(worker.stream, stream)()
    await anext(iterator)
    await iterator.aclose()  # as when an agent raises


@pytest.mark.upgrade
async def test_faust_acknowledges_the_event_at_which_an_agent_ended(plain: Worker) -> None:
    await leave_in_the_middle(plain)
    assert plain.would_commit() == 1


@pytest.mark.parametrize("stream", ["__aiter__", "events"])
async def test_an_agent_that_ends_acknowledges_nothing_of_a_manual_ack_topic(manual: Worker, stream: str) -> None:
    await leave_in_the_middle(manual, stream)
    assert manual.would_commit() is None


async def test_a_manual_ack_stream_gives_events_in_order_and_keeps_their_reference_counts(manual: Worker) -> None:
    for offset in range(3):
        await manual.conduct(manual.fetch(offset))
    events = manual.stream.events()
    given = [await anext(events) for _ in range(3)]
    assert [(event.message.offset, event.message.refcount) for event in given] == [(0, 2), (1, 2), (2, 2)]
    assert set(manual.app.monitor.stream_inbound_time) == {SALES}
    assert manual.would_commit() is None
    assert [acknowledge(event) for event in given] == [True, True, True]
    assert manual.would_commit() == 3


async def test_a_manual_ack_stream_gives_nothing_during_a_rebalance(manual: Worker) -> None:
    await manual.conduct(manual.fetch(0))
    manual.app.flow_control.suspend()
    events = manual.stream.events()
    waiting = asyncio.ensure_future(anext(events))
    await settle()
    assert manual.stream.channel.queue.empty()
    assert not waiting.done()
    manual.app.flow_control.resume()
    await manual.conduct(manual.fetch(1))
    assert (await waiting).message.offset == 1
    await manual.stream.stop()


async def test_a_manual_ack_stream_ends_when_faust_ends_its_channel(manual: Worker) -> None:
    """Faust does so when the worker stops."""
    taking = asyncio.ensure_future(anext(manual.stream.events()))
    await settle()
    await manual.stream.channel.throw(StopAsyncIteration())
    with pytest.raises(StopAsyncIteration):  # of the generator, which has ended; an error would be a RuntimeError
        await taking


async def test_a_manual_ack_stream_with_a_full_queue_lets_other_tasks_run(manual: Worker) -> None:
    """Nothing in a full queue makes the stream wait."""
    for offset in range(100):
        await manual.conduct(manual.fetch(offset))
    taken = 0

    async def take() -> None:
        nonlocal taken
        async for _ in manual.stream.events():
            taken += 1

    taking = asyncio.ensure_future(take())
    seen = []
    while taken < 100:
        await asyncio.sleep(0)
        seen.append(taken)
    assert max(after - before for before, after in pairwise(seen)) <= 10
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)


async def test_an_acknowledgement_is_final_and_counts_once(manual: Worker) -> None:
    event = (await manual.read(0))[0]
    assert event.message.refcount == 2
    event.ack()  # a stream that gave its reference back before
    assert manual.would_commit() is None
    assert acknowledge(event) is True
    assert acknowledge(event) is False
    assert manual.would_commit() == 1


@pytest.mark.parametrize("conductor", ["compiled", "pure"])
async def test_both_conductors_take_one_reference_of_a_manual_ack_message(manual: Worker, conductor: str) -> None:
    channels = {manual.stream.channel}
    if conductor == "pure":
        handler = ConductorCompiler().build(manual.conductor, SALES, channels)
    else:
        handler = manual.conductor._build_handler(SALES, channels)
        assert type(handler).__name__ == "ConductorHandler"
    message = manual.fetch(0)
    await handler(message)
    assert message.refcount == 2
    assert manual.stream.channel.queue.qsize() == 1


async def test_clones_of_a_manual_ack_topic_take_references_too(manual: Worker) -> None:
    message = manual.fetch(0)
    for topic in (manual.topic.clone(), manual.topic.derive(), manual.stream.channel):
        assert isinstance(topic, ManualAckTopic)
        await topic.decode(message)
    assert message.refcount == 3


@pytest.mark.upgrade
async def test_faust_parses_what_was_declared_as_bytes_and_acknowledges_what_is_not_json(plain: Worker) -> None:
    plain.starts_from(None)
    await plain.conduct(plain.fetch(0, b"not JSON"))
    assert plain.would_commit() == 1


async def test_a_manual_ack_topic_gives_the_bytes_that_kafka_had(manual: Worker) -> None:
    for offset, value in enumerate([b"not JSON", b'{"a": 1}', b"\xff", b"", None]):
        message = manual.fetch(offset, value)
        await manual.conduct(message)
        event = manual.stream.channel.queue.get_nowait()
        assert (event.key, event.value) == (b"key", value)
    assert manual.would_commit() is None
