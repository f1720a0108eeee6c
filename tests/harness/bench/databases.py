"""``make databases``: a worker for each database, all on one machine: what each takes, idle and at work.

Every database has its own topics, consumer groups and journal, and is polled; all share Kafka, Redis, MongoDB and the
database server, as a chain with a database for each shop has it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import click
import psutil
from rich import box
from rich.console import Console
from rich.table import Table

from streams.local.processes import NotReady, Process
from streams.local.real.stack import RealStack
from streams.local.samples import Seller
from streams.local.shops import open_shops
from tests.harness.bench.parts import Parts
from tests.harness.bench.rig import STOP_WITHIN_S, tell
from tests.harness.real_servers import real_servers
from tests.support.several_databases import AddedDatabase, add_database

_SETTLED_AFTER_S = 20
"""Of idleness after the start, whose work is none of the idle worker's."""


@dataclass(frozen=True, slots=True)
class Memory:
    rss_mb: float
    pss_mb: float
    """Pages that processes share are divided among them."""


@dataclass(frozen=True, slots=True)
class Period:
    """What was seen from its beginning to its end."""

    name: str
    memory: Sequence[Memory]
    """Of each worker, at the end."""
    cpu: Sequence[float]
    """Of each worker, as a share of one processor."""
    servers: dict[str, float]
    """Of each server, as a share of one processor."""
    transactions_per_s: float
    """Of all sales databases together."""


@click.command()
@click.option("--count", type=click.IntRange(min=1, max=20), default=10, show_default=True, help="Databases.")
@click.option("--minutes", type=click.FloatRange(min=0.2), default=2, show_default=True, help="Of each period.")
@click.option("--rate", type=click.FloatRange(min=0), default=5, show_default=True, help="Sales a second, in all.")
@click.option("--partitions", type=click.IntRange(min=1), default=8, show_default=True, help="Of every topic.")
@click.option("--documents", default="", help="The setting DOCUMENTS; by default all types that the database has.")
def main(count: int, minutes: float, rate: float, partitions: int, documents: str) -> None:
    """Run a worker for each of several databases, first idle and then while points of sale sell."""
    with real_servers("databases", capture="polling", captured=False, partitions=partitions) as stack:
        tell(f"making {count} databases and their topics")
        more = {"LOG_LEVEL": "info", **({"DOCUMENTS": documents} if documents else {})}
        databases = [
            add_database(stack, f"shop_{n}", f"shop-{n}.shop_{n}.dbo", TOPIC_PREFIX=f"shop-{n}", **more)
            for n in range(1, count + 1)
        ]
        with ExitStack() as cleanup:
            _measure(stack, databases, minutes * 60, rate, cleanup)


def _measure(
    stack: RealStack, databases: Sequence[AddedDatabase], seconds: float, rate: float, cleanup: ExitStack
) -> None:
    sellers = [cleanup.enter_context(closing(open_shops(each.sales, stack.simulator_url))) for each in databases]
    without_workers = _Watch(stack, databases, [])
    time.sleep(min(seconds, 30))
    periods = [without_workers.period("no worker")]
    workers: list[Process] = []
    for number, each in enumerate(databases, 1):
        worker = stack.start_worker(f"worker-{number}", each.settings)
        cleanup.callback(worker.terminate, STOP_WITHIN_S)
        workers.append(worker)
        worker.ready(lambda w=worker: True if "polling.cut_over" in w.output() else None, timeout=120)  # type: ignore[misc]
    tell(f"{len(workers)} workers poll; idle for {seconds:.0f} s")
    time.sleep(_SETTLED_AFTER_S)
    watch = _Watch(stack, databases, workers)
    time.sleep(seconds)
    periods.append(watch.period("idle"))
    if rate:
        tell(f"{rate:g} sales a second in all, for {seconds:.0f} s")
        watch = _Watch(stack, databases, workers)
        sold = _sell(sellers, seconds, rate)
        _until(lambda: _pending(databases) == 0, 60, "every sale has its end")
        periods.append(watch.period(f"{sold / seconds:.1f} sales/s"))
    _show(periods)


def _sell(sellers: Sequence[Seller], seconds: float, rate: float) -> int:
    """Sell in turn in every database; return how many were sold."""
    began, sold = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while sold < passed * rate:
            sellers[sold % len(sellers)].sell(1)
            sold += 1
        for seller in sellers:
            seller.pump()
        time.sleep(0.02)
    for seller in sellers:
        seller.finish()
    return sold


def _pending(databases: Sequence[AddedDatabase]) -> int:
    """Sales of shops whose account works that have no end yet."""
    pending = 0
    for each in databases:
        with closing(each.sales.connect()) as database:
            rows = database.execute(
                "SELECT COUNT(*) FROM SalesInvoices h LEFT JOIN SaleSync s ON s.document_type = 'sale' AND s.id = h.id "
                "WHERE h.status = 'PENDING_SYNC' AND s.reason_code IS NULL"
            )
            pending += int(rows.fetchone()[0])
    return pending


def _until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise NotReady(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.2)


class _Watch:
    """Watches from now on."""

    def __init__(self, stack: RealStack, databases: Sequence[AddedDatabase], workers: Sequence[Process]) -> None:
        self._stack = stack
        self._databases = databases
        self._workers = [psutil.Process(worker.pid) for worker in workers]
        self._parts = Parts(stack, workers)
        self._began = time.monotonic()
        self._cpu_before = [_cpu_s(worker) for worker in self._workers]
        self._parts_before = self._parts.cpu_s()
        self._transactions_before = self._transactions()

    def period(self, name: str) -> Period:
        """Return what was seen until now."""
        took = time.monotonic() - self._began
        parts = self._parts.cpu_s()
        return Period(
            name,
            [_memory(worker) for worker in self._workers],
            [(_cpu_s(worker) - before) / took for worker, before in zip(self._workers, self._cpu_before, strict=True)],
            {part: (used - self._parts_before.get(part, 0)) / took for part, used in parts.items() if part != "worker"},
            (self._transactions() - self._transactions_before) / took,
        )

    def _transactions(self) -> int:
        with closing(self._stack.postgres.connect("postgres")) as owner:
            rows = owner.execute(
                "SELECT COALESCE(SUM(xact_commit + xact_rollback), 0) FROM pg_stat_database WHERE datname LIKE 'shop%'"
            )
            return int(rows.fetchone()[0])


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _memory(process: psutil.Process) -> Memory:
    found = process.memory_full_info()
    return Memory(found.rss / 2**20, found.pss / 2**20)


def _show(periods: Sequence[Period]) -> None:
    parts = list(dict.fromkeys(part for each in periods for part in each.servers))
    shown = Table("", "RSS MB", "PSS MB", "CPU of a worker", "of all", *parts, "transactions/s", box=box.SIMPLE_HEAD)
    for each in periods:
        shown.add_row(
            each.name,
            _spread([memory.rss_mb for memory in each.memory], ".0f"),
            _spread([memory.pss_mb for memory in each.memory], ".0f"),
            _spread(each.cpu, ".1%"),
            f"{sum(each.cpu):.0%}",
            *(f"{each.servers.get(part, 0):.1%}" for part in parts),
            f"{each.transactions_per_s:.1f}",
        )
    Console(width=160).print(shown)
    click.echo("CPU: of one processor. Of the workers: median (least to most); memory at the end of the period")


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return "–"
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.databases")
