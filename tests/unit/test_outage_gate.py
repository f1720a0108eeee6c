"""Tests the outage gate as a state machine, and admission, where documents wait for it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater, Withdrawn
from streams.domain.reasons import Code
from streams.pipeline.outage_gate import Admission, OutageGate
from streams.runtime.outages import VALID_FOR
from tests.unit.virtual_time import in_virtual_time, running_loop

pytestmark = pytest.mark.timeout(30)  # a document that is forgotten at the gate waits forever

DOWN = InDoubt(Reason(Code.API_ERROR, 503))
OK = Accepted("QG-1")
REFUSED = Refused(Reason(Code.API_REFUSED, 400))
FAILURES, LONGEST = 5, 60.0


def gate() -> OutageGate:
    return OutageGate(FAILURES, LONGEST)


def closed(now: float = 0.0) -> OutageGate:
    shut = gate()
    for n in range(FAILURES):
        shut.ended(now, f"SHOP-{n}", DOWN)
    assert not shut.is_open
    return shut


def test_failures_of_several_shops_close_the_gate() -> None:
    """Promise 6. Broken by: the gate never closes: every sale is tried in vain while the API is down."""
    one = gate()
    for n in range(FAILURES - 1):
        one.ended(0, f"SHOP-{n}", DOWN)
    assert one.is_open
    one.ended(0, "SHOP-9", DOWN)
    assert (one.is_open, one.reason) == (False, Code.API_ERROR)


@pytest.mark.parametrize(("only_id_missing", "is_open"), [(False, False), (True, True)])
def test_a_maintenance_page_closes_the_gate_and_a_missing_id_does_not(only_id_missing: bool, is_open: bool) -> None:
    """Promise 6. Broken by: a maintenance page is no outage, and every sale is spent on it."""
    one = gate()
    for n in range(FAILURES):
        one.ended(0, f"SHOP-{n}", InDoubt(Reason(Code.UNCLEAR_ANSWER, 200), only_id_missing=only_id_missing))
    assert one.is_open == is_open


NOT_TAKEN = InDoubt(Reason(Code.NOT_TAKEN, 403))


def test_one_body_that_never_gets_through_does_not_close_the_gate() -> None:
    """Promise 5. Broken by: one body that never gets through closes the gate for all."""
    one = gate()
    for _ in range(50):
        one.ended(0, "SHOP-1", NOT_TAKEN, document=1)
    assert one.is_open
    assert one.answers_since == 0, "the API itself answered the look-up"


def test_bodies_of_several_documents_that_do_not_get_through_close_the_gate() -> None:
    one = gate()
    for document in range(FAILURES):
        one.ended(7, "SHOP-1", NOT_TAKEN, document=document)
    assert (one.is_open, one.reason) == (False, Code.NOT_TAKEN)
    assert one.answers_since == 7, "the API answers none the less, and time counts towards the limit"
    one.ended(8, "SHOP-1", NOT_TAKEN, probe=True, document=1)
    assert not one.is_open
    one.ended(9, "SHOP-1", OK, probe=True, document=9)
    assert one.is_open


@pytest.mark.parametrize("code", [Code.NOT_TAKEN, Code.UNCLEAR_ANSWER])
def test_withdrawals_that_a_firewall_blocks_do_not_close_the_gate(code: Code) -> None:
    """Promise 5. Broken by: a firewall that blocks withdrawals alone keeps all sales from being sent."""
    one = gate()
    for document in range(50):
        one.ended(0, f"SHOP-{document % 5}", InDoubt(Reason(code, 405)), document=document, withdrawal=True)
    assert one.is_open


def test_withdrawals_that_meet_an_outage_close_the_gate_and_one_that_succeeds_opens_it() -> None:
    one = gate()
    for n in range(FAILURES):
        one.ended(0, f"SHOP-{n}", DOWN, withdrawal=True)
    assert not one.is_open
    one.ended(9, "SHOP-1", Withdrawn(), probe=True, withdrawal=True)
    assert one.is_open


@pytest.mark.parametrize("code", [Code.NOT_TAKEN, Code.NOT_YET_SHOWN, Code.CONTRADICTORY_ANSWERS])
@pytest.mark.parametrize("withdrawal", [False, True])
def test_an_answered_look_up_opens_the_gate(code: Code, withdrawal: bool) -> None:
    """Promise 6. Broken by: a look-up that is answered does not open the gate."""
    shut = closed()
    shut.ended(9, "SHOP-1", InDoubt(Reason(code)), probe=True, document=1, withdrawal=withdrawal)
    assert shut.is_open


def test_failures_of_one_shop_do_not_close_the_gate_while_others_are_active() -> None:
    one = gate()
    one.ended(0, "SHOP-2", OK)
    for _ in range(50):
        one.ended(1, "SHOP-1", DOWN)
    assert one.is_open


def test_failures_of_the_only_active_shop_close_the_gate() -> None:
    one = gate()
    one.ended(0, "SHOP-2", OK)
    for _ in range(FAILURES):
        one.ended(61, "SHOP-1", DOWN)
    assert not one.is_open


@pytest.mark.parametrize(
    "outcome", [OK, Refused(Reason(Code.API_REFUSED, 400)), TryLater(Reason(Code.LOGIN_REFUSED)), None]
)
def test_an_outcome_that_shows_no_outage_never_closes_the_gate(outcome: Outcome | None) -> None:
    one = gate()
    for n in range(50):
        one.ended(0, f"SHOP-{n}", outcome)
    assert one.is_open


def test_alternating_failures_do_not_close_the_gate() -> None:
    one = gate()
    for n in range(50):
        one.ended(0, f"SHOP-{n}", DOWN if n % 2 else InDoubt(Reason(Code.TIMED_OUT)))
    assert one.is_open


def test_an_answer_in_between_restarts_the_count_of_failures() -> None:
    one = gate()
    for n in range(50):
        one.ended(0, f"SHOP-{n}", OK if n % FAILURES == 0 else DOWN)
    assert one.is_open


def test_closings_and_probes_are_counted() -> None:
    one = closed()
    assert (dict(one.closings), one.probes_total) == ({Code.API_ERROR: 1}, 0)
    assert one.started(1)
    one.ended(1, "SHOP-1", DOWN, probe=True)
    assert one.started(3)
    one.ended(3, "SHOP-1", OK, probe=True)
    assert not one.started(3), "open: no probe"
    assert (dict(one.closings), one.probes_total) == ({Code.API_ERROR: 1}, 2)


@in_virtual_time
async def test_admission_knows_for_how_long_the_gate_has_been_closed() -> None:
    clock = running_loop().time
    assert Admission(gate(), clock).closed_for == 0
    admission = Admission(closed(clock()), clock)
    await asyncio.sleep(40)
    assert admission.closed_for == 40


def test_pauses_between_probes_grow_and_are_bounded() -> None:
    shut, now, pauses = closed(), 0.0, []
    for _ in range(10):
        wait = shut.wait(now, 0)
        assert wait is not None
        pauses.append(wait)
        now += wait
        assert shut.started(now), "a probe"
        assert shut.wait(now, 1) is None, "one at a time"
        shut.ended(now, "SHOP-1", DOWN, probe=True)
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == pauses[-1] == LONGEST


def test_a_hanging_probe_does_not_postpone_the_next_one() -> None:
    """The pause counts from the start of the probe, so the next one follows within the longest pause."""
    shut, now = closed(), 0.0
    for _ in range(10):
        now += shut.wait(now, 0) or 0
        began = now
        shut.started(now)
        now += LONGEST - 5
        shut.ended(now, "SHOP-1", InDoubt(Reason(Code.TIMED_OUT)), probe=True)
    assert now + (shut.wait(now, 0) or 0) == began + LONGEST


def test_the_gate_waits_as_long_as_retry_after_says() -> None:
    shut = gate()
    for n in range(FAILURES):
        shut.ended(0, f"SHOP-{n}", InDoubt(Reason(Code.RATE_LIMITED, 429), 30))
    assert shut.wait(0, 0) == 30


def test_the_gate_admits_two_documents_at_first_after_it_opens() -> None:
    opened = closed()
    opened.started(0)
    opened.ended(1, "SHOP-1", OK, probe=True)
    assert opened.wait(1, 1) == 0
    assert opened.wait(1, 2) is None, "two at first"
    for _ in range(100):
        opened.ended(1, "SHOP-1", OK)
    assert opened.wait(1, 10_000) == 0


def test_work_that_starts_after_the_gate_opened_is_no_probe() -> None:
    opened = closed()
    assert opened.started(0), "the probe"
    opened.ended(1, "SHOP-1", OK)  # something that was out before it closed
    assert not opened.started(0)
    for n in range(FAILURES):
        opened.ended(1, f"SHOP-{n}", DOWN)
    assert opened.wait(1_000, 2) is None, "the first probe is still out"
    opened.ended(1_000, "SHOP-1", DOWN, probe=True)
    assert opened.wait(2_000, 1) == 0


def test_retry_after_in_the_answer_to_a_probe_delays_the_next_probe() -> None:
    shut = closed()
    shut.started(0)
    shut.ended(1, "SHOP-1", InDoubt(Reason(Code.RATE_LIMITED, 429), 30), probe=True)
    assert shut.wait(1, 0) == 30


def test_retry_after_delays_a_probe_by_five_minutes_at_most() -> None:
    """A maintenance page that requests a day must not keep every shop from selling for a day.

    Promise 6. Broken by: a page that asks for a day closes the gate for a day.
    """
    shut = gate()
    for n in range(FAILURES):
        shut.ended(0, f"SHOP-{n}", InDoubt(Reason(Code.API_ERROR, 503), 86_400))
    assert shut.wait(0, 0) == 300
    shut.started(300)
    shut.ended(300, "SHOP-1", InDoubt(Reason(Code.API_ERROR, 503), 86_400), probe=True)
    assert shut.wait(300, 0) == 300


SLOWER = InDoubt(Reason(Code.RATE_LIMITED, 429), 30)


def shops_until_closed(active: int) -> int | None:
    """Return how many of the active shops have to get rate limit answers, five in a row each, until the gate
    closes.
    """
    one = gate()
    for n in range(active):
        one.ended(0, f"SHOP-{n}", OK)
    for n in range(active):
        for _ in range(FAILURES):
            one.ended(1, f"SHOP-{n}", SLOWER)
        if not one.is_open:
            return n + 1
    return None


@pytest.mark.parametrize(("active", "needed"), [(1, 1), (2, 2), (4, 2), (10, 5), (400, 10)])
def test_rate_limit_answers_close_the_gate_only_when_many_shops_get_them(active: int, needed: int) -> None:
    assert shops_until_closed(active) == needed


def test_rate_limited_shops_and_shops_that_cannot_log_in_do_not_close_the_gate() -> None:
    one = gate()
    for n in range(1000):
        one.ended(n / 100, f"SHOP-{n % 2}", SLOWER)
        if n % 4 == 3:
            one.ended(n / 100, f"SHOP-{2 + n % 10}", OK)
        one.ended(n / 100, "SHOP-99", TryLater(Reason(Code.LOGIN_REFUSED), 3600))
    assert one.is_open


def test_the_api_is_known_to_answer_from_its_first_answer_until_the_gate_closes() -> None:
    now = 0.0
    admission = Admission(gate(), clock=lambda: now)
    seen = [admission.answering_for]
    steps: list[tuple[float, list[Outcome]]] = [
        (0.0, [OK]),
        (50.0, [OK]),
        (51.0, [DOWN] * FAILURES),
        (60.0, [REFUSED]),
        (70.0, []),
    ]
    for now, outcomes in steps:
        for n, outcome in enumerate(outcomes):
            admission.gate.ended(now, f"SHOP-{n}", outcome)
        seen.append(admission.answering_for)
    assert seen == [None, 0, 50, None, 0, 10]


async def test_admission_at_a_closed_gate_accepts_work_only_when_a_probe_is_needed() -> None:
    now = 0.0
    admission = Admission(closed(), clock=lambda: now)
    seen = [admission.accepts_work]  # the pause is not over
    now = 2.0
    seen.append(admission.accepts_work)
    probe = await admission.enter()
    seen.append(admission.accepts_work)  # a probe is out
    admission.leave("SHOP-1", DOWN, probe=probe)
    waiting = asyncio.create_task(admission.enter())
    await asyncio.sleep(0)
    now = 10.0
    seen.append(admission.accepts_work)  # somebody waits for the next one
    waiting.cancel()
    assert seen == [False, True, False, False]


def test_a_closed_gate_is_reported_as_an_outage() -> None:
    now = 0.0
    admission = Admission(gate(), clock=lambda: now)
    assert admission.current_outage() is None
    for n in range(FAILURES):
        admission.gate.ended(now, f"SHOP-{n}", DOWN)
    wait = admission.current_outage()
    assert wait is not None
    assert (wait.part, wait.since, wait.until) == ("gate", 0, 1 + VALID_FOR)
    assert "api_error" in wait.what


def test_late_failures_do_not_lengthen_the_pauses_between_probes() -> None:
    shut = closed()
    for _ in range(50):
        shut.ended(0, "SHOP-1", DOWN)
    shut.started(1)
    shut.ended(1, "SHOP-1", DOWN, probe=True)
    assert shut.wait(1, 0) == 2


def test_the_next_outage_starts_with_the_shortest_pause_again() -> None:
    again = closed()
    for at in (1, 3, 7):
        again.started(at)
        again.ended(at, "SHOP-1", DOWN, probe=True)
    again.started(15)
    again.ended(15, "SHOP-1", OK, probe=True)
    for n in range(FAILURES):
        again.ended(16, f"SHOP-{n}", DOWN)
    assert again.wait(16, 0) == 1


def test_a_probe_that_proves_nothing_is_followed_by_a_pause() -> None:
    shut = closed()
    shut.started(1)
    shut.ended(1, "SHOP-1", InDoubt(Reason(Code.UNCLEAR_ANSWER, 403)), probe=True)
    assert not shut.is_open
    assert shut.wait(1, 0) == 2


class GateMachine(RuleBasedStateMachine):
    """Starts work only when the gate admits it, and checks that there is never a second probe."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = gate()
        self.now = 0.0
        self.running: list[bool] = []

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.gate.wait(self.now, len(self.running)) == 0)
    @rule()
    def something_starts(self) -> None:
        probe = self.gate.started(self.now)
        assert probe == (not self.gate.is_open)
        self.running.append(probe)

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        outcome=st.sampled_from([OK, DOWN, InDoubt(Reason(Code.TIMED_OUT), 5.0), None]),
        shop=st.sampled_from("ABC"),
    )
    def something_ends(self, data: st.DataObject, outcome: Outcome | None, shop: str) -> None:
        probe = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        was_open = self.gate.is_open
        self.gate.ended(self.now, shop, outcome, probe=probe)
        if outcome == OK:
            assert self.gate.is_open
        elif not was_open:
            assert not self.gate.is_open

    @invariant()
    def one_probe_at_a_time(self) -> None:
        assert self.gate.is_open or sum(self.running) <= 1

    @invariant()
    def nobody_waits_forever(self) -> None:
        wait = self.gate.wait(self.now, len(self.running))
        assert wait is not None or self.running, "something that runs will end"
        assert wait is None or wait <= LONGEST


