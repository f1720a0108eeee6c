"""Tests that a crash loses no sale and sends none twice."""

from __future__ import annotations

import asyncio
import os
import signal

from streams.local.simulator import presets
from streams.runtime.process_exit import SHUTDOWN_AFTER_DRAIN, STALLED
from tests.pipeline.pipeline import Pipeline


async def test_a_kill_during_attempts_loses_no_sale_and_sends_none_twice(pipeline: Pipeline) -> None:
    """Promise 3. Broken by: a sale whose last attempt is in doubt is sent again without being looked up."""
    await pipeline.control.change_behaviour(latency_ms=300)
    worker = pipeline.start_worker("first")
    pipeline.seller.sell(400)
    for victims in range(2):

        async def enough(least: int = 80 * (victims + 1)) -> bool:
            return (await pipeline.control.summary()).accepted >= least

        await pipeline.until(enough, "some are accepted, many are in flight")
        worker.kill()
        assert worker.exit_code == -signal.SIGKILL
        assert pipeline.counts()["PENDING_SYNC"] > 0
        worker = pipeline.start_worker(f"next-{victims}")
    # What was in flight is looked up once its lease (deadline and a minute) has run out.
    await pipeline.until_decided(150)
    assert pipeline.counts() == {"SYNC_SUCCESS": 400}
    await pipeline.assert_both_sides_agree()
    counts = await pipeline.control.counts()
    assert counts.get("look_up", 0) > 0, "what was in flight was looked up"


async def test_sigterm_finishes_running_attempts(pipeline: Pipeline) -> None:
    await pipeline.control.change_behaviour(latency_ms=1500)
    worker = pipeline.start_worker("first", MAX_IN_FLIGHT="20")
    pipeline.seller.sell(60)

    async def in_flight() -> bool:
        return (await pipeline.control.counts()).get("create", 0) >= 20

    await pipeline.until(in_flight, "twenty are in flight")
    worker_ended = asyncio.to_thread(worker.terminate, 30)
    await worker_ended
    assert worker.exit_code == 0, worker.tail()
    sent = (await pipeline.control.counts())["create"]
    assert sent < 60
    summary = await pipeline.control.summary()
    assert summary.accepted == sent, "no answer was given up"
    await pipeline.control.change_behaviour(latency_ms=20)
    pipeline.start_worker("second")
    await pipeline.until_decided()
    assert (await pipeline.control.counts())["create"] == 60, "nothing was sent again"
    await pipeline.assert_both_sides_agree()


async def test_sigterm_ends_a_worker_although_the_broker_does_not_answer(pipeline: Pipeline) -> None:
    """Faust's producer would wait without end; a sale whose decision was not published is looked up later."""
    await pipeline.control.change_behaviour(latency_ms=1000)
    worker = pipeline.start_worker("first", DRAIN_TIMEOUT="2")
    pipeline.seller.sell(20)

    async def in_flight() -> bool:
        return (await pipeline.control.counts()).get("create", 0) >= 10

    await pipeline.until(in_flight, "they are in flight")
    broker = pipeline.stack.broker.process.pid
    os.kill(broker, signal.SIGSTOP)
    try:
        await asyncio.to_thread(worker.terminate, 2 + SHUTDOWN_AFTER_DRAIN + 8)
        assert worker.exit_code == STALLED, worker.tail()
    finally:
        os.kill(broker, signal.SIGCONT)
    await pipeline.control.change_behaviour(latency_ms=20)
    pipeline.start_worker("second")
    await pipeline.until_decided()
    await pipeline.assert_both_sides_agree()


async def test_a_sale_whose_answer_was_lost_is_looked_up_and_not_sent_again(pipeline: Pipeline) -> None:
    await pipeline.control.add_rule(presets.cut_after_accepting(), "create", times=10)
    pipeline.start_worker()
    sales = pipeline.seller.sell(30)
    await pipeline.until_decided()
    await pipeline.assert_both_sides_agree()
    for sale in sales:
        calls = [seen.call for seen in await pipeline.control.requests(sale.local_invoice_id)]
        assert calls in (["create"], ["create", "look_up"]), "looked up, and not sent again"
    assert (await pipeline.control.counts())["look_up"] == 10


async def test_two_workers_share_the_sales_and_one_takes_over_when_the_other_dies(pipeline: Pipeline) -> None:
    await pipeline.control.change_behaviour(latency_ms=100)
    first = pipeline.start_worker("first")
    pipeline.seller.sell(150)

    async def some_accepted() -> bool:
        return (await pipeline.control.summary()).accepted >= 20

    await pipeline.until(some_accepted, "the first works")
    pipeline.start_worker("second")  # joins in mid-flight: partitions change hands
    pipeline.seller.sell(150)

    async def most_accepted() -> bool:
        return (await pipeline.control.summary()).accepted >= 200

    await pipeline.until(most_accepted, "both work")
    first.kill()
    pipeline.seller.sell(50)
    await pipeline.until_decided(150)
    assert pipeline.counts() == {"SYNC_SUCCESS": 350}
    await pipeline.assert_both_sides_agree()
