"""Tests that workers on Apache Kafka share partitions while one joins, one leaves and one is killed, and no sale is
lost or sent twice.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from streams.kafka.topics import METADATA_MAX_AGE_MS
from streams.local.real.stack import RealStack
from tests.pipeline.pipeline import Pipeline


def accepted(pipeline: Pipeline, least: int) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return (await pipeline.control.summary()).accepted >= least

    return enough


@asynccontextmanager
async def selling(pipeline: Pipeline, *, at_once: int = 20) -> AsyncIterator[None]:
    """Run points of sale in the background."""
    enough = asyncio.Event()

    async def sell() -> None:
        while not enough.is_set():
            await asyncio.to_thread(pipeline.seller.sell, at_once)
            with suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), 0.25)

    points_of_sale = asyncio.create_task(sell())
    try:
        yield
    finally:
        enough.set()
        await points_of_sale


async def test_no_sale_is_lost_or_doubled_when_workers_join_leave_and_are_killed(shared_real_stack: RealStack) -> None:
    async with Pipeline(shared_real_stack) as pipeline:
        await pipeline.control.change_behaviour(latency_ms=150)
        async with selling(pipeline):
            first = pipeline.start_worker("first")
            await pipeline.until(lambda: works("first", pipeline), "the first works")
            pipeline.start_worker("second")  # joins in mid-flight: partitions change hands
            await pipeline.until(lambda: works("second", pipeline), "the second works")
            third = pipeline.start_worker("third")
            await pipeline.until(lambda: works("third", pipeline), "the third works")
            assert await asyncio.to_thread(first.terminate, 40) == 0, "it leaves in order"
            sent = (await pipeline.control.summary()).accepted
            await pipeline.until(accepted(pipeline, sent + 30), "the others go on")
            third.kill()
            assert third.exit_code == -signal.SIGKILL
            sent = (await pipeline.control.summary()).accepted
            await pipeline.until(accepted(pipeline, sent + 30), "the last one goes on")
        await pipeline.until_decided(150)
        assert pipeline.counts() == {"SYNC_SUCCESS": len(pipeline.seller.sales)}
        await pipeline.assert_both_sides_agree()


async def test_new_partitions_are_read_soon(shared_real_stack: RealStack) -> None:
    """Partitions may be added, or be unknown to a broker that has just come back, so that the group's leader
    assigned them to nobody. By default aiokafka refreshes its metadata only after five minutes.
    """
    async with Pipeline(shared_real_stack) as pipeline:
        await pipeline.control.change_behaviour(latency_ms=20)
        pipeline.start_worker("worker")
        pipeline.seller.sell(5)
        await pipeline.until_decided()
        admin = AdminClient({"bootstrap.servers": shared_real_stack.kafka.address})
        new = len(admin.list_topics("sale-retry", timeout=10).topics["sale-retry"].partitions)
        admin.create_partitions([NewPartitions("sale-retry", new + 1)])["sale-retry"].result(10)
        producer = Producer({"bootstrap.servers": shared_real_stack.kafka.address})
        producer.produce("sale-retry", b"{}", partition=new)
        assert producer.flush(10) == 0

        async def read() -> bool:
            found = [dict(record.headers) for record in await pipeline.records("sale-dead-letter")]
            return any(h["topic"] == b"sale-retry" and int(h["partition"]) == new for h in found)

        await pipeline.until(read, "it is read", 2 * METADATA_MAX_AGE_MS / 1000 + 15)


def works(name: str, pipeline: Pipeline) -> bool:
    return "status=SYNC_SUCCESS" in (pipeline.stack.folder / "logs" / f"{name}.log").read_text()


async def test_no_sale_is_lost_or_doubled_when_all_workers_are_killed(shared_real_stack: RealStack) -> None:
    async with Pipeline(shared_real_stack) as pipeline:
        await pipeline.control.change_behaviour(latency_ms=1000)
        accepted_before = (await pipeline.control.summary()).accepted
        before = (await pipeline.control.counts()).get("create", 0)
        looked_up = (await pipeline.control.counts()).get("look_up", 0)
        workers = [pipeline.start_worker(name, MAX_IN_FLIGHT="40") for name in ("a", "b")]
        await asyncio.to_thread(pipeline.seller.sell, 400)

        async def many_in_flight() -> bool:
            sent = (await pipeline.control.counts()).get("create", 0) - before
            return sent >= 80 and sent - ((await pipeline.control.summary()).accepted - accepted_before) >= 20

        await pipeline.until(many_in_flight, "some are accepted, many are in flight")
        for worker in workers:
            worker.kill()
        assert pipeline.counts()["PENDING_SYNC"] > 0
        await pipeline.control.change_behaviour(latency_ms=50)
        pipeline.start_worker("c")
        await pipeline.until_decided(150)
        assert pipeline.counts() == {"SYNC_SUCCESS": 400}
        await pipeline.assert_both_sides_agree()
        assert (await pipeline.control.counts()).get("look_up", 0) > looked_up, "what was in flight was looked up"
