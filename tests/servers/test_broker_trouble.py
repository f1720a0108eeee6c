"""Tests a broker that accepts nothing more (its disk is full), and one that is gone when the worker has to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.local.real.stack import RealStack
from tests.pipeline.pipeline import Pipeline


async def test_decisions_that_cannot_be_published_are_kept_and_the_sale_is_sent_once(
    shared_real_stack: RealStack,
) -> None:
    async with Pipeline(shared_real_stack) as pipeline:
        worker = pipeline.start_worker("cannot-tell")
        async with _refuses_everything(shared_real_stack, "sale-status"):
            pipeline.seller.sell(60)
            await pipeline.until(
                lambda: worker.output().count("sale_status.waiting") >= 60, "all of them wait to be told"
            )
            assert (await pipeline.control.summary()).accepted == 60
            assert pipeline.counts() == {"PENDING_SYNC": 60}
            assert sum((await pipeline.unfinished_offsets()).values()) >= 60, "none is acknowledged"
        await pipeline.until_decided()
        assert pipeline.counts() == {"SYNC_SUCCESS": 60}
        assert (await pipeline.control.counts())["create"] == 60
        await pipeline.assert_both_sides_agree()


async def test_sigterm_ends_a_worker_in_order_although_its_broker_is_gone(shared_real_stack: RealStack) -> None:
    """Every decision is published already, so only the libraries' own mistakes could delay the end."""
    async with Pipeline(shared_real_stack) as pipeline:
        worker = pipeline.start_worker("ends")
        pipeline.seller.sell(20)
        await pipeline.until_decided()
        shared_real_stack.kafka.kill()
        try:
            await pipeline.until(lambda: "kafka.away" in worker.output(), "it knows", 30)
            assert await asyncio.to_thread(worker.terminate, 30) == 0, worker.tail()
        finally:
            shared_real_stack.kafka.launch()
            await asyncio.to_thread(shared_real_stack.kafka.wait)
        assert "process.shutdown_hangs" not in worker.output()
        assert "Traceback" not in worker.output()


@asynccontextmanager
async def _refuses_everything(stack: RealStack, topic: str) -> AsyncIterator[None]:
    """Make the broker answer each record with an error that its sender does not retry by itself."""
    await _alter(stack, topic, "1")
    try:
        yield
    finally:
        await _alter(stack, topic, None)


async def _alter(stack: RealStack, topic: str, largest: str | None) -> None:
    """Change the broker's configuration; None restores its default."""
    operation = AlterConfigOpType.DELETE if largest is None else AlterConfigOpType.SET
    entry = ConfigEntry("max.message.bytes", largest or "", incremental_operation=operation)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": stack.kafka.address})
    done = admin.incremental_alter_configs([resource])
    await asyncio.gather(*(asyncio.to_thread(future.result, 20) for future in done.values()))
