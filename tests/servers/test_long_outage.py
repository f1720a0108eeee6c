"""Tests that no consumer leaves its group while the gate is closed for longer than a consumer may be idle."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient

from streams.local.processes import Process, free_port
from streams.local.real.stack import RealStack
from streams.local.simulator import presets
from tests.pipeline.pipeline import QUICK, Pipeline

POLL_INTERVAL = 8
GROUPS = ("pharmacy-sale-streams", "pharmacy-sale-streams-journal")


def members(stack: RealStack) -> dict[str, list[str]]:
    """Return the members of each group; one that left and returned has another name."""
    admin = AdminClient({"bootstrap.servers": stack.kafka.address})
    answers = admin.describe_consumer_groups(list(GROUPS))
    return {group: sorted(member.member_id for member in answers[group].result(30).members) for group in GROUPS}


async def test_no_consumer_leaves_its_group_during_a_long_outage(real_stack: RealStack) -> None:
    async with Pipeline(real_stack) as pipeline:
        worker = _worker(pipeline)
        pipeline.seller.sell(20)
        await pipeline.until_decided(90)
        joined = members(real_stack)
        assert {group: len(ids) for group, ids in joined.items()} == dict.fromkeys(GROUPS, 1)

        rule = await pipeline.control.add_rule(presets.status(503, "bảo trì"))
        pipeline.seller.sell(300)
        await pipeline.until(lambda: "gate.closed" in worker.output(), "the gate closes")
        closed_at, written = time.monotonic(), len(pipeline.journal("task_logs"))
        while time.monotonic() < closed_at + 3 * POLL_INTERVAL:  # the time itself is what is tested
            pipeline.seller.sell(5)
            await asyncio.sleep(1)
        assert members(real_stack) == joined
        assert worker.output().count("gate.opened") == 0
        assert len(pipeline.journal("task_logs")) > written, "the journal went on"
        waiting = [row for row in pipeline.rows().values() if row.status == "PENDING_SYNC" and row.message]
        assert len(waiting) > 5, "so did the write-back"

        await pipeline.control.clear_rules(rule)
        await pipeline.until_decided(120)
        assert pipeline.counts() == {"SYNC_SUCCESS": len(pipeline.seller.sales)}
        assert members(real_stack) == joined
        assert await pipeline.records("sale-dead-letter") == []
        await pipeline.assert_both_sides_agree()


def _worker(pipeline: Pipeline) -> Process:
    stack, port = pipeline.stack, str(free_port())
    settings = {"WEB_PORT": port, "GATE_LONGEST_PAUSE": "2", "POLL_INTERVAL": str(POLL_INTERVAL)}
    worker = Process(
        "must-poll",
        [sys.executable, "-m", "faust", "-A", "tests.servers.app_that_must_poll", "worker", "--web-port", port],
        log=stack.folder / "logs" / "must-poll.log",
        environment={**stack.environment, **QUICK, **settings},
        folder=Path(__file__).parents[2],
    )
    pipeline.workers.append(worker)
    return worker
