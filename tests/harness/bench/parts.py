"""Who uses the processors: every part of the system, servers included, for each sale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

from streams.local.processes import Process
from streams.local.real.stack import RealStack

_JOURNALS = "MongoDB stand-in"
_NAMES = {
    "postgres": "PostgreSQL",
    "kafka": "Kafka",
    "connect": "Debezium",
    "mongo": _JOURNALS,
    "national-api": "API simulator",
}


class Parts:
    """CPU seconds of each part until now; its processes are looked up each time."""

    def __init__(self, stack: RealStack, workers: Iterable[Process]) -> None:
        self._roots = {"worker": [worker.pid for worker in workers]}
        for server in stack.servers:
            if server.process.running:
                name = _NAMES.get(server.name, server.name)
                self._roots.setdefault(name, []).append(server.process.pid)

    def cpu_s(self) -> dict[str, float]:
        used = dict.fromkeys([*self._roots, _JOURNALS], 0.0)
        for name, roots in self._roots.items():
            for process in [process for pid in roots for process in _tree(pid)]:
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    # The stand-in for MongoDB keeps its documents in PostgreSQL.
                    belongs = _JOURNALS if "mongo" in "".join(process.cmdline()[:1]) else name
                    used[belongs] += times.user + times.system
        return used


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def per_sale_us(before: Mapping[str, float], after: Mapping[str, float], sales: int) -> dict[str, int]:
    """Return microseconds of CPU, the largest first, without parts that used next to nothing."""
    used = {name: round((after[name] - before.get(name, 0)) / sales * 1e6) for name in after}
    return dict(sorted(((n, us) for n, us in used.items() if us >= 5), key=lambda pair: -pair[1]))
