"""``make outage``: the national API is away for minutes, in real time, before a worker with its default settings.

One setting differs: documents in doubt are looked up a minute after the API is back, not fifteen, so that the run ends
soon. What is promised about the outage itself is measured as it is.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Sequence

import click

from streams.local.processes import Process
from streams.local.real.stack import RealStack
from streams.local.simulator.faults import Fault
from tests.harness.real_servers import real_servers
from tests.pipeline.pipeline import Pipeline

_FIRST_SUCCESS = 60.0
"""Seconds from the API's return."""
_CALL = 1.0
"""Seconds that a call takes until it fails: two that are out at once can then be told from their beginnings."""
_DECIDED = 300.0
_SETTINGS = {"LOG_LEVEL": "info", "SETTLE_AFTER_OUTAGE": "60"}


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.2), default=10, show_default=True, help="How long it is away.")
@click.option("--rate", type=click.FloatRange(min=0.1), default=2, show_default=True, help="Sales a second meanwhile.")
def main(minutes: float, rate: float) -> None:
    """Exit code 0 only if no sale is refused or a dead letter, the first success comes within a minute of the API's
    return, and never more than one probe is out at a time."""
    with real_servers("outage", not_ready=2, latency_ms=20) as stack:
        wrong = asyncio.run(_play(stack, minutes * 60, rate))
    for words in wrong:
        click.echo(f"not as promised: {words}")
    sys.exit(1 if wrong else 0)


async def _play(stack: RealStack, seconds: float, rate: float) -> list[str]:
    async with Pipeline(stack) as pipeline:
        worker = stack.start_worker("worker", _SETTINGS)
        pipeline.workers.append(worker)
        pipeline.seller.sell(50)
        await pipeline.until_decided()
        rule = await pipeline.control.add_rule(Fault(accept=False, wait_s=_CALL, status=503))
        began, monotonic = time.time(), time.monotonic()
        closed_at = asyncio.create_task(_gate_closes(pipeline, worker))
        sold = 0
        while (passed := time.monotonic() - monotonic) < seconds:
            if sold < passed * rate:
                sold += 1
                await asyncio.to_thread(pipeline.seller.sell, 1)
            if passed % 60 < 0.1:
                click.echo(f"{passed:5.0f} s: {pipeline.counts()}")
            await asyncio.sleep(0.1)
        await pipeline.control.clear_rules(rule)
        returned = time.time()
        await pipeline.until_decided(_DECIDED)
        decided = time.time()
        away = [
            seen.at
            for seen in await pipeline.control.requests()
            if await closed_at + _CALL < seen.at < returned and seen.call != "login"
        ]
        first = min(entry.at for entry in await pipeline.control.ledger() if entry.at > returned)
        letters = len(await pipeline.records("sale-dead-letter"))
        counts = pipeline.counts()
        await pipeline.assert_both_sides_agree()
        click.echo(
            f"away for {returned - began:.0f} s, {sold} sales meanwhile: {len(away)} probes, "
            f"longest pause {max(b - a for a, b in itertools.pairwise(away)):.0f} s; first success "
            f"{first - returned:.1f} s after its return, all decided {decided - returned:.1f} s after it; "
            f"{letters} dead letters, {counts}"
        )
        return [*_wrong(away, first - returned, letters, counts)]


async def _gate_closes(pipeline: Pipeline, worker: Process) -> float:
    await pipeline.until(lambda: "gate.closed" in worker.output(), "the gate closes", 120)
    return time.time()


def _wrong(away: Sequence[float], first: float, letters: int, counts: dict[str, int]) -> list[str]:
    wrong = []
    if counts.keys() != {"SYNC_SUCCESS"}:
        wrong.append(f"not every sale was accepted: {counts}")
    if letters:
        wrong.append(f"{letters} dead letters")
    if first > _FIRST_SUCCESS:
        wrong.append(f"the first success came {first:.1f} s after the API's return")
    if at_once := sum(later - earlier < _CALL for earlier, later in itertools.pairwise(away)):
        wrong.append(f"{at_once} probes began while another was out")
    return wrong


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.chaos.outage")
