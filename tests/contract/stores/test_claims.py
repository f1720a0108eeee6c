"""Tests that a decision counts only for a claimed attempt, and that a refused body is kept only as long as needed."""

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
from tests.contract.stores.point_of_sale import PointOfSale, accepted, pending, refused
from tests.support.decided_sales import ZONE

LAST = 2**31 - 1
DAY = 86_400_000
BODY = '{"ho_ten_khach_hang":"Nguyễn Thị Bí Mật"}'
HASH = hashlib.sha256(BODY.encode()).hexdigest()


@pytest.fixture
def decision_writer(db: SalesDb) -> DecisionWriter:
    return DecisionWriter(db, {SALE.name: SALE}, ZONE)


@pytest.mark.parametrize("attempt", [2, LAST])
@pytest.mark.parametrize("decision", [accepted, refused, lambda i, n: pending(i, n, 5)], ids=["end", "failure", "wait"])
async def test_a_decision_of_an_unclaimed_attempt_is_ignored(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, attempt: int, decision: Any
) -> None:
    """Promise 2. Broken by: a forged message on sale-status gives any sale a final decision, and the true one is
    ignored."""
    await point_of_sale.sell(1, 2, 3)
    await point_of_sale.syncs([1, 3], attempt=1, next_attempt_at=7, lease_until=9)
    before = await point_of_sale.state(1)
    with capture_logs() as logs:
        assert await decision_writer.apply("sale", [decision(1, attempt), decision(2, attempt), accepted(3, 1)]) == {3}
    assert await point_of_sale.state(1) == before
    assert await point_of_sale.state(2) == {}
    assert [(await point_of_sale.row(i))["status"] for i in (1, 2, 3)] == [
        "PENDING_SYNC",
        "PENDING_SYNC",
        "SYNC_SUCCESS",
    ]
    [said] = [line for line in logs if line["event"] == "write_back.never_claimed"]
    assert (said["ids"], said["so_far"], decision_writer.never_claimed) == ([1, 2], 2, 2)
    assert await decision_writer.apply("sale", [accepted(1, 1)]) == {1}, "the true one counts"


async def test_a_true_decision_counts_although_it_comes_with_a_forged_one(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    """Promise 2. Broken by: a true decision is lost together with a forged one of the same sale."""
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=3, published_attempt=1)
    with capture_logs():
        assert await decision_writer.apply("sale", [accepted(1, 3, "QG-true"), accepted(1, LAST, "QG-forged")]) == {1}
    assert (await point_of_sale.row(1))["national_invoice_id"] == "QG-true"
    assert (await point_of_sale.state(1))["published_attempt"] == 3


async def test_a_forged_success_disproves_no_failure(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    await point_of_sale.sync(
        1, attempt=1, published_attempt=1, refused_attempt=1, refused_body=BODY, reason_code="api_refused"
    )
    with capture_logs():
        assert await decision_writer.apply("sale", [accepted(1, 9, body_hash=HASH)]) == set()
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


async def test_a_repeated_decision_is_not_taken_for_a_forgery(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=2)
    with capture_logs() as logs:
        assert await decision_writer.apply("sale", [accepted(1, 2)]) == {1}
        assert await decision_writer.apply("sale", [accepted(1, 2)]) == set()
        assert await decision_writer.apply("sale", [accepted(1, 1)]) == set()
    assert not [line for line in logs if line["event"] == "write_back.never_claimed"]


async def test_an_acceptance_deletes_the_refused_body(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    """Promise 7. Broken by: a name that was erased, corrected and accepted stays in dbo.SaleSync."""
    await point_of_sale.sell(1, 2)
    await point_of_sale.syncs(
        [1, 2], attempt=2, published_attempt=1, refused_attempt=1, refused_body=BODY, refused_text="Bí Mật"
    )
    await decision_writer.apply("sale", [accepted(1, 2), pending(2, 2, 5)])
    state = await point_of_sale.state(1)
    assert (state["refused_body"], state["refused_text"], state["refused_attempt"]) == (None, None, 1)
    assert (await point_of_sale.state(2))["refused_body"] == BODY


async def test_an_acceptance_keeps_the_refusal_of_a_later_attempt_that_is_not_yet_published(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    """Promise 1. Broken by: an accepted decision takes the text of a later refusal that is not yet published."""
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=3, published_attempt=1, refused_attempt=3, refused_body=BODY, refused_text="no")
    await decision_writer.apply("sale", [accepted(1, 2)])
    assert (await point_of_sale.state(1))["refused_body"] == BODY


async def test_a_late_acceptance_also_deletes_the_refused_body(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    await point_of_sale.sync(
        1, attempt=2, published_attempt=2, refused_attempt=2, refused_body=BODY, reason_code="api_refused"
    )
    assert await decision_writer.apply("sale", [accepted(1, 1, body_hash=HASH)]) == {1}
    assert (await point_of_sale.state(1))["refused_body"] is None


async def test_a_refused_body_that_nobody_corrects_is_deleted_after_its_time(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    """Promise 7. Broken by: a body that was refused and never corrected stays in dbo.SaleSync forever."""
    now = await db.now_ms()
    old, young = now - 91 * DAY, now - 89 * DAY
    kept = {"attempt": 1, "published_attempt": 1, "refused_attempt": 1, "refused_body": BODY, "refused_text": "Bí Mật"}
    failed = {**kept, "reason_code": Code.API_REFUSED.value}
    await point_of_sale.sell(*range(1, 6), status="SYNC_FAILED")
    await point_of_sale.sync(1, **failed, sent_at=old, attempts_since=old)
    await point_of_sale.sync(2, **failed, sent_at=young, attempts_since=old)
    await point_of_sale.sync(3, **failed, attempts_since=old)
    await point_of_sale.sync(4, **failed, attempts_since=young)
    await point_of_sale.sync(5, **kept, sent_at=old)
    schedule = Schedule(db, SALE)
    assert await schedule.forget_old_refusals(90 * DAY, 1) == 1
    assert await schedule.forget_old_refusals(90 * DAY, 10) == 1
    assert await schedule.forget_old_refusals(90 * DAY, 10) == 0
    bodies = [(await point_of_sale.state(i))["refused_body"] for i in range(1, 5)]
    assert bodies == [None, BODY, None, BODY]
    assert (await point_of_sale.state(1))["refused_text"] is None
    assert (await point_of_sale.state(1))["reason_code"] == Code.API_REFUSED.value