TestGateMachine = GateMachine.TestCase


async def test_all_waiting_documents_are_admitted_when_the_gate_opens() -> None:
    now = 0.0
    admission = Admission(closed(), clock=lambda: now)
    entered = 0

    async def work(n: int) -> None:
        nonlocal entered
        probe = await admission.enter()
        entered += 1
        await asyncio.sleep(0)
        admission.leave(f"SHOP-{n}", OK, probe=probe)

    tasks = [asyncio.create_task(work(n)) for n in range(100)]
    await asyncio.sleep(0)
    assert entered == 0
    now = 2.0
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)
    assert entered == 100


async def test_a_document_that_is_cancelled_while_it_waits_is_not_the_probe() -> None:
    now = 0.0
    admission = Admission(closed(), clock=lambda: now)
    waiting = asyncio.create_task(admission.enter())
    await asyncio.sleep(0)
    queued = asyncio.create_task(admission.wait_for_intake())
    await asyncio.sleep(0)
    assert not queued.done(), "somebody waits already, who can be the probe"
    waiting.cancel()
    async with asyncio.timeout(1):
        await queued
    now = 2.0
    async with asyncio.timeout(1):
        assert await admission.enter(), "the next one is the probe"


async def test_a_document_that_is_cancelled_as_the_gate_opens_does_not_go_on() -> None:
    """A lost cancellation would leave work running that nobody waits for."""
    admission = Admission(closed(), clock=lambda: 0.0)
    for ticks in range(6):
        waiting = asyncio.create_task(admission.enter())
        await asyncio.sleep(0)
        admission.leave("SHOP-1", None, probe=False)
        for _ in range(ticks):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


