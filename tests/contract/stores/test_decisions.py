"""Tests that decisions are written into the rows once, and never over a later one, in whatever order they are
published.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pytest

from streams.documents.sale import SALE
from streams.domain.outcome import Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import status_reason
from streams.domain.status_message import StatusMessage
from streams.stores.decisions import DecisionWriter, Refusal
from streams.stores.sales_db import SalesDb, StoreError
from streams.stores.schedule import Schedule
from streams.stores.sync_state import ANY_VERSION, ClaimRequest, SyncStates
from tests.contract.stores.databases import Database
from tests.contract.stores.point_of_sale import SOLD, PointOfSale, accepted, decided, pending, refused
from tests.support.decided_sales import BODY, FAR, KEPT, ZONE, decision_writer_on, sold_and_refused

OpenDb: TypeAlias = Callable[..., Awaitable[SalesDb]]
HASH = hashlib.sha256(BODY.encode()).hexdigest()
OTHER_HASH = hashlib.sha256(b"another version").hexdigest()


@pytest.fixture
def decision_writer(db: SalesDb) -> DecisionWriter:
    return decision_writer_on(db)


async def apply(decision_writer: DecisionWriter, *items: StatusMessage) -> set[int]:
    return await decision_writer.apply(SALE.name, items)


def text(code: Code) -> str:
    message = status_reason(Reason(code)).message
    return f"{message.vi}\n{message.en}"


async def sold(point_of_sale: PointOfSale, id_: int = 1, **sync: Any) -> None:
    """Add a sale that is being sent: attempt 1, its lease running."""
    await point_of_sale.sell(id_)
    await point_of_sale.sync(
        id_, **{"attempt": 1, "lease_until": FAR, "next_attempt_at": FAR, "sent_hash": HASH} | sync
    )


async def test_an_acceptance_is_written_into_the_row(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold(point_of_sale)
    assert await apply(decision_writer, accepted(1, 1, "HD_QG_Ệ1")) == {1}
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["status"], row["national_invoice_id"], row["sync_response_message"]) == (
        "SYNC_SUCCESS",
        "HD_QG_Ệ1",
        None,
    )
    assert (state["published_attempt"], state["ever_accepted"], state["reason_code"]) == (1, 1, None)
    assert (state["lease_until"], state["next_attempt_at"]) == (0, None)
    assert (state["attempt"], state["sent_hash"]) == (1, HASH)  # what is held stays known


async def test_an_acceptance_without_an_id_has_the_reason_in_the_row(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold(point_of_sale)
    await apply(decision_writer, decided(1, 1, "SYNC_SUCCESS", code=Code.ID_UNKNOWN))
    row = await point_of_sale.row(1)
    assert (row["status"], row["national_invoice_id"]) == ("SYNC_SUCCESS", None)
    assert row["sync_response_message"] == text(Code.ID_UNKNOWN)
    assert (await point_of_sale.state(1))["reason_code"] == "id_unknown"


async def test_a_refusal_is_written_with_our_text_and_the_apis(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold_and_refused(point_of_sale, 1)
    assert await apply(decision_writer, refused(1, 1)) == {1}
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert row["status"] == "SYNC_FAILED"
    assert row["sync_response_message"] == f"{text(Code.API_REFUSED)}\nAPI: Sai mã thuốc"
    assert (state["published_attempt"], state["ever_accepted"], state["reason_code"]) == (1, 0, "api_refused")
    assert (state["lease_until"], state["next_attempt_at"]) == (0, None)


@pytest.mark.parametrize("kept", [{"refused_attempt": 1, **KEPT}, {"refused_attempt": 2, "refused_body": BODY}, {}])
async def test_the_apis_text_for_another_attempt_is_not_written(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, kept: dict[str, Any]
) -> None:
    await sold(point_of_sale, attempt=2, **kept)
    await apply(decision_writer, refused(1, 2, Code.RULES_BROKEN))
    assert (await point_of_sale.row(1))["sync_response_message"] == text(Code.RULES_BROKEN)


async def test_a_pending_decision_is_written_with_reason_and_next_attempt(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold(point_of_sale)
    assert await apply(decision_writer, pending(1, 1, FAR + 123)) == {1}
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["status"], row["national_invoice_id"]) == ("PENDING_SYNC", None)
    assert row["sync_response_message"] == text(Code.UNREACHABLE)
    assert (state["published_attempt"], state["reason_code"], state["next_attempt_at"]) == (1, "unreachable", FAR + 123)


@pytest.mark.parametrize(
    ("sent_hash", "next_at", "lease"),
    [
        (HASH, FAR, FAR),  # it may be held: until then "not held" proves nothing
        (ANY_VERSION, FAR + 1, FAR),
        (HASH, FAR - 1, 0),  # it is to be looked at before: the lease would only be in the way
        (None, FAR + 1, 0),  # nothing was sent
    ],
)
async def test_a_pending_sale_keeps_its_lease_only_while_it_may_be_stored(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, sent_hash: str | None, next_at: int, lease: int
) -> None:
    await sold(point_of_sale, sent_hash=sent_hash)
    await apply(decision_writer, pending(1, 1, next_at))
    state = await point_of_sale.state(1)
    assert (state["lease_until"], state["next_attempt_at"]) == (lease, next_at)


async def test_a_decision_published_twice_is_written_once(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold(point_of_sale)
    assert await apply(decision_writer, accepted(1, 1)) == {1}
    await point_of_sale.run("UPDATE dbo.SalesInvoices SET sync_response_message = 'seen', updated_at = ?", SOLD)
    before = await point_of_sale.row(1), await point_of_sale.state(1)
    assert await apply(decision_writer, accepted(1, 1)) == set()
    assert (await point_of_sale.row(1), await point_of_sale.state(1)) == before


@pytest.mark.parametrize("late", [refused(1, 1), accepted(1, 1, "QG-old"), pending(1, 1, FAR), pending(1, 2, FAR)])
@pytest.mark.parametrize("final_decision", [accepted(1, 2, "QG-new"), refused(1, 2)])
async def test_an_older_decision_never_overwrites_a_final_one(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, final_decision: StatusMessage, late: StatusMessage
) -> None:
    """Promise 2. Broken by: an older decision that is published again overwrites a later one."""
    await sold(point_of_sale, attempt=2, sent_hash=None)
    await apply(decision_writer, final_decision)
    before = await point_of_sale.row(1), await point_of_sale.state(1)
    assert await apply(decision_writer, late) == set()
    assert (await point_of_sale.row(1), await point_of_sale.state(1)) == before


async def test_a_newer_decision_overwrites_an_older_one(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold(point_of_sale)
    await apply(decision_writer, pending(1, 1, FAR))
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 2, lease_until = ?", FAR)
    assert await apply(decision_writer, refused(1, 2)) == {1}
    await point_of_sale.set_status(1, "PENDING_SYNC")  # asked again
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 3, lease_until = ?", FAR)
    assert await apply(decision_writer, accepted(1, 3, "QG-3")) == {1}
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["status"], row["national_invoice_id"], row["sync_response_message"]) == ("SYNC_SUCCESS", "QG-3", None)
    assert (state["published_attempt"], state["reason_code"], state["lease_until"]) == (3, None, 0)


async def test_a_late_decision_leaves_a_newer_claim_alone(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    """The decision is new although it comes late: attempt 3 is running already."""
    await sold(point_of_sale, attempt=3)
    assert await apply(decision_writer, pending(1, 2, 5)) == {1}
    state = await point_of_sale.state(1)
    assert (state["published_attempt"], state["lease_until"], state["next_attempt_at"]) == (2, FAR, FAR)
    await point_of_sale.set_status(1, "PENDING_SYNC")
    assert await apply(decision_writer, accepted(1, 3)) == {1}
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"


async def is_requested_again(point_of_sale: PointOfSale) -> None:
    """Check that the sale is pending and due, so that the next attempt's decision is the last one in row and topic."""
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["status"], state["lease_until"], state["tries"]) == ("PENDING_SYNC", 0, 0)
    assert abs(state["next_attempt_at"] - await point_of_sale.db.now_ms()) < 10_000
    assert [due.id for due in await Schedule(point_of_sale.db, SALE).due(10, 0)] == [1]


