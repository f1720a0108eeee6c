"""A decision counts only for an attempt that was claimed; what was refused is kept no longer than it is of use."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.documents.sale import SALE
from streams.domain.reasons import Code
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from tests.contract.stores.point_of_sale import Till, accepted, refused, waits
from tests.support.decided_sales import ZONE

LAST = 2**31 - 1
DAY = 86_400_000
BODY = '{"ho_ten_khach_hang":"Nguyễn Thị Bí Mật"}'
HASH = hashlib.sha256(BODY.encode()).hexdigest()


@pytest.fixture
def ends(db: SalesDb) -> DecisionWriter:
    return DecisionWriter(db, {SALE.name: SALE}, ZONE)


@pytest.mark.parametrize("attempt", [2, LAST])
@pytest.mark.parametrize("decision", [accepted, refused, lambda i, n: waits(i, n, 5)], ids=["end", "failure", "wait"])
async def test_a_decision_of_an_unclaimed_attempt_is_ignored(
    ends: DecisionWriter, till: Till, attempt: int, decision: Any
) -> None:
    """Promise 2. Broken by: a forged message on sale-status gives any sale a final decision, and the true one is
    ignored."""
    await till.sell(1, 2, 3)
    await till.syncs([1, 3], attempt=1, next_attempt_at=7, lease_until=9)
    before = await till.state(1)
    with capture_logs() as logs:
        assert await ends.apply("sale", [decision(1, attempt), decision(2, attempt), accepted(3, 1)]) == {3}
    assert await till.state(1) == before
    assert await till.state(2) == {}
    assert [(await till.row(i))["status"] for i in (1, 2, 3)] == ["PENDING_SYNC", "PENDING_SYNC", "SYNC_SUCCESS"]
    [said] = [line for line in logs if line["event"] == "write_back.never_claimed"]
    assert (said["ids"], said["so_far"], ends.never_claimed) == ([1, 2], 2, 2)
    assert await ends.apply("sale", [accepted(1, 1)]) == {1}, "the true one counts"


async def test_a_true_decision_counts_although_it_comes_with_a_forged_one(ends: DecisionWriter, till: Till) -> None:
    """Promise 2. Broken by: a true decision is lost together with a forged one of the same sale."""
    await till.sell(1)
    await till.sync(1, attempt=3, published_attempt=1)
    with capture_logs():
        assert await ends.apply("sale", [accepted(1, 3, "QG-true"), accepted(1, LAST, "QG-forged")]) == {1}
    assert (await till.row(1))["national_invoice_id"] == "QG-true"
    assert (await till.state(1))["published_attempt"] == 3


async def test_a_forged_success_disproves_no_failure(ends: DecisionWriter, till: Till) -> None:
    await till.sell(1, status="SYNC_FAILED")
    await till.sync(1, attempt=1, published_attempt=1, refused_attempt=1, refused_body=BODY, reason_code="api_refused")
    with capture_logs():
        assert await ends.apply("sale", [accepted(1, 9, body_hash=HASH)]) == set()
    assert (await till.row(1))["status"] == "SYNC_FAILED"


async def test_a_repeated_decision_is_not_taken_for_a_forgery(ends: DecisionWriter, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=2)
    with capture_logs() as logs:
        assert await ends.apply("sale", [accepted(1, 2)]) == {1}
        assert await ends.apply("sale", [accepted(1, 2)]) == set()
        assert await ends.apply("sale", [accepted(1, 1)]) == set()
    assert not [line for line in logs if line["event"] == "write_back.never_claimed"]


async def test_an_acceptance_deletes_the_refused_body(ends: DecisionWriter, till: Till) -> None:
    """Promise 7. Broken by: a name that was erased, corrected and accepted stays in dbo.SaleSync."""
    await till.sell(1, 2)
    await till.syncs(
        [1, 2], attempt=2, published_attempt=1, refused_attempt=1, refused_body=BODY, refused_text="Bí Mật"
    )
    await ends.apply("sale", [accepted(1, 2), waits(2, 2, 5)])
    state = await till.state(1)
    assert (state["refused_body"], state["refused_text"], state["refused_attempt"]) == (None, None, 1)
    assert (await till.state(2))["refused_body"] == BODY


async def test_an_acceptance_keeps_the_refusal_of_a_later_attempt_that_is_not_yet_published(
    ends: DecisionWriter, till: Till
) -> None:
    """Promise 1. Broken by: an accepted decision takes the text of a later refusal that is not yet published."""
    await till.sell(1)
    await till.sync(1, attempt=3, published_attempt=1, refused_attempt=3, refused_body=BODY, refused_text="no")
    await ends.apply("sale", [accepted(1, 2)])
    assert (await till.state(1))["refused_body"] == BODY


async def test_a_late_acceptance_also_deletes_the_refused_body(ends: DecisionWriter, till: Till) -> None:
    await till.sell(1, status="SYNC_FAILED")
    await till.sync(1, attempt=2, published_attempt=2, refused_attempt=2, refused_body=BODY, reason_code="api_refused")
    assert await ends.apply("sale", [accepted(1, 1, body_hash=HASH)]) == {1}
    assert (await till.state(1))["refused_body"] is None


async def test_a_refused_body_that_nobody_corrects_is_deleted_after_its_time(db: SalesDb, till: Till) -> None:
    """Promise 7. Broken by: a body that was refused and never corrected stays in dbo.SaleSync forever."""
    now = await db.now_ms()
    old, young = now - 91 * DAY, now - 89 * DAY
    kept = {"attempt": 1, "published_attempt": 1, "refused_attempt": 1, "refused_body": BODY, "refused_text": "Bí Mật"}
    failed = {**kept, "reason_code": Code.API_REFUSED.value}
    await till.sell(*range(1, 6), status="SYNC_FAILED")
    await till.sync(1, **failed, sent_at=old, attempts_since=old)
    await till.sync(2, **failed, sent_at=young, attempts_since=old)
    await till.sync(3, **failed, attempts_since=old)
    await till.sync(4, **failed, attempts_since=young)
    await till.sync(5, **kept, sent_at=old)
    schedule = Schedule(db, SALE)
    assert await schedule.forget_old_refusals(90 * DAY, 1) == 1
    assert await schedule.forget_old_refusals(90 * DAY, 10) == 1
    assert await schedule.forget_old_refusals(90 * DAY, 10) == 0
    bodies = [(await till.state(i))["refused_body"] for i in range(1, 5)]
    assert bodies == [None, BODY, None, BODY]
    assert (await till.state(1))["refused_text"] is None
    assert (await till.state(1))["reason_code"] == Code.API_REFUSED.value
