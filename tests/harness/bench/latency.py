"""``make latency``: how long a sale takes on the real servers.

All times are read from the servers afterwards. PostgreSQL says when a transaction was committed: that of the point of
sale, which wrote the sale's lines, and the one that wrote its decision back. The message on `sale-status` carries the
time at which the worker sent it. One clock serves all.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Mapping
from contextlib import closing

import click
import pyodbc

from streams.local.real.stack import DATABASE, RealStack
from streams.local.shops import open_shops
from streams.local.stack import Capture
from tests.harness.real_servers import real_servers
from tests.pipeline.pipeline import Pipeline

_AT_ONCE = 250
_STEADY_FROM = 0.1
"""The first part of the sales finds log-ins to be made and connections to be opened; left out."""


@click.command()
@click.option("--sales", type=click.IntRange(min=20), default=1500, show_default=True)
@click.option("--rate", type=click.FloatRange(min=1), default=50, show_default=True, help="Sales a second.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=50, show_default=True, help="Of the national API.")
@click.option("--capture", type=click.Choice(["cdc", "polling"]), default="cdc", show_default=True)
@click.option("--poll-interval", type=click.FloatRange(min=0.2), default=1, show_default=True, help="With polling.")
@click.option(
    "--backlog", type=click.IntRange(min=0), default=0, help="Sales that are pending before the worker starts."
)
def main(sales: int, rate: float, latency_ms: float, capture: Capture, poll_interval: float, backlog: int) -> None:
    """Sell at a steady rate, and show the time from commit to sale-status and to write-back."""
    with real_servers("latency", latency_ms=latency_ms, capture=capture) as stack:
        with closing(open_shops(stack.database, stack.simulator_url)):  # its accounts; the sales are flawless ones
            pass
        asyncio.run(_measure(stack, sales, rate, backlog, {"POLL_INTERVAL": str(poll_interval)}))


async def _measure(stack: RealStack, sales: int, rate: float, backlog: int, settings: Mapping[str, str]) -> None:
    async with Pipeline(stack) as pipeline:
        for first in range(0, backlog, _AT_ONCE):
            pipeline.seller.sell(min(_AT_ONCE, backlog - first))
        worker = stack.start_worker("worker", {"LOG_LEVEL": "info", **settings})
        pipeline.workers.append(worker)
        await pipeline.until(lambda: "worker.ready" in worker.output(), "the worker is up")
        if stack.polls:
            await pipeline.until(lambda: "polling.cut_over" in worker.output(), "the first poll was made")
        began = time.monotonic()
        while (sold := len(pipeline.seller.sales) - backlog) < sales:
            due = min(sales, int((time.monotonic() - began) * rate) + 1)
            for _ in range(due - sold):
                await asyncio.to_thread(pipeline.seller.sell, 1)  # each a transaction of its own, as tills commit
            await asyncio.sleep(0.005)
        took = time.monotonic() - began
        pending = pipeline.counts().get("PENDING_SYNC", 0)
        await pipeline.until_decided(120 + backlog / 50)
        if backlog:
            done_s = time.monotonic() - began
            click.echo(f"{backlog} were pending before, {pending} at the last new sale, none after {done_s:.0f} s")
        committed, published, written = await _moments(pipeline, stack)
        click.echo(f"{sales} sales in {took:.1f} s ({sales / took:.1f} a second); milliseconds from the till's commit:")
        steady = sorted(committed)[backlog + int(sales * _STEADY_FROM) :]
        for name, moments in (("sale-status", published), ("write-back", written)):
            click.echo(f"  to {name:12}: {_quantiles([moments[i] - committed[i] for i in steady])}")


async def _moments(pipeline: Pipeline, stack: RealStack) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Return, for each sale, when it was committed, published and written back, in milliseconds."""
    with closing(stack.postgres.connect(DATABASE)) as owner:
        committed = _read(owner, "sales_invoice_id", "SalesInvoiceDetails")
        written = _read(owner, "id", "SalesInvoices")
    published: dict[int, int] = {}
    for record in await pipeline.records("sale-status"):
        published.setdefault(json.loads(record.value)["id"], record.timestamp)
    return committed, published, written


def _read(owner: pyodbc.Connection, id_: str, table: str) -> dict[int, int]:
    """By sale, when the transaction was committed that wrote its rows in `table` last."""
    moment = "CAST(EXTRACT(EPOCH FROM pg_xact_commit_timestamp(xmin)) * 1000 AS BIGINT)"
    rows = owner.execute(f"SELECT {id_}, MAX({moment}) FROM dbo.{table} GROUP BY {id_}").fetchall()  # noqa: S608
    return {int(sale): int(at) for sale, at in rows}


def _quantiles(values: list[int]) -> str:
    cut = statistics.quantiles(values, n=100)
    return f"median {cut[49]:.0f}, 90th {cut[89]:.0f}, 99th percentile {cut[98]:.0f}, longest {max(values)}"


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.latency")
