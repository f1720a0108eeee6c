"""What was measured, as it is kept, and as it is shown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path

import psutil
from pydantic import BaseModel
from rich import box
from rich.table import Table

OURS = "worker"
ALONE = "worker, stand-ins out"
"""Held against the bare clients alone, which the stand-ins do not burden either."""
_SHORTEST_S = 5
"""With fewer sales than are in flight at once, a rate means nothing."""


class Row(BaseModel):
    """One peer at one latency of the API."""

    peer: str
    latency_ms: float
    sales: int
    sales_per_s: float
    """Between the 10th and the 90th percentile of the acceptances."""
    cpu_us_per_sale: float
    peak_rss_mb: float
    ends_after_s: float | None = None
    """From the last acceptance until the last row had its end: what was left undone while sales went out."""
    offered_per_s: float | None = None
    """Sales a second while the latency was measured."""
    median_ms: float | None = None
    p99_ms: float | None = None
    capture_ms: float | None = None
    """Median time until the change event was in Kafka, for a peer that waits for it: Debezium's part of the latency."""
    published_by: str | None = None
    problem: str = ""
    """Why the figures are not to be believed."""


class Machine(BaseModel):
    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    packages: dict[str, str]
    load_before: float
    """Load average of the minute before: a busy machine measures nothing."""
    measured_on: str

    @classmethod
    def here(cls) -> Machine:
        cpu = next(
            (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
        )
        clients = ("pyreqwest", "httpx", "httpx-aiohttp", "aiohttp")
        names = ("faust-streaming", "aiokafka", *clients, "pydantic", "pyodbc", "celery")
        return cls(
            cpu=cpu,
            cores=os.cpu_count() or 0,
            memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
            kernel=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            packages={name: version(name) for name in names},
            load_before=round(os.getloadavg()[0], 2),
            measured_on=f"{datetime.now(UTC):%Y-%m-%d}",
        )


class Results(BaseModel):
    machine: Machine
    concurrency: int
    quick: bool
    simulator_per_s: float | None = None
    """What the API simulator takes from a bare client, without latency."""
    rows: list[Row] = []

    def runs(self, peer: str, latency_ms: float) -> list[Row]:
        """One of each round that it had a part in."""
        return [row for row in self.rows if (row.peer, row.latency_ms) == (peer, latency_ms)]

    @property
    def latencies(self) -> list[float]:
        return list(dict.fromkeys(row.latency_ms for row in self.rows))

    @property
    def peers(self) -> list[str]:
        return list(dict.fromkeys(row.peer for row in self.rows))

    @property
    def doubts(self) -> list[str]:
        """Why this is no benchmark."""
        doubts = [f"{row.peer} at {row.latency_ms:g} ms: {row.problem}" for row in self.rows if row.problem]
        doubts += [
            f"{row.peer} at {row.latency_ms:g} ms: its run was over in {row.sales / row.sales_per_s:.1f} s"
            for row in self.rows
            if row.sales / row.sales_per_s < _SHORTEST_S and not self.quick
        ]
        if self.machine.load_before > 0.5:
            doubts.append(f"the machine was busy before it began: load {self.machine.load_before:g}")
        if self.quick:
            doubts.append("a quick run: too few sales for figures")
        return doubts

    def published_by(self) -> dict[str, list[str]]:
        """What ended a sale's latency, and of which peers."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            if row.published_by and row.peer not in found.setdefault(row.published_by, []):
                found[row.published_by].append(row.peer)
        return found

    def ratios(self) -> list[tuple[str, list[float]]]:
        """Of our sales a second to every other peer's, one of each round."""
        return self._ratios("", lambda row: row.sales_per_s, self._pairs())

    def cpu_ratios(self) -> list[tuple[str, list[float]]]:
        """Of our CPU for a sale to a bare client's for a request, which carries a sale no further."""
        pairs = (pair for pair in self._pairs() if "roofline" in pair[2])
        return self._ratios("CPU of ", lambda row: row.cpu_us_per_sale, pairs)

    def _ratios(
        self, what: str, of: Callable[[Row], float], pairs: Iterator[tuple[float, str, str]]
    ) -> list[tuple[str, list[float]]]:
        """Compare a peer that was measured once with what the other had in that round, the first."""
        return [
            (
                f"{what}{ours} / {other} {latency_ms:g}ms",
                [
                    of(a) / of(b)
                    for a, b in zip(self.runs(ours, latency_ms), self.runs(other, latency_ms), strict=False)
                ],
            )
            for latency_ms, ours, other in pairs
        ]

    def _pairs(self) -> Iterator[tuple[float, str, str]]:
        for latency_ms, other, ours in product(self.latencies, self.peers, (OURS, ALONE)):
            both = self.runs(ours, latency_ms) and self.runs(other, latency_ms)
            if both and other not in {OURS, ALONE} and (ours == OURS or "roofline" in other):
                yield latency_ms, ours, other


def say(ratio: tuple[str, list[float]]) -> str:
    """The median of all rounds, and what each of them had."""
    what, rounds = ratio
    each = f"  ({', '.join(f'{one:.2f}' for one in rounds)})" if len(rounds) > 1 else ""
    return f"{what}: {statistics.median(rounds):.2f}{each}"


COLUMNS = (
    "peer",
    "API latency",
    "sales",
    "sales/s",
    "ends after s",
    "CPU µs/sale",
    "median ms",
    "99th ms",
    "capture ms",
    "at sales/s",
    "peak RSS MB",
)


def cells(row: Row) -> tuple[str, ...]:
    return (
        row.peer,
        f"{row.latency_ms:g} ms",
        f"{row.sales}",
        f"{row.sales_per_s:.1f}",
        _number(row.ends_after_s, 1),
        f"{row.cpu_us_per_sale:.0f}",
        _number(row.median_ms, 0),
        _number(row.p99_ms, 0),
        _number(row.capture_ms, 0),
        _number(row.offered_per_s, 1),
        f"{row.peak_rss_mb:.0f}",
    )


def table(results: Results) -> Table:
    shown = Table(*COLUMNS, "", box=box.SIMPLE_HEAD)
    for column in shown.columns[1:-1]:
        column.justify = "right"
    for latency_ms in results.latencies:
        for row in results.rows:
            if row.latency_ms == latency_ms:
                shown.add_row(*cells(row), row.problem)
        shown.add_section()
    return shown


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _lines(file: str) -> list[str]:
    return Path(file).read_text(encoding="utf-8").splitlines()
