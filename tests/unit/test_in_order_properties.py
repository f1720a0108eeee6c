"""Tests the window under any order of deliveries, ends, failures, revocations, redeliveries, cancellations and
drains.

The model is a log per partition, as Kafka has it, read again from the last acknowledgement after each revocation.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.kafka.fair_queue import FairQueue, Ticket
from streams.kafka.in_order_window import Delivery, InOrderWindow
from tests.unit.virtual_time import VirtualTimeLoop, settle

PARTITIONS = ("change-0", "change-1", "retry-0")
MAX_RUNNING, MAX_PER_SHOP, MAX_WAITING, MAX_UNACKNOWLEDGED, START_TIMEOUT = 4, 2, 7, 5, 5.0
RETRY_PAUSES = (0.1, 0.5)


@dataclass(frozen=True)
class Record:
    offset: int
    key: str | None
    shop: str


@dataclass(eq=False)
class Event:
    """One record as one assignment delivered it."""

    record: Record
    log: PartitionLog
    assignment: int
    delivery: Delivery | None = None
    admit: asyncio.Task[None] | None = None
    taken_in: bool = False
    end: asyncio.Future[None] | None = None
    """The end of the attempt that runs, for the machine to set."""
    task: asyncio.Task[Any] | None = None
    started: bool = False
    overdue: bool = False
    finished: bool = False
    cut_off: bool = False
    failures: int = 0

    @property
    def is_current(self) -> bool:
        return self.assignment == self.log.assignment

    @property
    def alive(self) -> bool:
        return self.taken_in and not self.finished and not self.cut_off and (self.started or self.is_current)


@dataclass(eq=False)
class PartitionLog:
    name: str
    lane: str
    records: list[Record] = field(default_factory=list)
    position: int = 0
    """Index of the record to deliver next."""
    acknowledged: int = 0
    """How many records were ever acknowledged without a gap: where the next assignment begins."""
    assignment: int = 0
    admitted: list[Event] = field(default_factory=list)
    """Of this assignment, in order."""
    acknowledgements: int = 0
    """Of this assignment."""

    def reassign(self) -> None:
        self.assignment += 1
        self.position = self.acknowledged
        self.admitted = []
        self.acknowledgements = 0


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self.loop = VirtualTimeLoop()
        self.logs = {name: PartitionLog(name, "due" if name[0] == "r" else "new") for name in PARTITIONS}
        self.events: list[Event] = []
        self.taken_in: list[Event] = []
        """In the order of admission: who is held back may be overtaken by the other lane."""
        self.holder: dict[str, Event] = {}
        self.violations: list[str] = []

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def run_and_settle() -> Any:
            result = await coroutine
            await settle()
            return result

        return self.loop.run_until_complete(run_and_settle())

    @initialize(burst_below=st.sampled_from([0, MAX_RUNNING - 1]))
    def open_first_window(self, burst_below: int) -> None:
        self.burst_below = burst_below
        self.open_window()

    def open_window(self) -> None:
        self.window = InOrderWindow(
            max_running=MAX_RUNNING,
            max_running_per_shop=MAX_PER_SHOP,
            burst_below=self.burst_below,
            max_waiting=MAX_WAITING,
            max_unacknowledged=MAX_UNACKNOWLEDGED,
            start_timeout=START_TIMEOUT,
            retry_pauses=RETRY_PAUSES,
            clock=self.loop.time,
        )

    # What the window calls

    async def work(self, event: Event, overdue: bool) -> None:
        key = event.record.key
        if key is not None and self.holder.setdefault(key, event) is not event:
            self.violations.append("two of one sale at once")
        if not event.started and not event.is_current:
            self.violations.append("started after its partition was revoked")
        if not event.started and event is not self.first_of_its_sale(event):
            self.violations.append("overtook an earlier event of its sale")
        event.started, event.overdue = True, overdue
        event.task = asyncio.current_task()
        event.end = self.loop.create_future()
        try:
            await event.end
        finally:
            event.end = None
        self.finish(event)

    def finish(self, event: Event) -> None:
        event.finished = True
        if event.record.key is not None:
            del self.holder[event.record.key]

    def acknowledge(self, event: Event) -> None:
        log = event.log
        if not event.is_current:
            self.violations.append("acknowledged after its partition was revoked")
        if not event.finished:
            self.violations.append("acknowledged before it was finished")
        if log.admitted[log.acknowledgements] is not event:
            self.violations.append("acknowledged out of order")
        log.acknowledgements += 1
        log.acknowledged = max(log.acknowledged, log.records.index(event.record) + 1)

    def first_of_its_sale(self, event: Event) -> Event:
        key = event.record.key
        return next(e for e in self.taken_in if e is event or (e.alive and e.record.key == key is not None))

    # What happens

    @rule(
        name=st.sampled_from(PARTITIONS),
        key=st.sampled_from(["sale 1", "sale 2", "sale 3", None]),
        shop=st.sampled_from(["A", "B", "C"]),
        hole=st.integers(0, 2),
    )
    def deliver(self, name: str, key: str | None, shop: str, hole: int) -> None:
        log = self.logs[name]
        if any(e.admit is not None and not e.admit.done() and e.log is log for e in self.events):
            return  # its agent is still held back
        if log.position == len(log.records):
            offset = log.records[-1].offset + 1 + hole if log.records else hole
            log.records.append(Record(offset, key, shop))
        event = Event(log.records[log.position], log, log.assignment)
        log.position += 1
        self.events.append(event)
        was_closed = self.window.finished_unacknowledged >= MAX_UNACKNOWLEDGED
        self.run(self.admit(event))
        if was_closed and self.window.finished_unacknowledged >= MAX_UNACKNOWLEDGED:
            assert event.admit is not None
            assert not event.admit.done(), "taken in although too much is unacknowledged"

    async def admit(self, event: Event) -> None:
        record = event.record

        async def work(overdue: bool) -> None:
            await self.work(event, overdue)

        event.delivery = Delivery(
            partition=event.log.name,
            offset=record.offset,
            order_key=record.key,
            shop=record.shop,
            lane=event.log.lane,
            acknowledge=lambda: self.acknowledge(event),
            work=work,
        )

        event.admit = asyncio.create_task(self.wait_until_taken_in(event, event.delivery))
        event.log.admitted.append(event)

    async def wait_until_taken_in(self, event: Event, delivery: Delivery) -> None:
        if await self.window.admit(delivery):
            event.taken_in = True
            self.taken_in.append(event)

    @property
    def working(self) -> list[Event]:
        return [event for event in self.events if event.end is not None]

    @precondition(lambda self: self.working)
    @rule(data=st.data(), how=st.sampled_from(["ends", "ends", "ends", "fails", "raises cancelled", "is cancelled"]))
    def attempt(self, data: st.DataObject, how: str) -> None:
        event = data.draw(st.sampled_from(self.working))
        assert event.end is not None
        assert event.task is not None
        if how == "ends":
            event.end.set_result(None)
        elif how == "fails":
            event.end.set_exception(ValueError())
        elif how == "raises cancelled":
            event.end.cancel()
        else:
            event.task.cancel()
            if not event.is_current:  # nobody waits for it any more: its end is the end of the task
                event.cut_off = True
                self.holder.pop(event.record.key or "", None)
        if how != "ends" and not event.cut_off:
            event.failures += 1
            if event.failures > len(RETRY_PAUSES):
                self.finish(event)  # it is given up
        self.run(settle())

    @rule(seconds=st.sampled_from([0.1, 0.6, START_TIMEOUT]))
    def pass_time(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(names=st.sets(st.sampled_from(PARTITIONS), min_size=1))
    def rebalance(self, names: set[str]) -> None:
        async def revoke() -> None:
            for name in names:
                self.logs[name].reassign()
            self.window.revoke(names)

        self.run(revoke())
        for event in self.events:
            if event.log.name in names and event.admit is not None:
                assert event.admit.done(), "held back although its partition is gone"

    @rule(name=st.sampled_from(PARTITIONS))
    def cancel_a_waiting_caller(self, name: str) -> None:
        log = self.logs[name]
        if log.admitted and (admit := log.admitted[-1].admit) is not None and not admit.done():
            log.admitted.pop()
            log.position -= 1
            admit.cancel()
            self.run(settle())

    @rule(seconds=st.sampled_from([0.0, 0.6, 60.0]), ending=st.integers(0, MAX_RUNNING))
    def drain_and_restart(self, seconds: float, ending: int) -> None:
        async def drain() -> int:
            draining = asyncio.ensure_future(self.window.drain(seconds))
            await asyncio.sleep(0)
            for event in self.working[:ending]:
                assert event.end is not None
                event.end.set_result(None)
            return await draining

        left = self.run(drain())
        assert left == sum(e.started and not e.finished and not e.cut_off for e in self.events)
        self.check_nothing_is_left()
        self.events.clear()
        self.taken_in.clear()
        self.holder.clear()
        for log in self.logs.values():
            log.reassign()
        self.open_window()

    # What always holds

    @invariant()
    def order_is_kept(self) -> None:
        """Report violations here, because the window would take an error in its work for the work's own."""
        assert self.violations == []

    @invariant()
    def bounds_hold(self) -> None:
        window = self.window
        assert window.running <= MAX_RUNNING
        most = max(MAX_PER_SHOP, self.burst_below)
        assert all(count <= most for count in window.running_per_shop.values())
        assert sum(event.overdue and event.end is not None for event in self.events) <= MAX_PER_SHOP
        assert window.waiting <= MAX_WAITING

    @invariant()
    def counters_are_right(self) -> None:
        window = self.window
        assert window.running == sum(e.alive and e.started for e in self.events)
        assert window.waiting == sum(e.alive and not e.started for e in self.events)
        finished = sum(e.finished and e.is_current for e in self.events)
        acknowledged = sum(log.acknowledgements for log in self.logs.values())
        assert window.finished_unacknowledged == finished - acknowledged
        shops = Counter(e.record.shop for e in self.events if e.alive and e.started and not e.overdue)
        assert window.running_per_shop == shops

    @invariant()
    def what_is_finished_at_the_head_is_acknowledged(self) -> None:
        for log in self.logs.values():
            head = log.admitted[log.acknowledgements : log.acknowledgements + 1]
            assert not head or not head[0].finished

    @invariant()
    def nobody_waits_without_a_reason(self) -> None:
        window = self.window
        if window.running == MAX_RUNNING:
            return
        putting_off = sum(e.alive and e.started and e.overdue for e in self.events)
        # Only the window knows whose patience ran out while its shop was full, until it starts.
        overdue = {entry.delivery for entry in window._unfinished if entry.overdue}
        for event in self.events:
            if not event.alive or event.started or event is not self.first_of_its_sale(event):
                continue
            if event.delivery in overdue:
                assert putting_off == MAX_PER_SHOP
            else:  # a full shop may have more than its share: what it was lent
                assert window.running_per_shop.get(event.record.shop, 0) >= MAX_PER_SHOP
                assert window.running >= self.burst_below, "its shop is full, but there are places to lend"

    def check_nothing_is_left(self) -> None:
        window = self.window
        assert (window.running, window.waiting, window.finished_unacknowledged) == (0, 0, 0)
        assert window.running_per_shop == {}
        assert window.oldest_unfinished_age == 0
        assert window._queue._shops == {}, "thousands of shops come by: the idle ones are not kept"
        assert window._queue._behind == {}, "nor the sales"
        assert all(event.end is None for event in self.events)

    def teardown(self) -> None:
        try:
            self.end_everything()
        finally:
            self.loop.close()
            structlog.reset_defaults()

    def end_everything(self) -> None:
        """Check that all work ends and is acknowledged once work succeeds again."""
        for _ in range(1_000):
            if not self.window.running and not self.window.waiting:
                break
            for event in self.working:
                assert event.end is not None
                event.end.set_result(None)
            self.run(asyncio.sleep(1.0))
        self.order_is_kept()
        self.check_nothing_is_left()
        for log in self.logs.values():
            assert log.acknowledgements == len(log.admitted)
        self.run(self.window.drain(0))


