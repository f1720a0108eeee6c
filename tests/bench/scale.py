"""``make scale``: the same backlog with one worker and with two, few partitions and many, and what each part of the
system uses of the processors meanwhile."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from streams.local.debian import EXIT_CODE, PackagesMissing
from streams.local.processes import NotReady, Process
from streams.local.real.stack import RealStack
from tests.bench.parts import Parts, per_sale_us
from tests.bench.peers import Worker
from tests.bench.servers import Servers, Sold, all_accepted, steady_per_s

_STOP_WITHIN_S = 40
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
    logging.getLogger("httpx").setLevel(logging.WARNING)
    runs: list[Run] = []
    try:
        for count in map(int, partitions.split(",")):
            with (
                tempfile.TemporaryDirectory(prefix="streams-scale-") as folder,
                RealStack(Path(folder), tell=_tell, partitions=count) as stack,
                Servers(stack) as servers,
            ):
                servers.answer_after(latency_ms)
                runs += [run(servers, count, number, sales) for number in map(int, workers.split(","))]
                runs.append(run(servers, count, 1, sales, bare=True))
    except PackagesMissing as problem:
        _tell(problem)
        sys.exit(EXIT_CODE)
    except NotReady as problem:
        _tell(problem)
        sys.exit(1)
    _show(runs)


def run(servers: Servers, partitions: int, workers: int, sales: int, *, bare: bool = False) -> Run:
    """Raises `NotReady` where not all of them got through."""
    _tell(f"{partitions} partitions, {workers} workers{', bare' if bare else ''}")
    sold = servers.sell(sales)
    peer = Worker()
    peer.hand_over(servers, sold)
    with ExitStack() as cleanup:
        cleanup.enter_context(_without_stand_ins(servers) if bare else nullcontext())
        processes: list[Process] = []
        for number in range(workers):
            processes.append(peer.start(servers, f"worker-{number}"))
            cleanup.callback(processes[-1].terminate, _STOP_WITHIN_S)
        parts = Parts(servers.stack, processes)
        _until_accepted(servers, sold, sales // 10)
        before, already = parts.cpu_s(), len(servers.accepted(sold.codes))
        _until_accepted(servers, sold, sales * 9 // 10)
        after, by_then = parts.cpu_s(), len(servers.accepted(sold.codes))
        decided = servers.until_decided(sold, 180)
        moments = servers.accepted(sold.codes)
    if trouble := all_accepted(moments, sales) or ("" if decided else "not every row got its end"):
        raise NotReady(trouble)
    return Run(partitions, workers, bare, steady_per_s(moments), per_sale_us(before, after, by_then - already))


@contextmanager
def _without_stand_ins(servers: Servers) -> Iterator[None]:
    with servers.capture_paused():
        servers.stack.mongo.stop()
        try:
            yield
        finally:
            servers.stack.revive()


def _until_accepted(servers: Servers, sold: Sold, count: int, within_s: float = 240) -> None:
    deadline = time.monotonic() + within_s
    while (accepted := len(servers.accepted(sold.codes))) < count:
        if time.monotonic() > deadline:
            raise NotReady(f"{accepted} of {count} sales accepted in {within_s:g} s")
        time.sleep(0.25)


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


def _tell(what: object) -> None:
    click.echo(what, err=True)


if __name__ == "__main__":
    main(prog_name="python -m tests.bench.scale")
