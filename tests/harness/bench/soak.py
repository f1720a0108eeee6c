"""``make soak``: points of sale sell at a steady rate for long; does the worker's memory grow, and does it keep up?

Memory: a straight line through what was seen every second, without the first tenth; its slope, how sure that is.
"""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

from streams.local.processes import NotReady
from tests.harness.bench.parts import Parts, per_sale_us
from tests.harness.bench.peers import Worker
from tests.harness.bench.rig import STOP_WITHIN_S, rig
from tests.harness.bench.servers import Servers, all_accepted

_TICK_S = 0.05
_LOOK_EVERY_S = 1.0
_WARM = 0.1
_POINTS_OF_SALE = "tills and this watch"


@dataclass(slots=True)
class Looks:
    """What was seen of the worker and of its sales, once a second."""

    pid: int
    servers: Servers
    seconds: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    """Sales that were sold and are not accepted yet."""
    sold: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        process, began = psutil.Process(self.pid), time.monotonic()
        while not self._stop.wait(_LOOK_EVERY_S):
            self.seconds.append(time.monotonic() - began)
            self.rss_mb.append(process.memory_info().rss / 2**20)
            self.behind.append(self.sold - _lines(self.servers.stack.simulator.ledger))

    def sold_one(self, _: int) -> None:
        self.sold += 1

    def end(self) -> None:
        self._stop.set()


@click.command()
@click.option("--sales", type=click.IntRange(min=1000), default=100_000, show_default=True)
@click.option("--rate", type=click.FloatRange(min=1), default=400, show_default=True, help="Sales a second.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=50, show_default=True, help="Of the national API.")
def main(sales: int, rate: float, latency_ms: float) -> None:
    """Sell for long at a steady rate, and report memory and waiting sales."""
    with rig("soak", latency_ms=latency_ms) as servers:
        _soak(servers, sales, rate)


def _soak(servers: Servers, sales: int, rate: float) -> None:
    peer = Worker()
    with ExitStack() as cleanup:
        warm = servers.sell(200)
        peer.hand_over(servers, warm)
        worker = peer.start(servers)
        cleanup.callback(worker.terminate, STOP_WITHIN_S)
        servers.until_decided(warm, 60)
        looks = Looks(worker.pid, servers, sold=len(warm.ids))
        thread = threading.Thread(target=looks.watch, daemon=True)
        thread.start()
        cleanup.callback(thread.join)
        cleanup.callback(looks.end)
        parts = Parts(servers.stack, [worker])
        before = parts.cpu_s() | {_POINTS_OF_SALE: time.process_time()}
        began = time.monotonic()
        sold = servers.sell_steadily(sales, rate, looks.sold_one, tick_s=_TICK_S)
        took = time.monotonic() - began
        used = per_sale_us(before, parts.cpu_s() | {_POINTS_OF_SALE: time.process_time()}, sales)
        ended = time.monotonic()
        servers.until_accepted(sold.codes, sales, within_s=120)
        rest = time.monotonic() - ended
        accepted = servers.accepted(sold.codes)
    if problem := all_accepted(accepted, sales):
        raise NotReady(problem)
    _say(looks, sales, took, rest)
    click.echo(f"µs of CPU for a sale: {', '.join(f'{part} {us}' for part, us in used.items())}; {sum(used.values())}")


def _say(looks: Looks, sales: int, took: float, rest: float) -> None:
    first = int(len(looks.seconds) * _WARM)
    rss = looks.rss_mb[first:]
    line = line_through(looks.seconds[first:], rss)
    per_s = sales / took
    behind = looks.behind[first:]
    click.echo(
        f"{sales} sales in {took:.0f} s ({per_s:.0f} a second); all accepted {rest:.1f} s after the last was sold"
    )
    click.echo(
        f"RSS: {rss[0]:.0f} MB after the first tenth, {rss[-1]:.0f} MB at the end, {max(looks.rss_mb):.0f} MB at most"
    )
    click.echo(
        f"slope: {line.slope / per_s * 10_000:+.2f} MB for 10,000 sales "
        f"(standard error {line.error / per_s * 10_000:.2f}), deviation from the line {line.deviation:.1f} MB"
    )
    half = len(behind) // 2
    click.echo(
        f"sold and not accepted: {statistics.mean(behind[:half]):.0f} on average in the first half, "
        f"{statistics.mean(behind[half:]):.0f} in the second, {max(behind)} at most"
    )


@dataclass(frozen=True, slots=True)
class Line:
    slope: float
    error: float
    """Standard error of the slope."""
    deviation: float
    """From the line."""


def line_through(x: list[float], y: list[float]) -> Line:
    """By least squares. Looks one second apart are not independent of each other, so the error counts one of ten."""
    slope, intercept = statistics.linear_regression(x, y)
    residuals = [b - (intercept + slope * a) for a, b in zip(x, y, strict=True)]
    independent = max(len(x) / 10, 3)
    spread = statistics.pvariance(x) * len(x)
    error = (sum(r * r for r in residuals) / spread / (independent - 2)) ** 0.5
    return Line(slope, error, statistics.pstdev(residuals))


def _lines(file: Path) -> int:
    with file.open("rb") as ledger:
        return sum(1 for _ in ledger)


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.soak")
