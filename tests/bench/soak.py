"""``make soak``: tills sell at a steady rate for long; does the worker's memory grow, and does it keep up?

Memory: a straight line through what was seen every second, without the first tenth; its slope, how sure that is.
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

from streams.local.debian import EXIT_CODE, PackagesMissing
from streams.local.processes import NotReady
from streams.local.real.stack import RealStack
from tests.bench.parts import Parts, per_sale_us
from tests.bench.peers import Worker
from tests.bench.servers import Servers, all_accepted

_TICK_S = 0.05
_LOOK_EVERY_S = 1.0
_WARM = 0.1
_STOP_WITHIN_S = 40
_TILLS = "tills and this watch"


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

    def end(self) -> None:
        self._stop.set()


@click.command()
@click.option("--sales", type=click.IntRange(min=1000), default=100_000, show_default=True)
@click.option("--rate", type=click.FloatRange(min=1), default=400, show_default=True, help="Sales a second.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=50, show_default=True, help="Of the national API.")
def main(sales: int, rate: float, latency_ms: float) -> None:
    """Sell for long at a steady rate, and tell what became of memory and of what waits."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="streams-soak-") as folder,
            RealStack(Path(folder), tell=_tell) as stack,
            Servers(stack) as servers,
        ):
            servers.answer_after(latency_ms)
            _soak(servers, sales, rate)
    except PackagesMissing as problem:
        _tell(problem)
        sys.exit(EXIT_CODE)
    except NotReady as problem:
        _tell(problem)
        sys.exit(1)


def _soak(servers: Servers, sales: int, rate: float) -> None:
    peer = Worker()
    with ExitStack() as cleanup:
        warm = servers.sell(200)
        peer.hand_over(servers, warm)
        worker = peer.start(servers)
        cleanup.callback(worker.terminate, _STOP_WITHIN_S)
        servers.until_decided(warm, 60)
        looks = Looks(worker.pid, servers, sold=len(warm.ids))
        thread = threading.Thread(target=looks.watch, daemon=True)
        thread.start()
        cleanup.callback(thread.join)
        cleanup.callback(looks.end)
        parts = Parts(servers.stack, [worker])
        before = parts.cpu_s() | {_TILLS: time.process_time()}
        began, count = time.monotonic(), 0
        codes: list[str] = []
        while count < sales:
            due = min(sales, int((time.monotonic() - began) * rate) + 1) - count
            if due > 0:
                codes += [sale.local_invoice_id for sale in servers.seller.sell(due)]
                count += due
                looks.sold += due
            time.sleep(_TICK_S)
        took = time.monotonic() - began
        used = per_sale_us(before, parts.cpu_s() | {_TILLS: time.process_time()}, sales)
        ended = time.monotonic()
        while (accepted := servers.accepted(codes)) and len(accepted) < sales and time.monotonic() - ended < 120:
            time.sleep(1)
        rest = time.monotonic() - ended
    if trouble := all_accepted(accepted, sales):
        raise NotReady(trouble)
    _say(looks, sales, took, rest)
    click.echo(f"µs of CPU for a sale: {', '.join(f'{part} {us}' for part, us in used.items())}; {sum(used.values())}")


def _say(looks: Looks, sales: int, took: float, rest: float) -> None:
    first = int(len(looks.seconds) * _WARM)
    seconds, rss = looks.seconds[first:], looks.rss_mb[first:]
    slope, error = slope_of(seconds, rss)
    per_s = sales / took
    behind = looks.behind[first:]
    click.echo(
        f"{sales} sales in {took:.0f} s ({per_s:.0f} a second); all accepted {rest:.1f} s after the last was sold"
    )
    click.echo(
        f"RSS: {rss[0]:.0f} MB after the first tenth, {rss[-1]:.0f} MB at the end, {max(looks.rss_mb):.0f} MB at most"
    )
    click.echo(
        f"slope: {slope / per_s * 10_000:+.2f} MB for 10,000 sales (standard error {error / per_s * 10_000:.2f}), "
        f"deviation from the line {statistics.pstdev(_residuals(seconds, rss)):.1f} MB"
    )
    half = len(behind) // 2
    click.echo(
        f"sold and not accepted: {statistics.mean(behind[:half]):.0f} on average in the first half, "
        f"{statistics.mean(behind[half:]):.0f} in the second, {max(behind)} at most"
    )


def slope_of(x: list[float], y: list[float]) -> tuple[float, float]:
    """Of the least squares line, and its standard error. Looks one second apart are not independent of each other, so
    the error counts one of ten."""
    slope, _ = statistics.linear_regression(x, y)
    rest = sum(r * r for r in _residuals(x, y))
    spread = sum((each - statistics.mean(x)) ** 2 for each in x)
    independent = max(len(x) / 10, 3)
    return slope, (rest / len(x) / spread * len(x) / (independent - 2)) ** 0.5


def _residuals(x: list[float], y: list[float]) -> list[float]:
    slope, intercept = statistics.linear_regression(x, y)
    return [b - (intercept + slope * a) for a, b in zip(x, y, strict=True)]


def _lines(file: Path) -> int:
    with file.open("rb") as ledger:
        return sum(1 for _ in ledger)


def _tell(what: object) -> None:
    click.echo(what, err=True)


if __name__ == "__main__":
    main(prog_name="python -m tests.bench.soak")
