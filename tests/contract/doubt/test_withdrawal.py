"""Tests every way into doubt of a withdrawal with every rule that leads out of it, and each order of sending and
withdrawing: the decision, the calls, and that both sides agree.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import DocumentType
from streams.domain.change_event import Origin
from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import Code
from streams.local.simulator import presets, zoo
from streams.local.simulator.faults import Fault
from tests.contract.doubt.test_answers_of_others import says
from tests.contract.doubt.test_doubt import NEVER, PATIENCES, Row, Way
from tests.contract.doubt.world import CODE, ID, World, world

MISSING = ("404", "refuse", "accept")
"""What a second DELETE does where nothing is stored any more."""
PAGE = presets.html(405)
WAYS = (
    Way("timed out after it was carried out", True, presets.slow_to_answer(NEVER), late=True),
    Way("timed out without", False, Fault(until_gone=True, accept=False), late=True),
    Way("carried out after the client gave up", True, presets.accept_after_client_is_gone(0.1), late=True),
    Way("cut after it was carried out", True, presets.cut_after_accepting()),
    Way("cut without", False, presets.cut_before_accepting()),
    Way("502 after it was carried out", True, presets.status(502, accept=True)),
    Way("503 without", False, presets.status(503)),
    Way("a page after it was carried out", True, presets.html(accept=True)),
    Way("a gateway's 405 without", False, PAGE),
    Way("killed after it was carried out", True, dies_after="withdraw"),
    Way("killed without", False, presets.cut_before_accepting(), dies_after="withdraw"),
    Way("killed before it was published", True, dies_after="record"),
)
UNCLEAR = ("a page after it was carried out", "a gateway's 405 without")
"""Ways whose first attempt looks the document up, as something has answered."""
NEVER_SENT = "never sent"
ROWS = (
    Row("stored as sent", ["look_up"], ["look_up", "withdraw"]),
    Row("the row has changed", ["look_up"], ["look_up", "withdraw"], edit={"quantity": 7}),
    Row("the row breaks a rule now", ["look_up"], ["look_up", "withdraw"], edit={"dosage": ""}),
    Row(NEVER_SENT, ["look_up"], ["look_up"]),
    Row("no answer at first", ["look_up", "withdraw", "look_up"], ["look_up", "withdraw"], answers_at=2),
    Row("look-up: 405", ["look_up", "withdraw"], ["look_up", "withdraw"], {"look_up": "405"}),
    Row("look-up not offered, says a setting", ["withdraw"], ["withdraw"], settings={"look_up_offered": False}),
)


@pytest.fixture
async def opened(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(tmp_path, **getattr(request, "param", {})) as made:
        yield made


def cases() -> list[Any]:
    return [
        pytest.param(row.settings, way, row, missing, id=f"{way.name}; {row.name}; DELETE of nothing: {missing}")
        for way in WAYS
        for row in ROWS
        for missing in MISSING
        if missing == "404" or "withdraw" in row.if_stored
    ]


@pytest.mark.parametrize(("opened", "way", "row", "missing"), cases(), indirect=["opened"])
async def test_every_withdrawal_in_doubt_ends_with_nothing_stored(
    opened: World, way: Way, row: Row, missing: str
) -> None:
    await withdraw_in_doubt(opened, way, row, missing)


async def withdraw_in_doubt(opened: World, way: Way, row: Row, missing: str) -> None:
    await opened.control.change_behaviour(withdraw_missing=missing, **row.behaviour)
    carried_out = way.accepted and row.name != NEVER_SENT
    await into_doubt(opened, way, row)
    assert not await opened.is_due(), "the DELETE may still be under way"
    calls: list[str] = []
    for _ in range(4):
        if await opened.status() != "PENDING_CANCEL":
            break
        await opened.time_passes()
        calls += await opened.calls()
    expected = list(row.if_stored if way.accepted else row.if_not)
    if way.name in UNCLEAR and "look_up" in row.behaviour:
        expected.remove("look_up")  # that it is not offered was heard in the first attempt
    if row.answers_at > 1 and way.name in UNCLEAR:
        expected = ["look_up"] if way.accepted else ["look_up", "withdraw"]  # the one in vain was in the first attempt
    if missing == "accept" and row.answers_at > 1 and carried_out and way.name not in UNCLEAR:
        expected = ["look_up", "withdraw"]
    assert calls == expected
    assert await opened.status() == "CANCELLED"
    assert opened.withdrawn() == (row.name != NEVER_SENT)
    await opened.assert_agreed()


async def into_doubt(opened: World, way: Way, row: Row) -> None:
    if row.name != NEVER_SENT:
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_SUCCESS"
    await opened.edit(**row.edit)
    if way.fault:
        await opened.control.add_rule(way.fault, "withdraw", times=1)
    if row.answers_at > 1:
        await opened.control.add_rule(presets.status(503), "look_up", times=row.answers_at - 1)
    await opened.calls()
    opened.api.dies_after = way.dies_after
    opened.api.patience = PATIENCES[0] if way.late else None
    await opened.cancelled()
    for opened.api.patience in PATIENCES[1:] if way.late else ():
        if "withdraw" in await opened.calls():
            break
        await opened.time_passes()
    opened.api.patience = None
    if way.accepted and row.name != NEVER_SENT:
        await opened.until(opened.withdrawn)
    await opened.calls()
    assert await opened.status() == "PENDING_CANCEL"


REPRESENTATIVE_WAYS = ("timed out after it was carried out", "cut without", "killed after it was carried out")
REPRESENTATIVE_ROWS = ("stored as sent", NEVER_SENT, "look-up: 405")


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES[1:], ids=lambda each: each.name)
@pytest.mark.parametrize("row", [row for row in ROWS if row.name in REPRESENTATIVE_ROWS], ids=lambda row: row.name)
@pytest.mark.parametrize("way", [way for way in WAYS if way.name in REPRESENTATIVE_WAYS], ids=lambda way: way.name)
async def test_receipts_and_issues_are_withdrawn_as_sales_are(
    tmp_path: Path, document_type: DocumentType, way: Way, row: Row
) -> None:
    async with world(tmp_path, document_type, **row.settings) as opened:
        await withdraw_in_doubt(opened, way, row, "404")
        assert {seen.kind for seen in opened.simulated.seen.of(CODE)} == {document_type.name}


# --- what ends a withdrawal, and what does not


async def test_an_accepted_sale_is_withdrawn_with_one_call(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.calls()
    await opened.cancelled()
    assert await opened.calls() == ["withdraw"]
    row = await opened.point_of_sale.row(ID)
    assert (row["status"], row["national_invoice_id"], row["sync_response_message"]) == ("CANCELLED", None, None)
    await opened.assert_agreed()


async def test_a_refused_withdrawal_fails_with_the_text_of_the_system_and_can_be_requested_again(
    opened: World,
) -> None:
    await opened.request(Origin.INSERTED)
    national_id = (await opened.point_of_sale.row(ID))["national_invoice_id"]
    await opened.calls()
    rule = await opened.control.add_rule(says(400, {"code": 400, "mess": "Đã quá hạn hủy hóa đơn"}), "withdraw")
    await opened.cancelled()
    assert await opened.calls() == ["withdraw", "look_up"]
    row = await opened.point_of_sale.row(ID)
    assert (row["status"], row["national_invoice_id"]) == ("CANCEL_FAILED", national_id)
    assert row["sync_response_message"].endswith("API: Đã quá hạn hủy hóa đơn")
    assert "không cho hủy" in row["sync_response_message"]
    assert opened.reason() == Reason(Code.API_REFUSED, 400)
    await opened.assert_agreed()
    await opened.control.clear_rules(rule)
    await opened.cancelled()
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


async def test_a_sale_that_was_withdrawn_by_hand_counts_as_withdrawn(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.control.add_rule(says(400, {"code": 400, "mess": "Hóa đơn đã hủy"}, accept=True), "withdraw")
    await opened.cancelled()
    assert await opened.status() == "CANCELLED", "refused, and the look-up shows nothing"
    await opened.assert_agreed()


@pytest.mark.parametrize("opened", [{"look_up_offered": False}], indirect=True)
async def test_a_refusal_without_a_look_up_is_a_refusal(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.control.add_rule(says(400, {"code": 400, "mess": "Đã quá hạn hủy hóa đơn"}), "withdraw")
    await opened.cancelled()
    assert await opened.status() == "CANCEL_FAILED"
    await opened.assert_agreed()


async def test_no_such_document_against_a_look_up_that_shows_it_is_a_refusal_the_second_time(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.control.add_rule(says(404, {"code": 404, "mess": "Không tìm thấy dữ liệu"}), "withdraw")
    await opened.cancelled()
    assert opened.reason() == Reason(Code.CONTRADICTORY_ANSWERS)
    assert await opened.status() == "PENDING_CANCEL"
    await opened.time_passes()
    assert opened.reason() == Reason(Code.API_REFUSED, 404)
    assert await opened.status() == "CANCEL_FAILED"
    await opened.assert_agreed()


@pytest.mark.parametrize("status", [200, 403, 405])
async def test_a_withdrawal_that_a_firewall_never_lets_through_fails_after_the_time_limit(
    opened: World, status: int
) -> None:
    await opened.request(Origin.INSERTED)
    await opened.control.add_rule(presets.html(status), "withdraw")
    await opened.cancelled()
    await opened.time_passes()
    row = await opened.point_of_sale.row(ID)
    assert row["status"] == "PENDING_CANCEL"
    assert f"HTTP {status}" in row["sync_response_message"]
    assert opened.reason() == Reason(Code.NOT_TAKEN, status)
    assert opened.gate.is_open, "one document's problem is nobody else's"
    await opened.days_pass()
    await opened.calls()
    await opened.time_passes()
    assert await opened.calls() == ["look_up"]
    assert opened.reason() == Reason(Code.NEVER_TAKEN, status)
    row = await opened.point_of_sale.row(ID)
    assert row["status"] == "CANCEL_FAILED"
    assert "DELETE" in row["sync_response_message"]
    await opened.assert_agreed()


@pytest.mark.parametrize(
    "fault", [presets.status(500), presets.cut_before_accepting(), presets.status(429)], ids=["500", "cut", "429"]
)
async def test_no_other_reason_fails_a_withdrawal_by_time(opened: World, fault: Fault) -> None:
    await opened.request(Origin.INSERTED)
    rule = await opened.control.add_rule(fault, "withdraw")
    await opened.cancelled()
    await opened.days_pass()
    for _ in range(3):
        await opened.time_passes()
        assert await opened.status() == "PENDING_CANCEL"
    await opened.control.clear_rules(rule)
    await opened.time_passes()
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


@pytest.mark.parametrize("opened", [{"settle_after_outage": 600}], indirect=True)
async def test_a_sale_in_doubt_counts_as_withdrawn_only_later_after_an_outage(opened: World) -> None:
    """It may have been accepted, and be invisible for a while."""
    await opened.control.add_rule(presets.cut_before_accepting(), "create", times=1)
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    await opened.time_passes()
    assert opened.reason() == Reason(Code.NOT_YET_SHOWN)
    opened.gate.answers_since = float("-inf")
    await opened.point_of_sale.run("UPDATE dbo.SaleSync SET sent_at = 1")
    await opened.time_passes()
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


@pytest.mark.parametrize("answer", [Fault(accept=False, status=401), says(200, {"code": 401, "mess": "Hết phiên"})])
async def test_a_withdrawal_with_an_expired_token_is_repeated_with_a_new_one(opened: World, answer: Fault) -> None:
    await opened.request(Origin.INSERTED)
    await opened.calls()
    await opened.control.add_rule(answer, "withdraw", times=1)
    await opened.cancelled()
    assert await opened.calls() == ["withdraw", "withdraw"]
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


async def test_a_withdrawal_waits_for_an_account_and_for_a_reachable_system(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.run("UPDATE dbo.AccountShop SET status = 0")
    await opened.cancelled()
    assert opened.reason() == Reason(Code.NO_ACCOUNT)
    row = await opened.point_of_sale.row(ID)
    assert row["status"] == "PENDING_CANCEL"
    assert "sẽ tự được hủy" in row["sync_response_message"]
    await opened.point_of_sale.run("UPDATE dbo.AccountShop SET status = 1")
    await opened.time_passes()
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


async def test_a_sale_without_lines_is_withdrawn(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.run("DELETE FROM dbo.SalesInvoiceDetails")
    await opened.cancelled()
    assert await opened.status() == "CANCELLED"


@pytest.mark.parametrize("code", [" ", "..", "HD/.."])
async def test_a_code_that_is_no_part_of_an_address_is_never_put_into_a_delete(opened: World, code: str) -> None:
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = ?", code)
    await opened.cancelled()
    assert opened.simulated.seen.counts["withdraw"] == 0
    assert await opened.status() == "CANCEL_FAILED"
    reason = opened.reason()
    assert reason is not None
    assert reason.code is Code.RULES_BROKEN


async def test_no_answer_of_the_zoo_ends_a_withdrawal(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    for entry in zoo.fitting("withdraw"):
        rule = await opened.control.add_rule(presets.from_zoo(entry), "withdraw")
        await opened.time_passes()
        assert await opened.status() == "PENDING_CANCEL", entry.name
        await opened.control.clear_rules(rule)
    assert len(list(opened.simulated.ledger.standing(CODE))) == 1
    await opened.time_passes()
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


# --- sending and withdrawing, in every order


async def test_a_withdrawn_sale_that_is_pending_again_is_looked_up_and_created(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    first = (await opened.point_of_sale.row(ID))["national_invoice_id"]
    await opened.cancelled()
    await opened.calls()
    await opened.requested_again()
    assert await opened.calls() == ["look_up", "create"]
    row = await opened.point_of_sale.row(ID)
    assert row["status"] == "SYNC_SUCCESS"
    assert row["national_invoice_id"] not in (None, first)
    await opened.assert_agreed()
    await opened.cancelled()
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


async def test_a_withdrawn_sale_that_is_accepted_without_an_id_does_not_show_the_earlier_one(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.cancelled()
    await opened.control.change_behaviour(accepted_answer="no_id", look_up_id="none")
    await opened.requested_again()
    row = await opened.point_of_sale.row(ID)
    assert (row["status"], row["national_invoice_id"]) == ("SYNC_SUCCESS", None)
    assert opened.reason() == Reason(Code.ID_UNKNOWN)


async def test_a_sale_that_is_to_be_withdrawn_while_it_is_sent_is_withdrawn_next(opened: World) -> None:
    """Promise 1. Broken by: a withdrawal that was requested while the sale was being sent waits until something else
    brings it.
    """
    async with opened.in_flight():
        await opened.cancelled()  # nobody can claim it now
    assert await opened.calls() == ["create"]
    assert await opened.status() == "PENDING_CANCEL"
    row = await opened.point_of_sale.row(ID)
    assert row["national_invoice_id"] is not None
    assert await opened.is_due(), "at once"
    await opened.time_passes()
    assert await opened.calls() == ["withdraw"]
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


async def test_a_sale_that_is_pending_again_while_it_is_withdrawn_is_sent_next(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    await opened.calls()
    async with opened.in_flight(opened.withdrawn, Origin.REQUESTED_AGAIN):
        await opened.point_of_sale.set_status(ID, "PENDING_SYNC")
        await opened.request(Origin.REQUESTED_AGAIN)  # nobody can claim it now
    assert await opened.calls() == ["withdraw"]
    assert await opened.status() == "PENDING_SYNC"
    assert (await opened.point_of_sale.row(ID))["national_invoice_id"] is None
    assert await opened.is_due(), "at once"
    await opened.time_passes()
    assert await opened.calls() == ["look_up", "create"]
    assert await opened.status() == "SYNC_SUCCESS"
    await opened.assert_agreed()


async def test_a_sale_is_not_sent_again_while_its_withdrawal_may_be_under_way(opened: World) -> None:
    """Promise 2. Broken by: a withdrawal in doubt gives up its lease, so its DELETE may meet a sale that has been sent
    again.
    """
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    await opened.control.add_rule(presets.cut_before_accepting(), "withdraw")
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.set_status(ID, "PENDING_SYNC")
    await opened.request(Origin.REQUESTED_AGAIN)
    assert await opened.calls() == ["withdraw"]
    await opened.time_passes()
    assert await opened.calls() == ["look_up", "create"]
    assert await opened.status() == "SYNC_SUCCESS"
    await opened.assert_agreed()


async def test_the_row_says_what_is_done_whatever_the_event_said(opened: World) -> None:
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    await opened.request(Origin.INSERTED)  # of a row that was pending, to be sent
    assert await opened.calls() == ["withdraw", "look_up"]
    assert await opened.status() == "CANCELLED"
    await opened.request(Origin.REQUESTED_AGAIN)  # of the change to PENDING_CANCEL
    assert await opened.calls() == []
    await opened.assert_agreed()


REQUESTS = ("send", "withdraw", "send again", "withdraw again")


@pytest.mark.parametrize("order", list(itertools.permutations(REQUESTS)), ids=", ".join)
@pytest.mark.parametrize("in_between", [True, False], ids=["each attempted", "only the last attempted"])
async def test_what_was_requested_last_is_what_becomes_of_the_sale(
    opened: World, order: Sequence[str], in_between: bool
) -> None:
    for request in order:
        await opened.point_of_sale.set_status(ID, "PENDING_SYNC" if request.startswith("send") else "PENDING_CANCEL")
        if in_between or request == order[-1]:
            await opened.request(Origin.REQUESTED_AGAIN)
    assert await opened.status() == ("SYNC_SUCCESS" if order[-1].startswith("send") else "CANCELLED")
    await opened.assert_agreed()


@pytest.mark.parametrize("order", list(itertools.product(["send", "withdraw"], repeat=3)), ids=", ".join)
@pytest.mark.parametrize("fault", [presets.cut_after_accepting(), presets.cut_before_accepting()], ids=["done", "not"])
async def test_what_was_requested_last_is_what_becomes_of_a_sale_in_doubt(
    opened: World, order: Sequence[str], fault: Fault
) -> None:
    for request in order:
        rules = [await opened.control.add_rule(fault, call) for call in ("create", "replace", "withdraw")]
        await opened.point_of_sale.set_status(ID, "PENDING_SYNC" if request == "send" else "PENDING_CANCEL")
        await opened.request(Origin.REQUESTED_AGAIN)
        for rule in rules:
            await opened.control.clear_rules(rule)
    for _ in range(4):
        if not (await opened.status()).startswith("PENDING"):
            break
        await opened.time_passes()
    assert await opened.status() == ("SYNC_SUCCESS" if order[-1] == "send" else "CANCELLED")
    await opened.assert_agreed()


async def test_two_workers_with_the_same_request_withdraw_the_sale_once(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    await opened.calls()
    async with opened.in_flight(opened.withdrawn, Origin.REQUESTED_AGAIN):
        sender, opened.sender = opened.sender, opened.another
        await opened.request(Origin.REQUESTED_AGAIN)
        opened.sender = sender
    assert await opened.calls() == ["withdraw"]
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


# --- events that are lost, and what is recorded


async def test_a_withdrawal_whose_event_is_lost_is_made_by_the_scheduler(opened: World) -> None:
    """Promise 1. Broken by: a row that is to be withdrawn is pending for nobody but its change event."""
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    await opened.schedule.enroll(-1, 10)
    assert await opened.is_due()
    await opened.time_passes()
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


async def test_a_row_that_was_never_seen_is_withdrawn_by_the_scheduler(opened: World) -> None:
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    assert await opened.schedule.enroll(-1, 10) == 1
    await opened.time_passes()
    assert await opened.calls() == ["withdraw", "look_up"]
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


async def test_a_withdrawal_that_no_event_announced_starts_afresh(opened: World) -> None:
    """Promise 1. Broken by: tries and times of sending count for a withdrawal that no event announced."""
    await opened.control.add_rule(presets.html(403), "create")
    await opened.request(Origin.INSERTED)
    await opened.time_passes()
    await opened.days_pass()
    await opened.point_of_sale.set_status(ID, "PENDING_CANCEL")
    await opened.control.add_rule(presets.html(403), "withdraw", times=1)
    await opened.calls()
    await opened.time_passes()
    assert await opened.calls() == ["withdraw", "look_up"]
    state = await opened.point_of_sale.state(ID)
    assert (state["tries"], state["is_withdrawal"]) == (1, 1)
    assert state["attempts_since"] > 1
    await opened.time_passes()
    assert await opened.status() == "CANCELLED"
    await opened.assert_agreed()


async def test_a_withdrawal_is_recorded_before_it_is_published(opened: World) -> None:
    """Promise 2. Broken by: what is known after a withdrawal is recorded only with its decision, so a crash loses
    it.
    """
    await opened.request(Origin.INSERTED)
    opened.api.dies_after = "record"
    await opened.cancelled()
    state = await opened.point_of_sale.state(ID)
    assert (state["sent_hash"], state["ever_accepted"], state["stored_document_code"]) == (None, 0, None)
    assert await opened.status() == "PENDING_CANCEL"
    await opened.calls()
    await opened.point_of_sale.set_status(ID, "PENDING_SYNC")
    await opened.time_passes()
    assert await opened.calls() == ["look_up", "create"]
    await opened.assert_agreed()


# --- codes that the point of sale changes


async def change_code(opened: World, code: str) -> None:
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = ?", code)


async def test_a_sale_is_withdrawn_under_the_code_that_it_was_accepted_with(opened: World) -> None:
    """Promise 2. Broken by: a document is withdrawn under its present codes alone."""
    await opened.request(Origin.INSERTED)
    await change_code(opened, "HD-9")
    await opened.cancelled()
    assert await opened.status() == "CANCELLED"
    assert [(seen.call, seen.code) for seen in opened.simulated.seen.of(None)][-3:] == [
        ("withdraw", CODE),
        ("withdraw", "HD-9"),
        ("look_up", "HD-9"),
    ]
    await opened.assert_agreed()


async def test_a_sale_is_not_sent_under_a_new_code_before_it_was_withdrawn_under_the_old_one(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    national_id = (await opened.point_of_sale.row(ID))["national_invoice_id"]
    await change_code(opened, "HD-9")
    await opened.requested_again()
    row = await opened.point_of_sale.row(ID)
    assert (row["status"], row["national_invoice_id"]) == ("SYNC_FAILED", national_id)
    assert opened.reason() == Reason(
        Code.STORED_UNDER_OTHER_CODES, details=(BrokenRule("ma_hoa_don", f"stored_as:{CODE}"),)
    )
    assert CODE in row["sync_response_message"]
    assert "PENDING_CANCEL" in row["sync_response_message"]
    await opened.cancelled()
    assert await opened.status() == "CANCELLED"
    assert list(opened.simulated.ledger.standing()) == []
    await opened.requested_again()
    assert await opened.status() == "SYNC_SUCCESS"
    (stored,) = opened.simulated.ledger.standing()
    assert stored.code == "HD-9"


async def test_a_sale_whose_old_code_was_withdrawn_by_hand_is_sent_under_the_new_one(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await opened.control.add_rule(presets.cut_after_accepting(), "withdraw", times=1)
    await opened.cancelled()
    await change_code(opened, "HD-9")
    await opened.point_of_sale.set_status(ID, "PENDING_SYNC")
    await opened.time_passes()
    assert await opened.status() == "SYNC_SUCCESS"
    (stored,) = opened.simulated.ledger.standing()
    assert stored.code == "HD-9"


async def test_a_code_that_is_changed_back_is_replaced_as_ever(opened: World) -> None:
    await opened.request(Origin.INSERTED)
    await change_code(opened, "HD-9")
    await opened.requested_again()
    await change_code(opened, CODE)
    await opened.calls()
    await opened.requested_again()
    assert await opened.calls() == ["replace"]
    assert await opened.status() == "SYNC_SUCCESS"
    await opened.assert_agreed()


async def test_a_code_that_was_given_to_another_sale_is_not_withdrawn_with_the_first(opened: World) -> None:
    """Promise 2. Broken by: a sale is withdrawn under a code that the point of sale has given to another one since."""
    await opened.request(Origin.INSERTED)
    await change_code(opened, "HD-9")
    await opened.point_of_sale.sell(2)
    await opened.point_of_sale.add_lines(2, "DRUG-2")
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = ? WHERE id = 2", CODE)
    await opened.request(Origin.INSERTED, id_=2)
    assert (await opened.point_of_sale.row(2))["status"] == "SYNC_SUCCESS"
    await opened.cancelled()
    assert await opened.status() == "CANCELLED"
    assert opened.withdrawn() == 0
    (stored,) = opened.simulated.ledger.standing()
    assert (stored.code, stored.creates) == (CODE, 1)
    await opened.requested_again()
    assert await opened.status() == "SYNC_SUCCESS"
    assert {each.code for each in opened.simulated.ledger.standing()} == {CODE, "HD-9"}


OF_ANOTHER = Reason(Code.RULES_BROKEN, details=(BrokenRule("ma_hoa_don", "of_another"),))


async def sell_another(opened: World, code: str) -> None:
    """Sell and send a second sale, which is given `code`."""
    await opened.point_of_sale.sell(2)
    await opened.point_of_sale.add_lines(2, "DRUG-2")
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = ? WHERE id = 2", code)
    await opened.request(Origin.INSERTED, id_=2)
    assert (await opened.point_of_sale.row(2))["status"] == "SYNC_SUCCESS"


async def test_a_sale_is_not_withdrawn_under_the_code_that_another_was_accepted_with(opened: World) -> None:
    """Promise 2. Broken by: the present code is put into a DELETE though another sale is stored under it."""
    await opened.request(Origin.INSERTED)
    await sell_another(opened, "HD-2")
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = 'HD-9' WHERE id = 2")
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = 'HD-2' WHERE id = ?", ID)
    await opened.cancelled()
    assert await opened.status() == "CANCELLED"
    (stored,) = opened.simulated.ledger.standing()
    assert stored.code == "HD-2"


async def test_a_sale_that_was_never_accepted_is_not_withdrawn_under_the_code_of_another(opened: World) -> None:
    await sell_another(opened, "HD-2")
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = 'HD-9' WHERE id = 2")
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = 'HD-2' WHERE id = ?", ID)
    await opened.cancelled()
    assert (await opened.status(), opened.reason()) == ("CANCEL_FAILED", OF_ANOTHER)
    (stored,) = opened.simulated.ledger.standing()
    assert stored.code == "HD-2"


async def test_what_was_deleted_and_entered_again_is_withdrawn(opened: World) -> None:
    """The row under whose id it was accepted is gone, so its code belongs to the row that has it now."""
    await sell_another(opened, "HD-2")
    await opened.point_of_sale.run("DELETE FROM dbo.SalesInvoices WHERE id = 2")
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = 'HD-2' WHERE id = ?", ID)
    await opened.cancelled()
    assert await opened.status() == "CANCELLED"
    assert list(opened.simulated.ledger.standing()) == []
