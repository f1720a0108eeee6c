"""``make scale``: the same backlog with one worker and with two, few partitions and many, and what each part of the
system uses of the processors meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

import click
from rich import box
from rich.console import Console
from rich.table import Table

from streams.local.processes import NotReady, Process
from tests.harness.bench.measure import warm_up
from tests.harness.bench.parts import Parts, per_sale_us
from tests.harness.bench.peers import Worker
from tests.harness.bench.rig import STOP_WITHIN_S, rig, tell
from tests.harness.bench.servers import Servers, all_accepted, steady_per_s

_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Run:
    partitions: int
    workers: int
    bare: bool
    """Without the stand-in for MongoDB, and without Debezium, which captures what is written back."""
    per_s: float
    cpu_us: dict[str, int]


@click.command()
@click.option("--partitions", default="8,32", show_default=True, help="Of every topic; a stack is started for each.")
@click.option("--workers", default="1,2", show_default=True, help="Processes.")
@click.option("--sales", type=click.IntRange(min=1000), default=12_000, show_default=True, help="Of each run.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=50, show_default=True, help="Of the national API.")
def main(partitions: str, workers: str, sales: int, latency_ms: float) -> None:
    """Carry a backlog in different set-ups, side by side."""
    runs: list[Run] = []
    for count in map(int, partitions.split(",")):
        with rig("scale", latency_ms=latency_ms, partitions=count, lasting=True) as servers:
            warm_up(servers)
            servers.answer_after(latency_ms)
            runs += [run(servers, count, number, sales) for number in map(int, workers.split(","))]
            runs.append(run(servers, count, 1, sales, bare=True))
    _show(runs)


def run(servers: Servers, partitions: int, workers: int, sales: int, *, bare: bool = False) -> Run:
    """Raises `NotReady` where not all of them got through."""
    tell(f"{partitions} partitions, {workers} workers{', bare' if bare else ''}")
    sold = servers.sell(sales)
    peer = Worker()
    peer.hand_over(servers, sold)
    with ExitStack() as cleanup:
        cleanup.enter_context(servers.without_stand_ins() if bare else nullcontext())
        processes: list[Process] = []
        for number in range(workers):
            processes.append(peer.start(servers, f"worker-{number}", processor=number))
            cleanup.callback(processes[-1].terminate, STOP_WITHIN_S)
        parts = Parts(servers.stack, processes)
        servers.until_accepted(sold.codes, sales // 10, within_s=240)
        before, already = parts.cpu_s(), len(servers.accepted(sold.codes))
        servers.until_accepted(sold.codes, sales * 9 // 10, within_s=240)
        after, by_then = parts.cpu_s(), len(servers.accepted(sold.codes))
        decided = servers.until_decided(sold, 180)
        moments = servers.accepted(sold.codes)
    if problem := all_accepted(moments, sales) or ("" if decided else "not every row got its end"):
        raise NotReady(problem)
    return Run(partitions, workers, bare, steady_per_s(moments), per_sale_us(before, after, by_then - already))


def _show(runs: Sequence[Run]) -> None:
    parts = list(dict.fromkeys(part for each in runs for part in each.cpu_us))
    shown = Table(
        "partitions", "workers", "", "sales/s", *(f"{part} µs" for part in parts), "all µs", box=box.SIMPLE_HEAD
    )
    for each in runs:
        used = [str(each.cpu_us.get(part, 0)) for part in parts]
        without = "without Mongo stand-in, Debezium" if each.bare else ""
        total = str(sum(each.cpu_us.values()))
        shown.add_row(str(each.partitions), str(each.workers), without, f"{each.per_s:.0f}", *used, total)
    Console(width=_WIDTH).print(shown)
    click.echo("µs: of CPU for each sale, all processes of that part; two workers' are summed")


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.scale")
