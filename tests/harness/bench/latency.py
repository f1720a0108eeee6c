"""``make latency``: how long a sale takes on the real servers.

All times are read from Kafka afterwards. PostgreSQL says when a transaction was committed (`source.ts_ms` of its
change event): the sale's own, and the one that wrote its decision back. The message on `sale-status` carries the
time at which the worker sent it. One clock serves all.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from contextlib import closing

import click

from streams.local.real.stack import RealStack
from streams.local.shops import open_shops
from streams.local.stack import CHANGE_TOPIC
from tests.harness.real_servers import real_servers
from tests.pipeline.pipeline import Pipeline

_STEADY_FROM = 0.1
"""The first part of the sales finds log-ins to be made and connections to be opened; left out."""


@click.command()
@click.option("--sales", type=click.IntRange(min=20), default=1500, show_default=True)
@click.option("--rate", type=click.FloatRange(min=1), default=50, show_default=True, help="Sales a second.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=50, show_default=True, help="Of the national API.")
def main(sales: int, rate: float, latency_ms: float) -> None:
    """Sell at a steady rate, and show the time from commit to sale-status and to write-back."""
    with real_servers("latency", latency_ms=latency_ms) as stack:
        with closing(open_shops(stack.database, stack.simulator_url)):  # its accounts; the sales are flawless ones
            pass
        asyncio.run(_measure(stack, sales, rate))


async def _measure(stack: RealStack, sales: int, rate: float) -> None:
    async with Pipeline(stack) as pipeline:
        worker = stack.start_worker("worker", {"LOG_LEVEL": "info"})
        pipeline.workers.append(worker)
        await pipeline.until(lambda: "worker.ready" in worker.output(), "the worker is up")
        began = time.monotonic()
        while (sold := len(pipeline.seller.sales)) < sales:
            due = min(sales, int((time.monotonic() - began) * rate) + 1)
            for _ in range(due - sold):
                await asyncio.to_thread(pipeline.seller.sell, 1)  # each a transaction of its own, as tills commit
            await asyncio.sleep(0.005)
        took = time.monotonic() - began
        await pipeline.until_decided(120)
        committed, published, written = await _moments(pipeline, sales)
        click.echo(f"{sales} sales in {took:.1f} s ({sales / took:.1f} a second); milliseconds from the till's commit:")
        steady = sorted(committed)[int(sales * _STEADY_FROM) :]
        for name, moments in (("sale-status", published), ("write-back", written)):
            click.echo(f"  to {name:12}: {_quantiles([moments[i] - committed[i] for i in steady])}")


async def _moments(pipeline: Pipeline, sales: int) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Return, for each sale, when it was committed, published and written back, in milliseconds."""

    async def changes() -> list[dict[str, object]]:
        return [json.loads(record.value) for record in await pipeline.records(CHANGE_TOPIC) if record.value]

    committed: dict[int, int] = {}
    written: dict[int, int] = {}

    async def all_captured() -> bool:
        for event in await changes():
            after, source = event["after"], event["source"]
            assert isinstance(after, dict)
            assert isinstance(source, dict)
            moments = committed if event["op"] == "c" else written
            moments.setdefault(after["id"], source["ts_ms"])
        return len(committed) == len(written) == sales

    await pipeline.until(all_captured, "every write-back is captured")
    published: dict[int, int] = {}
    for record in await pipeline.records("sale-status"):
        published.setdefault(json.loads(record.value)["id"], record.timestamp)
    return committed, published, written


def _quantiles(values: list[int]) -> str:
    cut = statistics.quantiles(values, n=100)
    return f"median {cut[49]:.0f}, 90th {cut[89]:.0f}, 99th percentile {cut[98]:.0f}, longest {max(values)}"


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.latency")
