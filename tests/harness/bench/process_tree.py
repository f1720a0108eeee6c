"""Measures CPU time and memory of a process and its descendants, regularly and from a thread."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Look:
    at: float
    """Seconds since the epoch."""
    cpu_s: float
    """User and system time since the process began, those of children that have ended included."""
    rss_mb: float
    """Summed: pages that processes share count in each."""


class ProcessTree:
    """``with ProcessTree(pid) as tree`` looks until it is left, or the process ends."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._looks: list[Look] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="process tree", daemon=True)

    def __enter__(self) -> Self:
        self._looks.append(self._look())
        self._thread.start()
        return self

    def __exit__(
        self, error_class: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak_rss_mb(self) -> float:
        return max(look.rss_mb for look in self._looks)

    def cpu_between(self, began: float, ended: float) -> float:
        """Seconds of CPU from one moment to another, both since the epoch."""
        return self._cpu_at(ended) - self._cpu_at(began)

    def settled(self, *, within_s: float = 20, below: float = 0.1) -> float:
        """Since when it has used less than this share of a core for a second: what it does behind its last sale is
        its work, too. Seconds since the epoch; now, where it does not come to rest in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            began = time.time()
            time.sleep(1 + 2 * _EVERY_S)
            if self.cpu_between(began, began + 1) < below:
                return began
        return time.time()

    def _cpu_at(self, moment: float) -> float:
        """Between two looks, as if it had been used evenly."""
        looks = list(self._looks)
        after = bisect_left(looks, moment, key=lambda look: look.at)
        if after == 0:
            return looks[0].cpu_s
        if after == len(looks):
            return looks[-1].cpu_s
        one, two = looks[after - 1], looks[after]
        return one.cpu_s + (two.cpu_s - one.cpu_s) * (moment - one.at) / (two.at - one.at)

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self._looks.append(self._look())
            except psutil.NoSuchProcess:
                return

    def _look(self) -> Look:
        own = self._root.cpu_times()
        cpu = own.user + own.system + own.children_user + own.children_system
        rss = self._root.memory_info().rss
        for child in self._root.children(recursive=True):
            try:
                times = child.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
                rss += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return Look(time.time(), cpu, rss / 2**20)
