"""``make rebalance``: points of sale sell on while a second worker comes, leaves as asked, comes again and is killed.

Looked at: how long the sales of each time took from commit to acceptance. A worker that leaves hands its partitions
over; of one that is killed the broker finds out by its silence (`KAFKA_SESSION_TIMEOUT`).
"""

from __future__ import annotations

import bisect
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import click

from streams.local.processes import NotReady, Process
from tests.harness.bench.peers import Worker
from tests.harness.bench.rig import STOP_WITHIN_S, rig, tell
from tests.harness.bench.servers import Servers, Sold, all_accepted

_APART_S = 20.0
"""Between two events: each finds the one before it done with."""
_TICK_S = 0.01


@click.command()
@click.option("--rate", type=click.FloatRange(min=1), default=100, show_default=True, help="Sales a second.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=50, show_default=True, help="Of the national API.")
def main(rate: float, latency_ms: float) -> None:
    """Sell at a steady rate while workers come and go, and report what it cost the sales."""
    with rig("rebalance", latency_ms=latency_ms) as servers:
        _rebalance(servers, rate)


def _rebalance(servers: Servers, rate: float) -> None:
    peer = Worker()
    with ExitStack() as cleanup:
        warm = servers.sell(200)
        peer.hand_over(servers, warm)
        cleanup.callback(peer.start(servers).terminate, STOP_WITHIN_S)
        servers.until_decided(warm, 60)

        def comes(name: str) -> Process:
            worker = peer.start(servers, name, processor=1)
            cleanup.callback(worker.terminate, STOP_WITHIN_S)
            return worker

        def all_of_it() -> list[tuple[str, float]]:
            moments = [("one worker alone", time.time())]
            time.sleep(_APART_S)
            moments.append(("a second one comes", time.time()))
            second = comes("worker-2")
            time.sleep(_APART_S)
            moments.append(("it leaves", time.time()))
            second.terminate(STOP_WITHIN_S)
            time.sleep(_APART_S)
            moments.append(("it comes again", time.time()))
            third = comes("worker-3")
            time.sleep(_APART_S)
            moments.append(("it is killed", time.time()))
            third.kill()
            return moments

        with ThreadPoolExecutor(1) as digest_column:
            events = digest_column.submit(all_of_it)
            sold = servers.sell_steadily(int(rate * _APART_S * 6), rate, lambda _: None, tick_s=_TICK_S)
            moments = events.result()
        if not servers.until_decided(sold, 120):
            raise NotReady("not every row got its end")
        accepted = {code: at for at, code in servers.acceptances(sold.codes)}
        if problem := all_accepted(servers.accepted(sold.codes), len(sold.codes)):
            raise NotReady(problem)
        tell(f"{len(sold.codes)} sales at {rate:g} a second, each accepted once")
        _show(servers, sold, accepted, moments)


def _show(servers: Servers, sold: Sold, accepted: dict[str, float], moments: Sequence[tuple[str, float]]) -> None:
    captured = servers.captured(sold)
    captured.inserted()
    committed = captured.committed_ms()
    begins = [at for _, at in moments]
    took: list[list[float]] = [[] for _ in moments]
    for id_, code in zip(sold.ids, sold.codes, strict=True):
        part = bisect.bisect_right(begins, committed[id_] / 1000) - 1
        if part >= 0:
            took[part].append(accepted[code] * 1000 - committed[id_])
    click.echo("milliseconds from commit to acceptance:")
    for (name, _), waits in zip(moments, took, strict=True):
        cut = statistics.quantiles(waits, n=100)
        click.echo(
            f"  {name:20} median {cut[49]:5.0f}   99th percentile {cut[98]:6.0f}   longest {max(waits):6.0f}   "
            f"of {len(waits)}"
        )


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.rebalance")
