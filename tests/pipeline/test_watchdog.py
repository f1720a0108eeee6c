"""Tests in real time that a stalled worker ends and is started again, and one that waits for an outage does not.

Only Faust's own consumer and the event loop need a real worker. Everything else that is watched stalls in virtual
time, in test_watchdog.py, test_worker_health.py and test_quiet_days.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from streams.local.processes import Process, free_port
from streams.local.simulator import presets
from streams.local.stack import CHANGE_TOPIC
from streams.runtime.process_exit import STALLED
from tests.pipeline.pipeline import QUICK, Pipeline
from tests.support.worker_requests import SOON, RequestedWorker


async def beyond_the_watchdogs_timeout() -> None:
    """Wait longer than the watchdog allows, because that time itself is tested."""
    await asyncio.sleep(3 * SOON)


def hanging(pipeline: Pipeline, sabotage: str) -> Process:
    stack, port = pipeline.stack, str(free_port())
    worker = Process(
        "hangs",
        [sys.executable, "-m", "faust", "-A", "tests.pipeline.app_that_hangs", "worker", "--web-port", port],
        log=stack.folder / "logs" / "hangs.log",
        environment={
            **stack.environment,
            **QUICK,
            "WEB_PORT": port,
            "WATCHDOG_AFTER": str(SOON),
            "DRAIN_TIMEOUT": "2",
            "SABOTAGE": sabotage,
        },
        folder=Path(__file__).parents[2],
    )
    pipeline.workers.append(worker)
    return worker


@pytest.mark.parametrize(
    ("sabotage", "says"),
    [
        ("the consumer stops silently", "watchdog.stalled"),
        ("the loop hangs", "watchdog.loop_hangs"),
    ],
)
async def test_a_stalled_worker_ends_and_its_successor_goes_on(pipeline: Pipeline, sabotage: str, says: str) -> None:
    worker = hanging(pipeline, sabotage)
    await pipeline.until(lambda: "sabotage" in worker.output(), "it starts")
    pipeline.seller.sell(50)
    await pipeline.until(lambda: not worker.running, "it ends", 45)
    assert worker.exit_code == STALLED, worker.tail()
    assert says in worker.output()
    pipeline.start_worker("successor")
    await pipeline.until_decided()
    assert pipeline.counts() == {"SYNC_SUCCESS": 50}
    await pipeline.assert_both_sides_agree()


async def test_an_outage_is_reported_and_is_no_stall(pipeline: Pipeline) -> None:
    rule = await pipeline.control.add_rule(presets.status(503, "bảo trì"))
    worker = RequestedWorker(pipeline, GATE_LONGEST_PAUSE="1", REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    pipeline.seller.sell(60)
    await pipeline.until(lambda: worker.shows(503, "gate", "redis"), "it says what it waits for")
    _, health = await worker.get("/readyz")
    assert health["status"] == "not_ready"
    assert all(reason.keys() == {"part", "what", "since", "action"} for reason in health["reasons"])
    await beyond_the_watchdogs_timeout()
    assert await worker.get("/livez") == (200, {"status": "ok", "reasons": []})
    await pipeline.control.clear_rules(rule)
    await pipeline.until(lambda: worker.shows(200, "redis"), "sales go out again")
    await pipeline.until_decided()
    assert (await worker.get("/readyz"))[1]["status"] == "degraded"


async def test_a_worker_waits_for_a_frozen_broker(pipeline: Pipeline) -> None:
    """That the consumers have to return afterwards is tested in virtual time, because here it takes them half a
    minute.
    """
    worker = RequestedWorker(pipeline)
    pipeline.seller.sell(5)
    await pipeline.until_decided()
    broker = pipeline.stack.broker.process.pid
    os.kill(broker, signal.SIGSTOP)
    try:
        await pipeline.until(lambda: worker.shows(503, "kafka"), "it says what it waits for")
        await beyond_the_watchdogs_timeout()
        assert await worker.get("/livez") == (200, {"status": "ok", "reasons": []})
    finally:
        os.kill(broker, signal.SIGCONT)


async def test_a_worker_answers_health_requests_before_kafka_is_there(pipeline: Pipeline) -> None:
    worker = RequestedWorker(pipeline, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    await pipeline.until(lambda: worker.shows(503, "worker", "kafka"), "it says what it waits for")
    assert (await worker.get("/livez"))[0] == 200


async def test_a_message_too_large_for_the_dead_letters_delays_no_other(pipeline: Pipeline) -> None:
    """It is as large as a message may be, so that no headers fit."""
    worker = RequestedWorker(pipeline)
    await pipeline.produce(b"x" * 999_900)
    pipeline.seller.sell(20)
    await pipeline.until_decided()

    async def is_reported() -> bool:
        found = await pipeline.records("sale-dead-letter")
        return any(dict(record.headers).get("size") == b"999900" for record in found)

    await pipeline.until(is_reported, "it is told of")

    async def committed() -> bool:
        return not (await pipeline.unfinished_offsets())[CHANGE_TOPIC]

    await pipeline.until(committed, "it holds nothing up")
    assert worker.process.running
