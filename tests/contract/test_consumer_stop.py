"""Tests that a consumer whose broker has gone can be stopped.

Should the first test fail one day, aiokafka was mended and our care can go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from streams.kafka.stop_consumer import stop_consumer
from streams.local.servers import Broker


@pytest.fixture
async def bereft(tmp_path: Path) -> AsyncIterator[AIOKafkaConsumer]:
    """Yield a consumer that fetches, in the pause before it tries again."""
    broker = Broker(tmp_path)
    broker.start()
    consumer = AIOKafkaConsumer("some-topic", bootstrap_servers=broker.address, retry_backoff_ms=2000)
    await consumer.start()
    await asyncio.gather(*(consumer.position(partition) for partition in consumer.assignment()))
    reading = asyncio.create_task(consumer.getmany(timeout_ms=60_000))
    broker.kill()
    async with asyncio.timeout(20):
        while not any(_pauses(task) for task in consumer._fetcher._pending_tasks):
            await asyncio.sleep(0.01)
    yield consumer
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def _pauses(task: asyncio.Task[object]) -> bool:
    return "sleep" in str(task.get_coro().cr_await)  # type: ignore[union-attr]


@pytest.mark.upgrade
async def test_aiokafka_raises_the_cancellation_of_its_own_fetches(bereft: AIOKafkaConsumer) -> None:
    with pytest.raises(asyncio.CancelledError):
        await bereft.stop()
    await bereft._client.close()


async def test_stopping_a_consumer_succeeds_although_its_fetches_were_cancelled(bereft: AIOKafkaConsumer) -> None:
    await stop_consumer(bereft)


async def test_a_caller_that_is_cancelled_while_it_stops_a_consumer_ends(bereft: AIOKafkaConsumer) -> None:
    stopping = asyncio.create_task(stop_consumer(bereft))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await bereft._client.close()
