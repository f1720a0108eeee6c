"""Outages in virtual time, with the real gate, doorway and decisions: nothing is lost, and it resumes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field

import pytest

from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, TryLater
from streams.domain.reasons import Code
from streams.pipeline.outage_gate import Admission, OutageGate
from streams.pipeline.retry_policy import Decision, Delays, decide
from streams.settings import Settings
from tests.unit.virtual_time import in_virtual_time, running_loop

DELAYS = Delays(steps=(30, 120, 600, 3600), login=3600, soon=5, time_limit=72 * 3600)
LONGEST_PAUSE = Settings.model_fields["gate_longest_pause"].default
MINUTE, HOUR = 60.0, 3600.0
UNREACHABLE = TryLater(Reason(Code.UNREACHABLE))
DOWN = InDoubt(Reason(Code.API_ERROR, 503))
LEASE = 105.0


@dataclass
class Chain:
    """Shops that sell, an API that is away for a while, and what `due` does: a sale whose time has come is fed when the
    doorway is open to it."""

    returns_at: float
    failure: Outcome = UNREACHABLE
    takes: float = 0.5
    decisions: dict[int, list[Decision]] = field(default_factory=dict)
    calls: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    due_every: float = 1.0
    waiting: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once_while_closed: int = 0

    def __post_init__(self) -> None:
        self.loop = running_loop()
        self.admission = Admission(OutageGate(5, LONGEST_PAUSE), clock=self.loop.time)

    async def sell(self, id_: int, shop: str, at: float, *, since: float | None = None) -> None:
        await asyncio.sleep(max(0.0, at - self.loop.time()))
        await self.admission.wait_for_intake()
        tries, since = 0, self.loop.time() if since is None else since
        while True:
            tries += 1
            decision = await self._attempt(shop, tries, since)
            self.decisions.setdefault(id_, []).append(decision)
            if decision.next_attempt_at is None:
                return
            fed = self.loop.create_future()
            self.waiting.append((decision.next_attempt_at / 1000, fed))
            await fed
            await self.admission.wait_for_intake()

    async def go_through(self, *sales: Coroutine[None, None, None]) -> None:
        """All of them get their end."""
        feeding = asyncio.create_task(self._due())
        await asyncio.gather(*sales)
        feeding.cancel()

    async def _due(self) -> None:
        while True:
            await asyncio.sleep(self.due_every)
            if self.admission.accepts_work:
                now = self.loop.time()
                for at, fed in self.waiting:
                    if at <= now:
                        fed.set_result(None)
                self.waiting = [(at, fed) for at, fed in self.waiting if at > now]

    async def _attempt(self, shop: str, tries: int, since: float) -> Decision:
        probe = await self.admission.enter()
        outcome = await self._call()
        decision = decide(
            outcome,
            DELAYS,
            tries=tries,
            since=int(since * 1000),
            now=int(self.loop.time() * 1000),
            lease_until=int((self.loop.time() + LEASE) * 1000),
            may_be_stored=isinstance(outcome, InDoubt),
            jitter=0.5,
            answering_for=self.admission.answering_for,
        )
        self.admission.leave(shop, outcome, probe=probe)
        return decision

    async def _call(self) -> Outcome:
        closed = not self.admission.gate.is_open
        self.calls.append(self.loop.time())
        self.at_once += 1
        if closed:
            self.most_at_once_while_closed = max(self.most_at_once_while_closed, self.at_once)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.at_once -= 1
        if self.loop.time() < self.returns_at:
            return self.failure
        self.accepted.append(self.loop.time())
        return Accepted("QG")

    def every_sale_is_accepted(self, sales: int) -> None:
        ends = [decisions[-1].status for decisions in self.decisions.values()]
        assert ends == ["SYNC_SUCCESS"] * sales


@pytest.mark.parametrize("failure", [UNREACHABLE, DOWN], ids=["unreachable", "in doubt"])
@pytest.mark.parametrize("length", [10 * MINUTE, 5 * HOUR], ids=["10 min", "5 h"])
def test_an_outage_is_waited_out(failure: Outcome, length: float) -> None:
    @in_virtual_time
    async def play() -> None:
        chain = Chain(returns_at=length, failure=failure)
        sales = [chain.sell(n, f"SHOP-{n % 40}", at=n * length / 500) for n in range(500)]
        await chain.go_through(*sales)
        chain.every_sale_is_accepted(500)
        assert chain.accepted[0] <= length + MINUTE, "within a minute of its return"
        closed_at = 5
        probes = [at for at in chain.calls if closed_at * length / 500 + 2 < at < length]
        assert len(probes) <= length / LONGEST_PAUSE + 10, "pauses grow"
        assert chain.most_at_once_while_closed <= 5, "what was out when it closed, then one probe at a time"

    play()


@in_virtual_time
async def test_no_sale_ends_for_an_outage_longer_than_the_time_limit() -> None:
    chain = Chain(returns_at=100 * HOUR, due_every=30)
    await chain.go_through(*(chain.sell(n, f"SHOP-{n % 10}", at=n * HOUR) for n in range(90)))
    chain.every_sale_is_accepted(90)


@in_virtual_time
async def test_a_worker_that_starts_in_the_middle_of_a_long_outage_ends_no_sale_either() -> None:
    """Its gate is open at first, and the sales are older than the limit."""
    chain = Chain(returns_at=HOUR)
    await chain.go_through(*(chain.sell(n, f"SHOP-{n % 10}", at=0, since=-100 * HOUR) for n in range(60)))
    chain.every_sale_is_accepted(60)


@in_virtual_time
async def test_what_fails_once_more_after_a_long_outage_does_not_end() -> None:
    chain = Chain(returns_at=0)
    await chain.go_through(chain.sell(0, "SHOP-1", at=0))
    chain.returns_at = chain.loop.time() + 5
    await chain.go_through(chain.sell(1, "SHOP-2", at=0, since=-100 * HOUR))
    chain.every_sale_is_accepted(2)


@pytest.mark.parametrize("sales", [1, 5, 8])
@pytest.mark.parametrize("shops", [1, 3])
def test_few_sales_and_none_that_come_after_find_out_by_themselves(sales: int, shops: int) -> None:
    """All have failed as the gate closed; nobody is left to probe but what waits in the database."""

    @in_virtual_time
    async def play() -> None:
        chain = Chain(returns_at=10 * HOUR, due_every=10)
        await chain.go_through(*(chain.sell(n, f"SHOP-{n % shops}", at=0) for n in range(sales)))
        chain.every_sale_is_accepted(sales)
        assert chain.accepted[0] <= 10 * HOUR + 2 * MINUTE
        assert chain.accepted[-1] <= 10 * HOUR + 4 * MINUTE

    play()


def decided(answering_for: float | None, *, age: float, tries: int = 9) -> Decision:
    now = int(1000 * HOUR * 1000)
    return decide(
        UNREACHABLE,
        DELAYS,
        tries=tries,
        since=now - int(age * 1000),
        now=now,
        lease_until=0,
        may_be_stored=False,
        jitter=0,
        answering_for=answering_for,
    )


@pytest.mark.parametrize(
    ("answering_for", "status"),
    [(None, "PENDING_SYNC"), (0.0, "PENDING_SYNC"), (71 * HOUR, "PENDING_SYNC"), (73 * HOUR, "SYNC_FAILED")],
)
def test_only_time_in_which_the_api_answered_others_counts(answering_for: float | None, status: str) -> None:
    """Promise 6. Broken by: an outage counts towards the time limit, so a long one ends sales as failed."""
    assert decided(answering_for, age=100 * HOUR).status == status
    assert decided(answering_for, age=HOUR).status == "PENDING_SYNC"


def test_in_an_outage_the_gate_sets_the_pace_not_the_sales_own_delays() -> None:
    now = int(1000 * HOUR * 1000)
    assert decided(None, age=HOUR).next_attempt_at == now + 30_000
    assert decided(HOUR, age=HOUR).next_attempt_at == now + 3_600_000
