"""Tests what becomes of a row and its state when a decision meets a row that asks for the other operation."""

from __future__ import annotations

import pytest

from streams.documents.sale import SALE
from streams.domain.document_status import Status
from streams.domain.reasons import Code
from streams.domain.status_message import StatusMessage
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from tests.contract.stores.point_of_sale import (
    PointOfSale,
    accepted,
    not_withdrawn,
    pending,
    refused,
    withdrawal_pending,
    withdrawn,
)
from tests.support.decided_sales import ZONE

LATER = 4_000_000_000_000
OWN = "DRAFT"
"""A status of the point of sale's own."""
LEFT_ALONE = {"CANCELLED": "CANCELLED", "CANCEL_FAILED": "CANCEL_FAILED", OWN: OWN}
SENDING_AGAIN = {"PENDING_SYNC": "due", "SYNC_SUCCESS": "due", "SYNC_FAILED": "due", OWN: OWN}
ROWS: dict[Status, dict[str, str]] = {
    "SYNC_SUCCESS": LEFT_ALONE
    | {"PENDING_SYNC": "SYNC_SUCCESS", "SYNC_SUCCESS": "SYNC_SUCCESS", "SYNC_FAILED": "SYNC_SUCCESS"}
    | {"PENDING_CANCEL": "due"},
    "SYNC_FAILED": LEFT_ALONE
    | {"PENDING_SYNC": "SYNC_FAILED", "SYNC_SUCCESS": "SYNC_FAILED", "SYNC_FAILED": "SYNC_FAILED"}
    | {"PENDING_CANCEL": "due"},
    "PENDING_SYNC": LEFT_ALONE
    | {"PENDING_SYNC": "PENDING_SYNC", "SYNC_SUCCESS": "SYNC_SUCCESS", "SYNC_FAILED": "SYNC_FAILED"}
    | {"PENDING_CANCEL": "due"},
    "CANCELLED": SENDING_AGAIN
    | {"PENDING_CANCEL": "CANCELLED", "CANCELLED": "CANCELLED", "CANCEL_FAILED": "CANCELLED"},
    "CANCEL_FAILED": SENDING_AGAIN
    | {"PENDING_CANCEL": "CANCEL_FAILED", "CANCELLED": "CANCEL_FAILED", "CANCEL_FAILED": "CANCEL_FAILED"},
    "PENDING_CANCEL": SENDING_AGAIN
    | {"PENDING_CANCEL": "PENDING_CANCEL", "CANCELLED": "CANCELLED", "CANCEL_FAILED": "CANCEL_FAILED"},
}
"""Decision -> status of the row -> its status afterwards; "due": it asks for what it asked for, and is due at once."""


@pytest.fixture
def writer(db: SalesDb) -> DecisionWriter:
    return DecisionWriter(db, {SALE.name: SALE}, ZONE)


def decision(status: Status, attempt: int = 1) -> StatusMessage:
    match status:
        case "SYNC_SUCCESS":
            return accepted(1, attempt)
        case "SYNC_FAILED":
            return refused(1, attempt)
        case "PENDING_SYNC":
            return pending(1, attempt, LATER)
        case "CANCELLED":
            return withdrawn(1, attempt)
        case "CANCEL_FAILED":
            return not_withdrawn(1, attempt)
        case "PENDING_CANCEL":
            return withdrawal_pending(1, attempt, LATER)


async def is_due(db: SalesDb) -> bool:
    return bool(await Schedule(db, SALE).due(1, 2**62))


@pytest.mark.parametrize(
    ("status", "before", "after"),
    [(status, before, after) for status, rows in ROWS.items() for before, after in rows.items()],
)
async def test_every_decision_changes_only_a_row_of_its_own_operation(
    writer: DecisionWriter, db: SalesDb, point_of_sale: PointOfSale, status: Status, before: str, after: str
) -> None:
    """Promise 2. Broken by: an acceptance is written over a row that is to be withdrawn.
    Promise 2. Broken by: a row that shows a late acceptance stays so although the sale was withdrawn since.
    """
    await point_of_sale.sell(1, status=before)
    await point_of_sale.sync(1, attempt=1)
    await writer.apply("sale", [decision(status)])
    found = (await point_of_sale.row(1))["status"]
    assert await is_due(db) == (after == "due")
    expected = ("PENDING_CANCEL" if before == "PENDING_CANCEL" else "PENDING_SYNC") if after == "due" else after
    assert found == expected


async def test_what_is_accepted_while_it_is_to_be_withdrawn_is_recorded_with_its_id(
    writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, status="PENDING_CANCEL")
    await point_of_sale.sync(1, attempt=1, sent_hash="ab")
    await writer.apply("sale", [accepted(1, 1)])
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert row["national_invoice_id"] == "QG-1"
    assert (state["ever_accepted"], state["sent_hash"]) == (1, "ab")
    assert (state["stored_facility_code"], state["stored_document_code"]) == ("79-1", "HD-1")


