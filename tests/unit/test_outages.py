"""Tests how outages are reported, stay valid for a while, and end."""

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
def outages(clock: Clock) -> Outages:
    return Outages(clock)


def test_an_outage_is_listed_from_its_first_report_to_its_end(outages: Outages) -> None:
    with outages.reporter("sales_database", "start it") as waiting:
        assert outages.current() == []
        waiting.report("connect: SQLSTATE 08001")
        [wait] = outages.current()
        assert (wait.part, wait.what, wait.action) == ("sales_database", "connect: SQLSTATE 08001", "start it")
    assert outages.current() == []


def test_the_longest_wait_gives_the_start_and_the_latest_report_the_text_of_an_outage(
    outages: Outages, clock: Clock
) -> None:
    first, second = (outages.reporter("sales_database", "start it") for _ in range(2))
    first.report("read")
    clock.now += 60
    second.report("claim")
    [wait] = outages.current()
    assert (wait.what, wait.since) == ("claim", 1000)
    clock.now += 1
    first.report("read again")
    assert [wait.what for wait in outages.current()] == ["read again"]
    first.end()
    assert [(wait.what, wait.since) for wait in outages.current()] == [("claim", 1060)]


def test_a_report_of_an_outage_is_valid_for_a_limited_time(outages: Outages, clock: Clock) -> None:
    waiting = outages.reporter("journal", "start it")
    waiting.report("away")
    assert outages.is_waiting_for(("gate", "journal"))
    assert not outages.is_waiting_for(("gate", "kafka"))
    clock.now += VALID_FOR
    assert not outages.is_waiting_for(("journal",)), "its last try never ended"
    assert outages.current(), "it is still shown"
    waiting.report("away")
    assert outages.is_waiting_for(("journal",))


def test_an_outage_source_is_consulted_each_time(outages: Outages) -> None:
    gate: list[Outage] = []
    outages.add_source(lambda: gate[0] if gate else None)
    assert outages.current() == []
    gate.append(Outage("gate", "closed", "nothing", 900, 1100))
    assert outages.current() == gate
    assert outages.is_waiting_for(("gate",))


def test_a_part_holds_up_sales_when_any_of_its_reports_does(outages: Outages) -> None:
    outages.reporter("redis", "start it", holds_up_sales=False).report("away")
    assert [wait.holds_up_sales for wait in outages.current()] == [False]
    outages.reporter("redis", "start it").report("away")
    assert [wait.holds_up_sales for wait in outages.current()] == [True]


async def test_waiting_for_a_store_is_reported_as_an_outage_while_it_lasts(outages: Outages) -> None:
    seen = []

    async def work() -> str:
        seen.append(outages.is_waiting_for(("sales_database",)))
        if len(seen) < 3:
            raise StoreUnavailable("08001", None)
        return "done"

    assert await until_available(work, "connect", outages=outages) == "done"
    assert seen == [False, True, True]
    assert outages.current() == []
