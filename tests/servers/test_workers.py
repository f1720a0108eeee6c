"""Workers on Apache Kafka that share partitions: one joins, one leaves, one is killed; nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from streams.local.real.stack import RealStack
from tests.pipeline.pipeline import Pipeline


def accepted(pipeline: Pipeline, least: int) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return (await pipeline.control.summary()).accepted >= least

    return enough


@asynccontextmanager
async def selling(pipeline: Pipeline, *, at_once: int = 20) -> AsyncIterator[None]:
    """Tills that sell all the while."""
    enough = asyncio.Event()

    async def sell() -> None:
        while not enough.is_set():
            await asyncio.to_thread(pipeline.seller.sell, at_once)
            with suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), 0.25)

    tills = asyncio.create_task(sell())
    try:
        yield
    finally:
        enough.set()
        await tills


async def test_one_joins_one_leaves_one_is_killed(real_stack: RealStack) -> None:
    async with Pipeline(real_stack) as pipeline:
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


def works(name: str, pipeline: Pipeline) -> bool:
    return "status=SYNC_SUCCESS" in (pipeline.stack.folder / "logs" / f"{name}.log").read_text()


async def test_all_are_killed_in_mid_flight_and_come_back(real_stack: RealStack) -> None:
    async with Pipeline(real_stack) as pipeline:
        await pipeline.control.change_behaviour(latency_ms=1000)
        workers = [pipeline.start_worker(name, MAX_IN_FLIGHT="40") for name in ("a", "b")]
        await asyncio.to_thread(pipeline.seller.sell, 400)

        async def many_in_flight() -> bool:
            sent = (await pipeline.control.counts()).get("create", 0)
            return sent >= 80 and sent - (await pipeline.control.summary()).accepted >= 20

        await pipeline.until(many_in_flight, "some are accepted, many are in flight")
        for worker in workers:
            worker.kill()
        assert pipeline.counts()["PENDING_SYNC"] > 0
        await pipeline.control.change_behaviour(latency_ms=50)
        pipeline.start_worker("c")
        await pipeline.until_decided(150)
        assert pipeline.counts() == {"SYNC_SUCCESS": 400}
        await pipeline.assert_both_sides_agree()
        assert (await pipeline.control.counts()).get("look_up", 0) > 0, "what was in flight was looked up"
