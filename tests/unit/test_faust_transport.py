"""A broker that goes away between the look that found it and the start of Faust's own producer and consumer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import faust
import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from streams.faust_transport import PatientTransport


class Client:
    """In the place of aiokafka's producer or consumer."""

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
    app.transport = PatientTransport(app.conf.broker_consumer, app)
    yield app
    app.consumer._thread.thread_loop.close()  # type: ignore[attr-defined]


async def test_the_producer_starts_once_it_is_back(app: faust.App) -> None:
    clients = [Client(fails=True), Client(fails=False)]
    producer: Any = PatientTransport.Producer(app.transport)
    made = iter(clients)
    producer._new_producer = lambda: next(made)
    with capture_logs() as logs:
        await producer.on_start()
    assert [(client.started, client.stopped) for client in clients] == [(False, True), (True, False)]
    assert [log["event"] for log in logs] == ["kafka.waiting"]


async def test_so_does_the_consumer(app: faust.App) -> None:
    clients = [Client(fails=True), Client(fails=False)]
    thread: Any = app.consumer._thread  # type: ignore[attr-defined]
    made = iter(clients)
    thread._create_consumer = lambda loop: next(made)
    with capture_logs() as logs:
        await thread.on_start()
    assert [(client.started, client.stopped) for client in clients] == [(False, True), (True, False)]
    assert [log["event"] for log in logs] == ["kafka.waiting"]