OUTCOMES: list[Outcome | None] = [
    OK,
    DOWN,
    InDoubt(Reason(Code.TIMED_OUT)),
    TryLater(Reason(Code.RATE_LIMITED, 429), 20.0),
    None,
]
Plan = tuple[float, float, float | None, int, str]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 50),  # comes
            st.floats(0, 20),  # works for so long
            st.none() | st.floats(0, 60),  # is cancelled so long after it came
            st.integers(0, len(OUTCOMES) - 1),
            st.sampled_from("AB"),
        ),
        max_size=30,
    )
)
@in_virtual_time
async def test_admission_is_usable_after_any_sequence_of_entries_and_cancellations(plans: list[Plan]) -> None:
    loop = running_loop()
    admission = Admission(OutageGate(2, 10.0), clock=loop.time)
    inside = probes = 0

    async def work(comes: float, lasts: float, end: int, shop: str) -> None:
        nonlocal inside, probes
        await asyncio.sleep(comes)
        await admission.wait_for_intake()
        probe = await admission.enter()
        inside, probes = inside + 1, probes + probe
        assert probes <= 1
        outcome: Outcome | None = None
        try:
            await asyncio.sleep(lasts)
            outcome = OUTCOMES[end]
        finally:
            inside, probes = inside - 1, probes - probe
            admission.leave(shop, outcome, probe=probe)

    tasks = []
    for comes, lasts, cancel_after, end, shop in plans:
        task = asyncio.create_task(work(comes, lasts, end, shop))
        if cancel_after is not None:
            loop.call_later(comes + cancel_after, task.cancel)
        tasks.append(task)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError | None) for result in ended)
    assert inside == 0
    async with asyncio.timeout(100):
        await admission.wait_for_intake()
        admission.leave("A", OK, probe=await admission.enter())
        assert admission.gate.is_open
        await asyncio.gather(admission.enter(), admission.enter())
