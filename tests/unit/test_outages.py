"""What is waited for: declared, believed for a while, forgotten."""

from __future__ import annotations

import pytest

from streams.runtime.outages import VALID_FOR, Outage, Outages
from streams.stores.sales_db import StoreUnavailable
from streams.stores.wait_for_database import until_available
from tests.support.moved_clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def waits(clock: Clock) -> Outages:
    return Outages(clock)


def test_nothing_is_declared_before_the_first_word_and_after_the_last(waits: Outages) -> None:
    with waits.reporter("sales_database", "start it") as waiting:
        assert waits.current() == []
        waiting.report("connect: SQLSTATE 08001")
        [wait] = waits.current()
        assert (wait.part, wait.what, wait.action) == ("sales_database", "connect: SQLSTATE 08001", "start it")
    assert waits.current() == []


def test_who_waits_longest_says_since_when_and_who_spoke_last_says_what(waits: Outages, clock: Clock) -> None:
    first, second = (waits.reporter("sales_database", "start it") for _ in range(2))
    first.report("read")
    clock.now += 60
    second.report("claim")
    [wait] = waits.current()
    assert (wait.what, wait.since) == ("claim", 1000)
    clock.now += 1
    first.report("read again")
    assert [wait.what for wait in waits.current()] == ["read again"]
    first.end()
    assert [(wait.what, wait.since) for wait in waits.current()] == [("claim", 1060)]


def test_a_word_is_believed_for_a_while(waits: Outages, clock: Clock) -> None:
    waiting = waits.reporter("journal", "start it")
    waiting.report("away")
    assert waits.is_waiting_for(("gate", "journal"))
    assert not waits.is_waiting_for(("gate", "kafka"))
    clock.now += VALID_FOR
    assert not waits.is_waiting_for(("journal",)), "its last try never ended"
    assert waits.current(), "it is still shown"
    waiting.report("away")
    assert waits.is_waiting_for(("journal",))


def test_who_knows_by_itself_is_asked(waits: Outages) -> None:
    gate: list[Outage] = []
    waits.add_source(lambda: gate[0] if gate else None)
    assert waits.current() == []
    gate.append(Outage("gate", "closed", "nothing", 900, 1100))
    assert waits.current() == gate
    assert waits.is_waiting_for(("gate",))


def test_trouble_of_a_part_that_holds_up_sales_anywhere_holds_them_up(waits: Outages) -> None:
    waits.reporter("redis", "start it", holds_up_sales=False).report("away")
    assert [wait.holds_up_sales for wait in waits.current()] == [False]
    waits.reporter("redis", "start it").report("away")
    assert [wait.holds_up_sales for wait in waits.current()] == [True]


async def test_patience_is_declared_while_it_lasts(waits: Outages) -> None:
    seen = []

    async def work() -> str:
        seen.append(waits.is_waiting_for(("sales_database",)))
        if len(seen) < 3:
            raise StoreUnavailable("08001", None)
        return "done"

    assert await until_available(work, "connect", outages=waits) == "done"
    assert seen == [False, True, True]
    assert waits.current() == []
