"""`python -m streams.local demo`: the whole pipeline on the local stack, sample documents in, every one to its end."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from streams.local.database import Observer
from streams.local.processes import Process, free_port
from streams.local.samples import Seller
from streams.local.samples.afterwards import change_accepted
from streams.local.screen import Progress, Screen
from streams.local.shops import mend_accounts, open_shops
from streams.local.stack import STATE_FOLDER, Capture, LocalStack, Stack
from streams.local.tally import AcceptedDocuments, Tally, count_all, take_tallies, why_waiting

SHORT_WAITS = {
    "ATTEMPT_DEADLINE": "20",
    "KAFKA_SESSION_TIMEOUT": "6",
    "LEASE_GRACE": "10",
    "LINES_TIMEOUT": "10",
    "LINES_RETRY_DELAY": "2",
    "LOGIN_RETRY_DELAY": "5",
    "RETRY_DELAYS": "[2, 5, 10]",
    "SETTLE_AFTER_OUTAGE": "5",
}
"""Nobody watches a demo for the hours that production waits. What the environment sets goes before."""

_TICK = 0.1
_LONGEST_SALE_BURST = 250
_MEND_AFTER = 15.0
_QUICK_DEATH = 5.0
_QUICK_DEATHS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    sales: int | None
    """None: until somebody stops it."""
    rate: float | None
    """Sales a second; None: all at once."""
    latency_ms: float
    timeout: float
    """Seconds for the last sales to end, once nothing is sold any more."""
    state: Path = STATE_FOLDER
    stack: type[Stack] = LocalStack
    capture: Capture = "cdc"


def run_demo(plan: Plan) -> list[Tally]:
    """Raises what the stack raises, and `NotReady` when the worker dies over and over."""
    screen = Screen()
    with plan.stack(plan.state, latency_ms=plan.latency_ms, tell=screen.tell, capture=plan.capture) as stack:
        with closing(open_shops(stack.database, stack.simulator_url)) as seller:
            worker = SupervisedWorker(stack, screen.tell)
            with suppress(KeyboardInterrupt), screen, _Stop() as stop:  # left at once: counted all the same
                _Demo(plan, stack, seller, worker, screen, stop).run()
        screen.tell("stopping")
        worker.stop()
        with closing(stack.database.connect()) as database:  # the worker has written its last by now
            return take_tallies(database, stack.simulator.ledger)


class SupervisedWorker:
    """A worker that is started again whenever it dies, as a service manager does it in production."""

    def __init__(self, stack: Stack, tell: Callable[[str], None]) -> None:
        self._stack = stack
        self._tell = tell
        self._web_port = free_port(6066)
        self._code = os.environ.get("PAGE_TOKEN") or secrets.token_urlsafe(12)
        self._quick_deaths = 0
        self._start()

    def look(self) -> None:
        """Raises `NotReady` when it died some times in a row right after its start."""
        code = self._process.exit_code
        if code is None:
            return
        self._quick_deaths = self._quick_deaths + 1 if time.monotonic() - self._started < _QUICK_DEATH else 0
        if self._quick_deaths >= _QUICK_DEATHS:
            self._process.ready(lambda: None, timeout=0)
        cause = f"was killed (signal {-code})" if code < 0 else f"ended with exit code {code}"
        self._tell(f"the worker {cause}; starting it again")
        self._start()

    def stop(self) -> None:
        self._process.terminate(40)

    def _start(self) -> None:
        environment = {name: os.environ.get(name, value) for name, value in SHORT_WAITS.items()}
        environment["PAGE_TOKEN"] = self._code
        self._process: Process = self._stack.start_worker("worker", environment, web_port=self._web_port)
        self._started = time.monotonic()
        self._tell(
            f"worker: pid {self._process.pid}, log {self._process.log}; try: kill -9 {self._process.pid}\n"
            f"the page: http://127.0.0.1:{self._web_port}/page/ (any name, access code {self._code})"
        )


class _Stop:
    """Ctrl-C or SIGTERM: first asks for an end, and the second time means it."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Stop:
        self._before = {each: signal.signal(each, self._ask) for each in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _ask(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class _Demo:
    def __init__(
        self, plan: Plan, stack: Stack, seller: Seller, worker: SupervisedWorker, screen: Screen, stop: _Stop
    ) -> None:
        self._plan = plan
        self._stack = stack
        self._seller = seller
        self._worker = worker
        self._screen = screen
        self._stop = stop
        self._accepted = AcceptedDocuments(stack.simulator.ledger)
        self._sold = 0
        self._mended = False
        self._changed = False
        self._first_end: float | None = None

    def run(self) -> None:
        """Until every document has its end, or the time for that is over."""
        with closing(self._stack.database.connect()) as database:
            began = time.monotonic()
            deadline: float | None = None
            while True:
                self._worker.look()
                self._stack.revive()
                self._sell(time.monotonic() - began)
                progress = self._show(database)
                if self._selling_is_over():
                    deadline = deadline or self._last_wait()
                    if not (progress.counts.waiting or self._seller.late):
                        if self._changed or not progress.counts.success:
                            return
                        self._change_accepted()
                    if time.monotonic() > deadline:
                        late = progress.counts.waiting
                        self._screen.tell(f"{late} documents have no end after {self._plan.timeout:g} s")
                        return
                self._mend_when_due(progress)
                time.sleep(_TICK)

    def _selling_is_over(self) -> bool:
        return self._stop.asked or (self._plan.sales is not None and self._sold >= self._plan.sales)

    def _last_wait(self) -> float:
        if self._stop.asked:
            self._screen.tell("nothing is sold any more; the last sales go out (Ctrl-C again leaves at once)")
        return time.monotonic() + self._plan.timeout

    def _sell(self, elapsed: float) -> None:
        self._seller.pump()
        if self._selling_is_over():
            return
        wanted = _LONGEST_SALE_BURST if self._plan.rate is None else int(self._plan.rate * elapsed) - self._sold
        if self._plan.sales is not None:
            wanted = min(wanted, self._plan.sales - self._sold)
        if wanted > 0:
            self._sold += len(self._seller.trade(min(wanted, _LONGEST_SALE_BURST)))

    def _show(self, database: Observer) -> Progress:
        self._accepted.look()
        held = self._accepted.total
        progress = Progress(count_all(database), held, self._accepted.twice, why_waiting(database))
        self._screen.show(progress)
        return progress

    def _change_accepted(self) -> None:
        self._changed = True
        changed = change_accepted(self._stack.database)
        self._screen.tell(
            f"the pharmacies correct {changed.corrected} accepted documents, withdraw {changed.withdrawn}"
        )

    def _mend_when_due(self, progress: Progress) -> None:
        """What shops with a wrong account commit waits, by design, until somebody puts the account right."""
        counts = progress.counts
        if self._mended or counts.total == counts.waiting:
            return
        self._first_end = self._first_end or time.monotonic()
        troubled = sum(sale.expected == "WAITS" for sale in self._seller.sales)
        troubled += sum(document.expected == "WAITS" for document in self._seller.stock)
        only_those = counts.pending == troubled == sum(progress.waiting.values())
        if time.monotonic() > self._first_end + _MEND_AFTER or (self._selling_is_over() and only_those):
            self._mended = True
            for words in mend_accounts(self._seller, self._stack.simulator_url):
                self._screen.tell(f"mended: {words}")