@pytest.mark.parametrize("status", ["PENDING_CANCEL", "PENDING_SYNC"])
async def test_a_withdrawal_forgets_the_national_id_and_the_codes(
    writer: DecisionWriter, point_of_sale: PointOfSale, status: str
) -> None:
    """Promise 2. Broken by: the national id of a withdrawn sale stays in its row, and is shown for the next."""
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=1)
    await writer.apply("sale", [accepted(1, 1)])
    await point_of_sale.set_status(1, status)
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 2")
    await writer.apply("sale", [withdrawn(1, 2)])
    state = await point_of_sale.state(1)
    assert (await point_of_sale.row(1))["national_invoice_id"] is None
    assert (state["ever_accepted"], state["stored_facility_code"], state["stored_document_code"]) == (0, None, None)


@pytest.mark.parametrize("sent_hash", ["ab", None])
async def test_a_changed_request_waits_for_the_lease_of_a_call_that_may_be_under_way(
    writer: DecisionWriter, db: SalesDb, point_of_sale: PointOfSale, sent_hash: str | None
) -> None:
    await point_of_sale.sell(1, status="PENDING_CANCEL")
    lease_until = await db.now_ms() + 60_000
    await point_of_sale.sync(1, attempt=1, sent_hash=sent_hash, lease_until=lease_until)
    await writer.apply("sale", [pending(1, 1, LATER, Code.TIMED_OUT)])
    assert await is_due(db) == (sent_hash is None)
    await point_of_sale.run("UPDATE dbo.SaleSync SET lease_until = 0")
    assert await is_due(db)


@pytest.mark.parametrize("status", ["CANCELLED", "CANCEL_FAILED"])
async def test_a_withdrawal_that_was_overtaken_by_a_newer_claim_leaves_the_row_to_that(
    writer: DecisionWriter, point_of_sale: PointOfSale, status: Status
) -> None:
    """The newer attempt may be sending the sale again.

    Promise 2. Broken by: an older withdrawal is written although a newer attempt has sent the sale again.
    """
    await point_of_sale.sell(1, status="PENDING_CANCEL")
    await point_of_sale.sync(1, attempt=2, lease_until=LATER, next_attempt_at=LATER)
    await writer.apply("sale", [decision(status)])
    state = await point_of_sale.state(1)
    assert (await point_of_sale.row(1))["status"] == "PENDING_CANCEL"
    assert (state["published_attempt"], state["lease_until"], state["next_attempt_at"]) == (1, LATER, LATER)


@pytest.mark.parametrize("status", ["CANCELLED", "CANCEL_FAILED"])
async def test_a_withdrawal_that_an_attempt_repeats_without_knowing_its_end_is_requested_again(
    writer: DecisionWriter, db: SalesDb, point_of_sale: PointOfSale, status: Status
) -> None:
    """The newer attempt has read the row before its end was written, and claimed it after that: the last decision on
    the topic has to become the final one.

    Promise 2. Broken by: a row is cancelled, and the last published decision says that it still waits.
    """
    await point_of_sale.sell(1, status="PENDING_CANCEL")
    await point_of_sale.sync(1, attempt=1)
    await writer.apply("sale", [decision(status)])
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 2, is_withdrawal = 1")
    await writer.apply("sale", [withdrawal_pending(1, 2, await db.now_ms())])
    assert (await point_of_sale.row(1))["status"] == "PENDING_CANCEL"
    assert await is_due(db)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
@pytest.mark.parametrize("reverse", [False, True])
async def test_of_an_acceptance_and_a_later_withdrawal_the_withdrawal_counts(
    writer: DecisionWriter, point_of_sale: PointOfSale, reverse: bool, together: bool
) -> None:
    await point_of_sale.sell(1, status="PENDING_CANCEL")
    await point_of_sale.sync(1, attempt=2)
    decisions = [accepted(1, 1), withdrawn(1, 2)]
    ordered = decisions[::-1] if reverse else decisions
    for batch in [ordered] if together else [[each] for each in ordered]:
        await writer.apply("sale", batch)
    state = await point_of_sale.state(1)
    assert (await point_of_sale.row(1))["status"] == "CANCELLED"
    assert (state["ever_accepted"], state["stored_document_code"], state["next_attempt_at"]) == (0, None, None)


async def test_a_refused_withdrawal_shows_the_text_of_the_system(
    writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, status="PENDING_CANCEL")
    await point_of_sale.sync(1, attempt=1, refused_attempt=1, refused_text="Đã quá hạn hủy")
    await writer.apply("sale", [not_withdrawn(1, 1)])
    row = await point_of_sale.row(1)
    assert (row["status"], row["national_invoice_id"]) == ("CANCEL_FAILED", "QG-1")
    assert row["sync_response_message"].endswith("API: Đã quá hạn hủy")


async def test_a_withdrawn_sale_that_is_pending_again_is_enrolled_without_a_known_past(
    writer: DecisionWriter, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, status="PENDING_CANCEL")
    await point_of_sale.sync(1, attempt=1)
    await writer.apply("sale", [withdrawn(1, 1)])
    await point_of_sale.set_status(1, "PENDING_SYNC")
    await Schedule(db, SALE).enroll(0, 10)
    assert (await point_of_sale.state(1))["sent_hash"] == "*", "whatever happened meanwhile, it is looked up first"
