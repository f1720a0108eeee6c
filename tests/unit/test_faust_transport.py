"""Tests Faust's connection to a broker that goes away during the start, and what becomes of a message that the
producer gives up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import faust
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from structlog.testing import capture_logs

from streams.kafka.faust_overrides.transport import ResilientTransport
from streams.kafka.producer import Producers
from tests.unit.virtual_time import settle


class Client:
    """Replaces aiokafka's producer or consumer."""

    def __init__(self, *, fails: bool) -> None:
        self._fails = fails
        self.started = self.stopped = False

    async def start(self) -> None:
        if self._fails:
            raise KafkaConnectionError
        self.started = True

    async def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def app() -> Iterator[faust.App]:
    app = faust.App("starts", broker="kafka://127.0.0.1:9", store="memory://", topic_disable_leader=True)
    app.transport = ResilientTransport(app.conf.broker_consumer, app)
    yield app
    app.consumer._thread.thread_loop.close()  # type: ignore[attr-defined]


async def test_the_producer_starts_when_the_broker_is_back(app: faust.App) -> None:
    clients = [Client(fails=True), Client(fails=False)]
    producer: Any = ResilientTransport.Producer(app.transport)
    made = iter(clients)
    producer._new_producer = lambda: next(made)
    with capture_logs() as logs:
        await producer.on_start()
    assert [(client.started, client.stopped) for client in clients] == [(False, True), (True, False)]
    assert [log["event"] for log in logs] == ["kafka.waiting"]


async def test_the_consumer_starts_when_the_broker_is_back(app: faust.App) -> None:
    clients = [Client(fails=True), Client(fails=False)]
    thread: Any = app.consumer._thread  # type: ignore[attr-defined]
    made = iter(clients)
    thread._create_consumer = lambda loop: next(made)
    with capture_logs() as logs:
        await thread.on_start()
    assert [(client.started, client.stopped) for client in clients] == [(False, True), (True, False)]
    assert [log["event"] for log in logs] == ["kafka.waiting"]


async def test_a_publisher_gets_an_error_for_a_message_that_the_producer_gave_up() -> None:
    """The error is one of Kafka's, not a cancellation of the publisher itself."""
    with pytest.raises(KafkaError):
        await producers(GivenUp()).status(b"key", b"value", {})


async def test_a_publisher_that_is_cancelled_while_it_waits_ends() -> None:
    waiting = GivenUp(gives_up=False)
    publishing = asyncio.create_task(producers(waiting).status(b"key", b"value", {}))
    await settle()
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing


def producers(topic: GivenUp) -> Producers:
    stands_in: Any = topic
    return Producers(stands_in, stands_in, stands_in)


class GivenUp:
    """A topic, its app and its producer, which sends nothing."""

    def __init__(self, *, gives_up: bool = True) -> None:
        self.app: Any = self
        self._gives_up = gives_up

    async def maybe_start_producer(self) -> GivenUp:
        return self

    def get_topic_name(self) -> str:
        return "sale-status"

    async def send(self, *_: object) -> asyncio.Future[None]:
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._gives_up:
            confirmed.cancel()
        return confirmed