async def test_a_late_acceptance_overrides_a_failure_of_the_same_body(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    """On the topic the failure, of the higher attempt, is the last message until the sale is requested again."""
    body = await sold_and_refused(point_of_sale, 2)
    await apply(decision_writer, refused(1, 2))
    assert await apply(decision_writer, accepted(1, 1, "QG-1", body.hash)) == {1}
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["national_invoice_id"], row["sync_response_message"]) == ("QG-1", None)
    assert (state["published_attempt"], state["ever_accepted"], state["reason_code"]) == (2, 1, None)
    await is_requested_again(point_of_sale)
    assert await apply(decision_writer, accepted(1, 1, "QG-1", body.hash)) == set()


async def test_a_late_failure_does_not_override_an_acceptance_of_the_same_body(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    body = await sold_and_refused(point_of_sale, 2)
    assert await apply(decision_writer, accepted(1, 1, "QG-1", body.hash)) == {1}
    before = await point_of_sale.row(1)
    assert before["status"] == "SYNC_SUCCESS"
    assert await apply(decision_writer, refused(1, 2)) == {1}
    assert await point_of_sale.row(1) == before | {"status": "PENDING_SYNC"}
    state = await point_of_sale.state(1)
    assert (state["published_attempt"], state["ever_accepted"], state["reason_code"]) == (2, 1, None)
    await is_requested_again(point_of_sale)


@pytest.mark.parametrize("final_decision", [accepted(1, 1, "QG-1"), refused(1, 1), refused(1, 1, Code.RULES_BROKEN)])
async def test_a_pending_decision_after_an_unknown_final_one_requests_the_sale_again(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, final_decision: StatusMessage
) -> None:
    """The final decision was written later than its lease allowed: attempt 2 was claimed, and did not get through.

    Promise 2. Broken by: a pending decision that overtook a final one stays the last published, although the row
    has the final one.
    """
    await sold(point_of_sale, attempt=2, sent_hash=HASH)
    assert await apply(decision_writer, final_decision) == {1}
    assert (await point_of_sale.row(1))["status"] == final_decision.status.status
    assert await apply(decision_writer, pending(1, 2, FAR + 5)) == {1}
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["status"], row["sync_response_message"]) == ("PENDING_SYNC", text(Code.UNREACHABLE))
    assert (row["national_invoice_id"], state["ever_accepted"]) == (
        ("QG-1", 1) if final_decision.status.status == "SYNC_SUCCESS" else (None, 0)
    )
    assert (state["next_attempt_at"], state["reason_code"]) == (FAR + 5, "unreachable")
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 3, lease_until = ?", FAR)
    await apply(decision_writer, accepted(1, 3, "QG-1"))
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"


