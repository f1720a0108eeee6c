"""A worker that stands still ends, so that it is started again; one that waits for something does not, and says so.

In real time only what needs a worker: Faust's own consumer and the loop itself. What else is watched, the journal's
consumer among it, stands still in virtual time, in test_watchdog.py, test_worker_health.py and test_quiet_days.py.
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
from tests.support.worker_requests import SOON, Asked


async def beyond_the_watchdogs_patience() -> None:
    """The time itself is what is tested."""
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
async def test_what_stands_still_ends_and_its_successor_goes_on(pipeline: Pipeline, sabotage: str, says: str) -> None:
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


async def test_what_is_waited_for_is_said_and_is_no_stall(pipeline: Pipeline) -> None:
    rule = await pipeline.control.add_rule(presets.status(503, "bảo trì"))
    worker = Asked(pipeline, GATE_LONGEST_PAUSE="1", REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    pipeline.seller.sell(60)
    await pipeline.until(lambda: worker.shows(503, "gate", "redis"), "it says what it waits for")
    _, health = await worker.get("/readyz")
    assert health["status"] == "not_ready"
    assert all(reason.keys() == {"part", "what", "since", "action"} for reason in health["reasons"])
    await beyond_the_watchdogs_patience()
    assert await worker.get("/livez") == (200, {"status": "ok", "reasons": []})
    await pipeline.control.clear_rules(rule)
    await pipeline.until(lambda: worker.shows(200, "redis"), "sales go out again")
    await pipeline.until_decided()
    assert (await worker.get("/readyz"))[1]["status"] == "degraded"


async def test_a_broker_that_freezes_is_waited_for(pipeline: Pipeline) -> None:
    """That the consumers have to come back afterwards is tested in virtual time: here that takes them half a minute."""
    worker = Asked(pipeline)
    pipeline.seller.sell(5)
    await pipeline.until_decided()
    broker = pipeline.stack.broker.process.pid
    os.kill(broker, signal.SIGSTOP)
    try:
        await pipeline.until(lambda: worker.shows(503, "kafka"), "it says what it waits for")
        await beyond_the_watchdogs_patience()
        assert await worker.get("/livez") == (200, {"status": "ok", "reasons": []})
    finally:
        os.kill(broker, signal.SIGCONT)


async def test_a_worker_can_be_asked_before_kafka_is_there(pipeline: Pipeline) -> None:
    worker = Asked(pipeline, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    await pipeline.until(lambda: worker.shows(503, "worker", "kafka"), "it says what it waits for")
    assert (await worker.get("/livez"))[0] == 200


async def test_a_message_that_is_too_large_for_the_dead_letters_holds_nobody_up(pipeline: Pipeline) -> None:
    """It is as large as a message may be, and no headers fit beside it."""
    worker = Asked(pipeline)
    await pipeline.produce(b"x" * 999_900)
    pipeline.seller.sell(20)
    await pipeline.until_decided()

    async def told() -> bool:
        found = await pipeline.records("sale-dead-letter")
        return any(dict(record.headers).get("size") == b"999900" for record in found)

    await pipeline.until(told, "it is told of")

    async def committed() -> bool:
        return not (await pipeline.unfinished_offsets())[CHANGE_TOPIC]

    await pipeline.until(committed, "it holds nothing up")
    assert worker.process.running