TestInOrderWindow = Machine.TestCase
TestInOrderWindow.settings = settings(max_examples=100, stateful_step_count=50)


@pytest.mark.parametrize("burst_below", [0, MAX_RUNNING - 1, MAX_RUNNING])
def test_a_lone_shop_waits_when_its_share_and_its_burst_are_used_up(burst_below: int) -> None:
    """The state machine rarely gets a shop that uses its burst and has one more delivery waiting."""
    machine = Machine()
    try:
        machine.open_first_window(burst_below=burst_below)
        for key in ("sale 3", "sale 1", "sale 2", None):
            machine.deliver(name="change-0", key=key, shop="B", hole=0)
            machine.bounds_hold()
            machine.counters_are_right()
            machine.nobody_waits_without_a_reason()
        assert machine.window.running_per_shop == {"B": max(MAX_PER_SHOP, burst_below)}
    finally:
        machine.teardown()


@given(
    weights=st.fixed_dictionaries({"new": st.integers(1, 9), "due": st.integers(1, 9)}),
    shops=st.lists(st.sampled_from("ABC"), min_size=1, max_size=8),
    idle_before=st.integers(0, 7),
)
def test_lanes_with_work_share_exactly_by_weight(weights: dict[str, int], shops: list[str], idle_before: int) -> None:
    queue = FairQueue[Ticket](max_running=1, max_waiting=1_000, weights=weights)
    cycle = sum(weights.values())
    for lane in ["due"] * idle_before + ["new", "due"] * 3 * cycle:
        queue.enqueue(Ticket(order_key=None, shop_name=shops[queue.waiting % len(shops)], lane_name=lane))
    started: list[str] = []
    while len(started) < 3 * cycle:
        ticket = queue.next()
        assert ticket is not None
        started.append(ticket.lane_name)
        queue.release(ticket)
    for at in range(0, len(started), cycle):
        assert Counter(started[at : at + cycle]) == weights
