"""The servers that all peers share, and what each run does on them: sell, wait for ends, read acceptances."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from streams.local.processes import NotReady
from streams.local.real import capture
from streams.local.real.stack import RealStack
from streams.local.samples import Seller
from streams.local.samples.sales import Sale
from streams.local.simulator import accounts as national
from streams.local.simulator.control import Control, ask
from streams.local.stack import CHANGE_TOPIC
from tests.harness.bench.changes import Captured, Kafka, Offsets

_POLL_S = 0.25
_POINTS_OF_SALE_TICK_S = 0.02


@dataclass(frozen=True, slots=True)
class Sold:
    """Sales of one run. Nobody else sells meanwhile, so their ids have no gap."""

    ids: Sequence[int]
    codes: Sequence[str]
    since: Offsets
    """Of the change topic, before the first was sold."""
    per_s: float
    """How fast they were sold."""


class Servers:
    def __init__(self, stack: RealStack) -> None:
        self.stack = stack
        self.kafka = Kafka(stack.kafka.address)
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            self.seller = cleanup.enter_context(Seller(self.stack.database, fault_share=0))
            self._database = cleanup.enter_context(closing(self.stack.database.connect()))
            self._cleanup = cleanup.pop_all()
        known = [national.Account(usr=a["usr"], pwd=SecretStr(a["pwd"])) for a in self.seller.accounts]
        ask(self.stack.simulator_url, lambda control: control.set_accounts(known))
        return self

    def __exit__(
        self, error_class: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def answer_after(self, latency_ms: float) -> None:
        """The national API, from now on."""

        async def change(control: Control) -> None:
            await control.change_behaviour(latency_ms=latency_ms)

        ask(self.stack.simulator_url, change)

    def sell(self, count: int) -> Sold:
        """At once, many in a transaction."""
        since, began = self.kafka.ends(CHANGE_TOPIC), time.monotonic()
        sales = self.seller.sell(count)
        per_s = count / (time.monotonic() - began)
        return Sold([sale.id for sale in sales], [sale.local_invoice_id for sale in sales], since, per_s)

    def sell_steadily(
        self, count: int, per_s: float, sold_one: Callable[[int], None], *, tick_s: float = _POINTS_OF_SALE_TICK_S
    ) -> Sold:
        """What is due at each tick in one transaction: one for each sale would take more of this machine than the peers
        do. As fast as that, or as fast as one point of sale can."""
        since, began = self.kafka.ends(CHANGE_TOPIC), time.monotonic()
        sales: list[Sale] = []
        while len(sales) < count:
            due = min(count, int((time.monotonic() - began) * per_s) + 1) - len(sales)
            for sale in self.seller.sell(due) if due > 0 else ():
                sold_one(sale.id)
                sales.append(sale)
            time.sleep(tick_s)
        took = time.monotonic() - began
        return Sold([sale.id for sale in sales], [sale.local_invoice_id for sale in sales], since, count / took)

    def captured(self, sold: Sold) -> Captured:
        return Captured(self.kafka, sold.since, sold.ids)

    def until_decided(self, sold: Sold, within_s: float) -> bool:
        """Whether every row got its end in time. Those that did not are closed, so that the next peer has peace."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if not self._pending(sold):
                return True
            time.sleep(_POLL_S)
        self._database.execute(
            "UPDATE SalesInvoices SET status = 'SYNC_FAILED' WHERE status = 'PENDING_SYNC' AND id BETWEEN ? AND ?",
            (sold.ids[0], sold.ids[-1]),
        )
        return False

    def _pending(self, sold: Sold) -> int:
        (count,) = self._database.execute(
            "SELECT COUNT(*) FROM SalesInvoices WHERE status = 'PENDING_SYNC' AND id BETWEEN ? AND ?",
            (sold.ids[0], sold.ids[-1]),
        ).fetchone()
        return int(count)

    def accepted(self, codes: Iterable[str]) -> list[float]:
        """When the national API accepted each of these, in order; seconds since the epoch. A sale that was accepted
        twice counts twice."""
        return [at for at, _ in self.acceptances(codes)]

    def acceptances(self, codes: Iterable[str]) -> list[tuple[float, str]]:
        """The same, each with its code."""
        wanted = frozenset(codes)
        with self.stack.simulator.ledger.open(encoding="utf-8") as ledger:
            entries = (json.loads(line) for line in ledger)
            return sorted((float(entry["at"]), entry["code"]) for entry in entries if entry["code"] in wanted)

    def until_accepted(self, codes: Sequence[str], count: int, *, within_s: float) -> None:
        """Waits for so many of these. Raises `NotReady`."""
        deadline = time.monotonic() + within_s
        while (accepted := len(self.accepted(codes))) < count:
            if time.monotonic() > deadline:
                raise NotReady(f"{accepted} of {count} sales accepted in {within_s:g} s")
            time.sleep(_POLL_S)

    def codes_of_shop(self, shop: str) -> list[str]:
        sql = "SELECT local_invoice_id FROM SalesInvoices WHERE shop_pharmacy_code = ?"
        return [code for (code,) in self._database.execute(sql, (shop,)).fetchall()]

    def execute(self, sql: str, parameters: Sequence[object]) -> None:
        """As the points of sale' owner."""
        self._database.execute(sql, parameters)

    @contextmanager
    def capture_stopped(self) -> Iterator[None]:
        """For a peer that needs no change events: they are captured afterwards. Raises `NotReady`.

        A connector that is paused goes on reading the database's log until its queue is full: 130 µs a sale.
        """
        self._ask_connector("stop", "STOPPED", tasks=0)
        try:
            yield
        finally:
            self._ask_connector("resume", "RUNNING", tasks=1)

    @contextmanager
    def without_stand_ins(self) -> Iterator[None]:
        """Without the stand-in for MongoDB, and without Debezium, which captures what is written back: both have
        machines of their own where this is used in earnest. Raises `NotReady`."""
        with self.capture_stopped():
            self.stack.mongo.stop()
            try:
                yield
            finally:
                self.stack.revive()

    def _ask_connector(self, action: str, state: str, *, tasks: int) -> None:
        connector = f"{self.stack.connect.url}/connectors/{capture.NAME}"
        httpx.put(f"{connector}/{action}", timeout=10, trust_env=False).raise_for_status()

        def reached() -> bool | None:
            answer = httpx.get(f"{connector}/status", timeout=10, trust_env=False).json()
            found = [answer["connector"]["state"], *(task["state"] for task in answer["tasks"])]
            return found == [state] * (1 + tasks) or None

        self.stack.connect.process.ready(reached, timeout=30)


def all_accepted(moments: Sequence[float], sales: int) -> str:
    """Empty, or what is wrong."""
    return "" if len(moments) == sales else f"{len(moments)} of {sales} sales accepted"


def steady_per_s(moments: Sequence[float]) -> float:
    """Between the 10th and the 90th percentile of the acceptances: without start-up, and without the last few that
    have all to themselves. Raises `NotReady` where there are too few."""
    if len(moments) < 10:
        raise NotReady(f"only {len(moments)} sales were accepted")
    tenth = len(moments) // 10
    first, last = moments[tenth], moments[-1 - tenth]
    return (len(moments) - 1 - 2 * tenth) / max(last - first, 1e-6)
