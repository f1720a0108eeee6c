"""``make quiet``: a worker that was started on committed positions stands before hours without a sale, in real time."""

from __future__ import annotations

import asyncio
import sys
import time

import click
import httpx

from streams.local.processes import Process, free_port
from streams.local.real.stack import RealStack
from tests.harness.real_servers import real_servers
from tests.pipeline.pipeline import Pipeline

_LOOK_EVERY = 20.0
_REPORT_EVERY = 600.0
_DECIDED = 300.0
_DEFAULTS = {"LOG_LEVEL": "info"}


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.5), default=120, show_default=True, help="Without a sale.")
def main(minutes: float) -> None:
    """Exit code 0 only if the worker lives all the time, answers /livez with 200, writes no watchdog line, and decides
    the first sales of the morning."""
    with real_servers("quiet", not_ready=2, latency_ms=20) as stack:
        wrong = asyncio.run(_play(stack, minutes * 60))
    for words in wrong:
        click.echo(f"not as promised: {words}")
    sys.exit(1 if wrong else 0)


async def _play(stack: RealStack, seconds: float) -> list[str]:
    async with Pipeline(stack) as pipeline, httpx.AsyncClient(timeout=10, trust_env=False) as client:
        evening = stack.start_worker("evening", _DEFAULTS)
        pipeline.workers.append(evening)
        pipeline.seller.sell(50)
        await pipeline.until_decided()
        evening.terminate(60)
        port = free_port(6066)
        worker = stack.start_worker("night", _DEFAULTS, web_port=port)
        pipeline.workers.append(worker)
        url = f"http://127.0.0.1:{port}/livez"
        wrong = await _watch(client, url, worker, seconds)
        if wrong:
            return wrong
        pipeline.seller.sell(50)
        started = time.monotonic()
        await pipeline.until_decided(_DECIDED)
        await pipeline.assert_both_sides_agree()
        click.echo(f"in the morning 50 sales were decided within {time.monotonic() - started:.1f} s")
        return []


async def _watch(client: httpx.AsyncClient, url: str, worker: Process, seconds: float) -> list[str]:
    """What went wrong in this time; nothing where the worker lived through it."""
    wrong: list[str] = []
    looks = 0
    began = time.monotonic()
    reported = began
    while (passed := time.monotonic() - began) < seconds and not wrong:
        await asyncio.sleep(_LOOK_EVERY)
        if (code := worker.exit_code) is not None:
            wrong.append(f"the worker ended with exit code {code} after {passed:.0f} s")
            break
        try:
            status = (await client.get(url)).status_code
        except httpx.TransportError as problem:
            if passed < 60:  # it has only just been started
                continue
            status = 0
            wrong.append(f"/livez does not answer after {passed:.0f} s: {type(problem).__name__}")
        looks += 1
        if status not in (0, 200):
            wrong.append(f"/livez says {status} after {passed:.0f} s")
        if lines := [line for line in worker.output().splitlines() if "watchdog" in line]:
            wrong.append(f"a watchdog line after {passed:.0f} s: {lines[0]}")
        if time.monotonic() - reported > _REPORT_EVERY:
            reported = time.monotonic()
            click.echo(f"{passed:5.0f} s: alive, /livez said 200 {looks} times, no watchdog line")
    click.echo(f"{passed:.0f} s without a sale: {looks} looks")
    return wrong


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.chaos.quiet")