async def test_a_failure_after_an_acceptance_stays_when_the_acceptance_is_published_again(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    """The sale was withdrawn by hand, requested again and refused, by an attempt that knew of the acceptance."""
    body = await sold_and_refused(point_of_sale, 1)
    await apply(decision_writer, accepted(1, 1, "QG-1", body.hash))
    await point_of_sale.set_status(1, "PENDING_SYNC")
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 2, refused_attempt = 2, lease_until = ?", FAR)
    assert await apply(decision_writer, refused(1, 2)) == {1}
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"
    assert await apply(decision_writer, accepted(1, 1, "QG-1", body.hash)) == set()
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


async def test_a_failure_with_an_older_version_stored_overrides_its_acceptance(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    """The sale was edited between the attempts, and the look-up of the second one found what the first had sent."""
    older = await sold_and_refused(point_of_sale, 2)
    await apply(decision_writer, accepted(1, 1, "QG-1", older.hash))
    await apply(decision_writer, decided(1, 2, "SYNC_FAILED", code=Code.OLDER_VERSION_STORED, national_id="QG-1"))
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_an_acceptance_of_another_version_never_hides_a_refusal_of_the_current_one(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, order: tuple[int, int]
) -> None:
    await sold_and_refused(point_of_sale, 2)
    decisions = (accepted(1, 1, "QG-1", OTHER_HASH), refused(1, 2))
    for which in order:
        await apply(decision_writer, decisions[which])
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


@pytest.mark.parametrize("body_hash", [OTHER_HASH, None])
async def test_a_late_acceptance_does_not_override_a_failure_of_another_body(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, body_hash: str | None
) -> None:
    await sold_and_refused(point_of_sale, 2)
    await apply(decision_writer, refused(1, 2))
    assert await apply(decision_writer, accepted(1, 1, "QG-1", body_hash)) == set()
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["status"], row["national_invoice_id"], state["ever_accepted"]) == ("SYNC_FAILED", None, 0)


async def test_a_late_acceptance_does_not_override_a_failure_whose_body_was_never_sent(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold(point_of_sale, attempt=2)
    await apply(decision_writer, refused(1, 2, Code.RULES_BROKEN))
    assert await apply(decision_writer, accepted(1, 1, "QG-1", HASH)) == set()
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


async def test_a_late_acceptance_does_not_override_a_later_failure_that_kept_no_body(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    """Attempt 2 was refused; then the sale was changed and requested again, and our own refusal kept no body."""
    await sold(point_of_sale, attempt=3, published_attempt=2, refused_attempt=2, **KEPT)
    await apply(decision_writer, refused(1, 3, Code.OLDER_VERSION_STORED))
    assert await apply(decision_writer, accepted(1, 1, "QG-1", HASH)) == set()
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


@pytest.mark.parametrize("status", ["PENDING_SYNC", "CANCELLED"])
async def test_a_late_acceptance_does_not_override_what_a_person_set_since(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, status: str
) -> None:
    await sold(point_of_sale, attempt=2, refused_attempt=2, **KEPT)
    await apply(decision_writer, refused(1, 2))
    await point_of_sale.set_status(1, status)
    assert await apply(decision_writer, accepted(1, 1, "QG-1", HASH)) == set()
    assert (await point_of_sale.row(1))["status"] == status


@pytest.mark.parametrize("decision", [accepted(1, 1), refused(1, 1), pending(1, 1, FAR)])
async def test_a_status_that_belongs_to_the_point_of_sale_is_left_alone(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, decision: StatusMessage
) -> None:
    await sold(point_of_sale)
    await point_of_sale.set_status(1, "CANCELLED")
    before = await point_of_sale.row(1)
    await apply(decision_writer, decision)
    assert await point_of_sale.row(1) == before
    assert (await point_of_sale.state(1))["published_attempt"] == 1  # it is done with all the same


@pytest.mark.parametrize("status", ["SYNC_SUCCESS", "SYNC_FAILED"])
async def test_a_pending_decision_does_not_overwrite_a_final_status_that_a_person_set(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, status: str
) -> None:
    await sold(point_of_sale, attempt=2)
    await apply(decision_writer, pending(1, 1, FAR))
    await point_of_sale.set_status(1, status)
    before = await point_of_sale.row(1)
    await apply(decision_writer, pending(1, 2, FAR))
    assert await point_of_sale.row(1) == before


async def test_a_national_id_is_never_erased(decision_writer: DecisionWriter, point_of_sale: PointOfSale) -> None:
    await sold(point_of_sale)
    await apply(decision_writer, accepted(1, 1, "QG-1"))
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 2")
    await apply(decision_writer, refused(1, 2))
    assert (await point_of_sale.row(1))["national_invoice_id"] == "QG-1"
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 3")
    await apply(decision_writer, accepted(1, 3, None))
    assert (await point_of_sale.row(1))["national_invoice_id"] == "QG-1"
    assert (await point_of_sale.state(1))["ever_accepted"] == 1


async def test_ever_accepted_is_never_reset(decision_writer: DecisionWriter, point_of_sale: PointOfSale) -> None:
    await sold(point_of_sale, attempt=2, published_attempt=1, ever_accepted=1)
    await apply(decision_writer, refused(1, 2))
    assert (await point_of_sale.state(1))["ever_accepted"] == 1


async def test_a_failure_with_an_older_version_stored_has_its_national_id(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold(point_of_sale)
    await apply(decision_writer, decided(1, 1, "SYNC_FAILED", code=Code.OLDER_VERSION_STORED, national_id="QG-old"))
    row = await point_of_sale.row(1)
    assert (row["status"], row["national_invoice_id"]) == ("SYNC_FAILED", "QG-old")


async def test_updated_at_is_the_pharmacys_local_time(
    decision_writer: DecisionWriter, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    for id_, decision in enumerate((accepted(1, 1), pending(2, 1, FAR)), start=1):
        await sold(point_of_sale, id_)
        await apply(decision_writer, decision)
        row = await point_of_sale.row(id_)
        now = datetime.now(ZONE).replace(tzinfo=None)
        assert timedelta(seconds=-1) < now - row["updated_at"] < timedelta(seconds=10)
        assert (row["sale_date"], row["created_at"]) == (SOLD, SOLD)
    utc = DecisionWriter(db, {SALE.name: SALE}, ZoneInfo("UTC"))
    await sold(point_of_sale, 3)
    await apply(utc, accepted(3, 1))
    assert timedelta(hours=6.9) < now - (await point_of_sale.row(3))["updated_at"] < timedelta(hours=7.1)


async def test_a_full_batch_of_different_decisions_is_written(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    ids = list(range(1, 101))
    await point_of_sale.sell(*ids, 101, 102)
    await point_of_sale.syncs([i for i in ids if i % 5 != 4], attempt=1, lease_until=FAR, sent_hash=HASH)
    await point_of_sale.syncs([i for i in ids if i % 5 == 4], attempt=3, published_attempt=2, lease_until=FAR)
    await point_of_sale.syncs([101], attempt=1, lease_until=FAR)

    def decision(id_: int) -> StatusMessage:
        match id_ % 5:
            case 0:
                return accepted(id_, 1, f"QG-{id_}")
            case 1:
                return refused(id_, 1)
            case 2:
                return pending(id_, 1, FAR + id_)
            case 3:
                return decided(id_, 1, "SYNC_SUCCESS", code=Code.ID_UNKNOWN)
            case _:
                return refused(id_, 2)  # no news

    assert await apply(decision_writer, *map(decision, ids)) == {i for i in ids if i % 5 != 4}
    rows = {r["id"]: r for r in await point_of_sale.rows("SELECT * FROM dbo.SalesInvoices")}
    states = {r["id"]: r for r in await point_of_sale.rows("SELECT * FROM dbo.SaleSync")}
    expected = {
        0: ("SYNC_SUCCESS", None, None),
        1: ("SYNC_FAILED", text(Code.API_REFUSED), "api_refused"),
        2: ("PENDING_SYNC", text(Code.UNREACHABLE), "unreachable"),
        3: ("SYNC_SUCCESS", text(Code.ID_UNKNOWN), "id_unknown"),
        4: ("PENDING_SYNC", None, None),
    }
    for id_ in ids:
        row, state, variant = rows[id_], states[id_], id_ % 5
        assert (row["status"], row["sync_response_message"], state["reason_code"]) == expected[variant]
        assert row["national_invoice_id"] == (f"QG-{id_}" if variant == 0 else None)
        assert state["next_attempt_at"] == (FAR + id_ if variant == 2 else None)
        assert state["lease_until"] == (FAR if variant in (2, 4) else 0)
        assert state["ever_accepted"] == (1 if variant in (0, 3) else 0)
    assert rows[101]["status"] == rows[102]["status"] == "PENDING_SYNC"
    assert states[101]["lease_until"] == FAR


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
async def test_the_latest_of_several_decisions_in_a_batch_is_written(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, order: tuple[int, ...]
) -> None:
    await sold(point_of_sale, attempt=3)
    decisions = (pending(1, 1, FAR), accepted(1, 3, "QG-3"), refused(1, 2))
    assert await apply(decision_writer, *(decisions[i] for i in order)) == {1}
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"
    assert (await point_of_sale.state(1))["published_attempt"] == 3


async def test_an_unclaimed_sale_and_one_of_another_document_type_are_left_alone(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2)
    await point_of_sale.run("INSERT INTO dbo.SaleSync (document_type, id, attempt) VALUES ('other', 2, 1)")
    before = await point_of_sale.row(1), await point_of_sale.row(2)
    assert await apply(decision_writer, accepted(1, 1), accepted(2, 1)) == set()
    assert (await point_of_sale.row(1), await point_of_sale.row(2)) == before
    assert await point_of_sale.rows("SELECT published_attempt FROM dbo.SaleSync") == [{"published_attempt": 0}]


async def test_a_batch_that_the_database_refuses_writes_nothing(
    decision_writer: DecisionWriter, database: Database, point_of_sale: PointOfSale
) -> None:
    await sold(point_of_sale, 1)
    await sold(point_of_sale, 2)
    await database.refuse(2, "trigger")
    before = await point_of_sale.state(1), await point_of_sale.state(2)
    with pytest.raises(StoreError):
        await apply(decision_writer, accepted(1, 1), accepted(2, 1))
    assert (await point_of_sale.row(1))["status"] == "PENDING_SYNC"
    assert (await point_of_sale.state(1), await point_of_sale.state(2)) == before


DECISIONS = (pending(1, 1, FAR), refused(1, 2), pending(1, 3, FAR), accepted(1, 4, "QG-4"))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_two_writers_reach_the_same_result_in_any_order(
    open_db: OpenDb, db: SalesDb, point_of_sale: PointOfSale, order: tuple[int, ...]
) -> None:
    await sold(point_of_sale, attempt=4)
    for number, index in enumerate(order):
        await decision_writer_on(await open_db() if number < 2 else db).apply(SALE.name, [DECISIONS[index]])
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["status"], row["national_invoice_id"], row["sync_response_message"]) == ("SYNC_SUCCESS", "QG-4", None)
    assert (state["published_attempt"], state["ever_accepted"], state["reason_code"]) == (4, 1, None)
    assert (state["lease_until"], state["next_attempt_at"]) == (0, None)


async def test_two_concurrent_writers_reach_the_same_result(open_db: OpenDb, point_of_sale: PointOfSale) -> None:
    writers = [decision_writer_on(await open_db()) for _ in range(2)]
    ids = list(range(1, 41))
    await point_of_sale.sell(*ids)
    await point_of_sale.syncs(ids, attempt=4, lease_until=FAR)
    news: list[int] = []

    async def write(writer: DecisionWriter, attempts: tuple[int, ...]) -> None:
        for attempt in attempts:
            batch = [(refused if attempt < 4 else accepted)(id_, attempt) for id_ in ids]
            news.extend(await apply(writer, *batch))

    await asyncio.gather(write(writers[0], (1, 3, 4, 2)), write(writers[1], (2, 4, 1, 3)))
    assert {r["status"] for r in await point_of_sale.rows("SELECT status FROM dbo.SalesInvoices")} == {"SYNC_SUCCESS"}
    states = await point_of_sale.rows("SELECT published_attempt, lease_until FROM dbo.SaleSync")
    assert states == [{"published_attempt": 4, "lease_until": 0}] * 40
    assert sorted(set(news)) == ids


async def test_a_claim_is_kept_published_and_claimed_again(
    decision_writer: DecisionWriter, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    states = SyncStates(db, lease_ms=60_000)
    (claim,) = await states.claim(SALE.name, SALE.table, [ClaimRequest(1, 0, HASH, 1, 1)])
    assert claim is not None
    await states.keep_refusal(SALE.name, claim, sent_hash=None, body=BODY, text="Sai")
    assert await decision_writer.refusals(SALE.name, [1, 2]) == {1: Refusal(1, BODY, "Sai")}
    await apply(decision_writer, refused(1, 1))
    assert (await point_of_sale.row(1))["sync_response_message"].endswith("\nAPI: Sai")
    (again,) = await states.claim(SALE.name, SALE.table, [ClaimRequest(1, 1, HASH, 2, 1)])
    assert again is not None
    assert again.attempt == 2


async def test_the_refusals_of_a_whole_journal_batch_are_read(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    ids = list(range(1, 501))
    await point_of_sale.sell(*ids)
    await point_of_sale.syncs(ids, refused_attempt=1, **KEPT)
    assert await decision_writer.refusals(SALE.name, ids) == {i: Refusal(1, BODY, "Sai mã thuốc") for i in ids}
    assert await decision_writer.refusals("other", ids) == {}
    assert await decision_writer.refusals(SALE.name, []) == {}
