"""What is due, fairly; and what nothing waits for."""

from __future__ import annotations

import time

import pytest

from streams.documents.sale import SALE
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from tests.contract.stores.till import Till

ALWAYS = 2**62
FAR = 4_000_000_000_000


@pytest.fixture
def schedule(db: SalesDb) -> Schedule:
    return Schedule(db, SALE)


async def ids(schedule: Schedule, most: int = 100, unseen_before: int = ALWAYS) -> list[int]:
    return [due.id for due in await schedule.due(most, unseen_before)]


async def test_shops_take_turns(schedule: Schedule, till: Till) -> None:
    await till.sell(*range(1, 11), shop="BIG")
    await till.sell(11, 12, shop="SMALL")
    await till.syncs(range(1, 11), attempt=1, next_attempt_at=100)
    await till.syncs([11, 12], attempt=1, next_attempt_at=200)
    assert await ids(schedule, 5) == [1, 11, 2, 12, 3]


async def test_what_is_not_due_is_not_fed(schedule: Schedule, till: Till) -> None:
    await till.sell(1, 2, 3)
    await till.sell(4, status="SYNC_SUCCESS")
    await till.sync(1, attempt=1, next_attempt_at=FAR)
    await till.sync(2, attempt=1, next_attempt_at=100, lease_until=FAR)
    await till.sync(3, attempt=1)
    await till.sync(4, attempt=1, next_attempt_at=100)
    assert await ids(schedule) == []


async def test_what_is_fed_is_put_off_and_counted(schedule: Schedule, till: Till) -> None:
    await till.sell(1, 2)
    await till.syncs([1, 2], attempt=1, next_attempt_at=100)
    await schedule.put_off([1], 60_000)
    assert await ids(schedule) == [2]
    assert await schedule.fed_and_unclaimed() == 1


async def test_a_claim_that_came_first_is_not_put_off(schedule: Schedule, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1, next_attempt_at=FAR - 5, lease_until=FAR - 5, owner="a worker")
    await schedule.put_off([1], 60_000)
    state = await till.state(1)
    assert (state["next_attempt_at"], state["owner"]) == (FAR - 5, "a worker")


async def test_pending_rows_that_nothing_waits_for_are_enrolled(schedule: Schedule, till: Till) -> None:
    await till.sell(1, 2)
    await till.sell(3, status="SYNC_FAILED")
    assert await schedule.enroll(0, 100) == 2
    assert await schedule.enroll(0, 100) == 0
    assert await till.state(3) == {}
    assert await ids(schedule) == [1, 2]
    [due, _] = await schedule.due(10, ALWAYS)
    assert (due.attempt, due.own_code, due.shop) == (0, "HD-1", "SHOP-1")
    assert await ids(schedule, unseen_before=0) == [], "an older change event may still be theirs"


async def test_enrolment_is_bounded_and_later(schedule: Schedule, till: Till) -> None:
    await till.sell(*range(1, 301))
    assert await schedule.enroll(60_000, 200) == 200
    assert await ids(schedule) == []
    assert await schedule.enroll(60_000, 200) == 100


async def test_asked_again_with_its_event_lost_may_be_held(schedule: Schedule, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1, told_attempt=1, tries=3, ever_accepted=0)
    await schedule.enroll(0, 100)
    state = await till.state(1)
    assert (state["sent_hash"], state["tries"]) == ("*", 0)
    assert await ids(schedule) == [1]


async def test_what_waits_already_is_not_touched(schedule: Schedule, till: Till) -> None:
    await till.sell(1, 2)
    await till.sync(1, attempt=1, next_attempt_at=FAR, sent_hash="h")
    await till.sync(2, attempt=1, lease_until=FAR, sent_hash="h")
    await schedule.enroll(0, 100)
    assert (await till.state(1))["next_attempt_at"] == FAR
    assert {(await till.state(i))["sent_hash"] for i in (1, 2)} == {"h"}


async def test_what_is_not_pending_any_more_leaves(schedule: Schedule, till: Till) -> None:
    await till.sell(1, status="CANCELLED")
    await till.sync(1, attempt=1, next_attempt_at=100)
    await till.sync(99, attempt=1, next_attempt_at=100)  # its row was deleted
    await schedule.enroll(0, 100)
    assert [(await till.state(i))["next_attempt_at"] for i in (1, 99)] == [None, None]


async def test_a_mended_shops_sales_are_due_now(schedule: Schedule, till: Till) -> None:
    await till.sell(1, 2, shop="MENDED")
    await till.sell(3, shop="OTHER")
    await till.sync(1, attempt=1, next_attempt_at=FAR, reason_code="login_refused")
    await till.sync(2, attempt=1, next_attempt_at=FAR, reason_code="api_error")
    await till.sync(3, attempt=1, next_attempt_at=FAR, reason_code="login_refused")
    reasons = ["login_refused", "no_account"]
    assert await schedule.shops_waiting_for_accounts(reasons, 10) == ["MENDED", "OTHER"]
    await schedule.release("MENDED", reasons)
    assert await ids(schedule) == [1]


async def test_a_backlog_is_looked_at_quickly(schedule: Schedule, till: Till) -> None:
    await till.sell(*range(1, 10_001))
    assert await schedule.enroll(0, 20_000) == 10_000
    began = time.monotonic()
    assert len(await schedule.due(500, ALWAYS)) == 500
    assert time.monotonic() - began < 2
