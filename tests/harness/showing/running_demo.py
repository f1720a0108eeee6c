"""``make demo`` as a person runs it, in a process of its own."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.local.processes import Process
from tests.support.repository import ROOT

_STARTED = re.compile(r"worker: pid (\d+), log (\S+);")
_PAGE = re.compile(r"the page: (http://\S+?)/page/ \(any name, access code (\S+)\)")

_SENT = re.compile(r"committed, (\d+) sent")


@dataclass(frozen=True, slots=True)
class RunningDemo:
    process: Process
    address: str
    """Of the worker's web server, ``http://host:port``."""
    code: str
    """The access code of the page."""

    @property
    def worker_pid(self) -> int:
        """The process number of the worker that was started last."""
        return int(_STARTED.findall(self.process.output())[-1][0])

    def wait_until_sent(self, count: int) -> None:
        """Wait until so many documents were sent. Raises `NotReady`."""

        def sent() -> bool | None:
            counts = _SENT.findall(self.process.output())
            return True if counts and int(counts[-1]) >= count else None

        self.process.ready(sent, timeout=300)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Sell nothing meanwhile; the worker and all servers go on."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    @property
    def folder(self) -> Path:
        """The folder of this run: the sales database, logs/."""
        return Path(_STARTED.findall(self.process.output())[-1][1]).parents[1]


@contextmanager
def running_demo(log: Path, *options: str) -> Iterator[RunningDemo]:
    """Run ``make demo`` with `options`, its output in `log`, and stop it as Ctrl-C does. Raises `NotReady`."""
    alone = ("env", "-u", "MAKELEVEL", "-u", "MAKEFLAGS")  # not as a part of the make that runs this
    process = Process("demo", [*alone, "make", "demo", *options], log=log, folder=ROOT)
    try:
        found = process.ready(lambda: _PAGE.search(process.output()), timeout=120)
        yield RunningDemo(process, found[1], found[2])
    finally:
        if process.running:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to make and to the demo
            process.wait(60)
