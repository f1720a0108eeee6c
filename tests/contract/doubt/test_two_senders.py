"""Tests that a sale with two senders at the same time is accepted once, in its current version."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streams.domain.change_event import Origin, SendRequest
from streams.domain.reasons import Code
from streams.local.simulator import presets
from tests.contract.doubt.world import CODE, ID, REFUSED_DRUG, World, world
from tests.contract.simulator.shop import Shop, plain_http


@pytest.fixture
async def opened(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(tmp_path, **getattr(request, "param", {})) as made:
        yield made


NO_LOOK_UP = pytest.mark.parametrize("opened", [{"look_up_offered": False}], indirect=True)


async def accepted(opened: World) -> str:
    """Send the sale, check that it is accepted, and return the national id."""
    await opened.request(Origin.INSERTED)
    assert await opened.calls() == ["create"]
    assert await opened.status() == "SYNC_SUCCESS"
    return str((await opened.point_of_sale.row(ID))["national_invoice_id"])


async def has_stored_what_the_row_says(opened: World) -> bool:
    (stored_document,) = opened.simulated.ledger.standing(CODE)
    return stored_document.body_sha256 == hashlib.sha256((await opened.row_body()).content).hexdigest()


# --- accepted, and asked for again


async def test_an_accepted_sale_that_is_requested_again_is_replaced(opened: World) -> None:
    national_id = await accepted(opened)
    await opened.edit(quantity=7)
    await opened.requested_again()
    assert await opened.calls() == ["replace"]
    assert (await opened.point_of_sale.row(ID))["national_invoice_id"] == national_id
    assert await has_stored_what_the_row_says(opened)
    await opened.assert_agreed()


async def test_a_sale_requested_again_after_a_withdrawal_by_hand_is_created_again(opened: World) -> None:
    national_id = await accepted(opened)
    async with plain_http(opened.control_url) as http:
        await (await Shop(http, "usr", "pwd").log_in()).withdraw(CODE, "79-1")
    await opened.requested_again()
    assert await opened.calls() == ["withdraw", "replace", "create"]
    row = await opened.point_of_sale.row(ID)
    assert row["status"] == "SYNC_SUCCESS"
    assert row["national_invoice_id"] != national_id
    await opened.assert_agreed()


@pytest.mark.parametrize("edited_before", [False, True])
async def test_an_unchanged_sale_stays_accepted_when_its_replacement_is_refused(
    opened: World, edited_before: bool
) -> None:
    """The stored document is this version, so there is no older one."""
    national_id = await accepted(opened)
    if edited_before:
        await opened.edit(quantity=7)
        await opened.requested_again()
        await opened.calls()
    await opened.control.add_rule(presets.refusal("quá hạn sửa"), "replace", times=1)
    await opened.requested_again()
    assert await opened.calls() == ["replace", "look_up"]
    row = await opened.point_of_sale.row(ID)
    assert (row["status"], row["national_invoice_id"]) == ("SYNC_SUCCESS", national_id)
    await opened.assert_agreed()


async def test_a_refused_change_fails_with_the_reason_that_an_older_version_is_stored(opened: World) -> None:
    national_id = await accepted(opened)
    await opened.edit(drug_code=REFUSED_DRUG)
    await opened.requested_again()
    assert await opened.calls() == ["replace", "look_up"]
    row = await opened.point_of_sale.row(ID)
    assert (row["status"], row["national_invoice_id"]) == ("SYNC_FAILED", national_id)
    assert (await opened.point_of_sale.state(ID))["reason_code"] == Code.OLDER_VERSION_STORED
    await opened.assert_agreed()


@NO_LOOK_UP
async def test_a_refused_replacement_without_a_look_up_stays_pending_with_a_warning_at_each_attempt(
    opened: World,
) -> None:
    await accepted(opened)
    rule = await opened.control.add_rule(presets.refusal("không rõ"), "replace")
    with capture_logs() as logs:
        await opened.requested_again()
        await opened.time_passes()
    warned = [(line["log_level"], line["reason"]) for line in logs if line["event"] == "attempt"]
    assert warned == [("warning", "replace_refused")] * 2
    assert await opened.status() == "PENDING_SYNC"
    await opened.control.clear_rules(rule)
    await opened.time_passes()
    assert await opened.status() == "SYNC_SUCCESS"


# --- an operator, and a retry or the scheduler


async def test_a_pending_sale_that_is_requested_again_is_sent_at_once_and_once(opened: World) -> None:
    await opened.point_of_sale.run("UPDATE dbo.AccountShop SET status = 0")  # no account: it waits for an hour
    await opened.request(Origin.INSERTED)
    assert await opened.status() == "PENDING_SYNC"
    await opened.point_of_sale.run("UPDATE dbo.AccountShop SET status = 1")
    await opened.requested_again()
    assert await opened.status() == "SYNC_SUCCESS"
    await opened.request(Origin.DUE, 1)  # the retry, which had been fed already
    assert await opened.calls() == ["look_up", "create"]
    await opened.assert_agreed()


async def test_a_sale_in_doubt_that_is_requested_again_waits_for_its_lease(opened: World) -> None:
    await opened.control.add_rule(presets.cut_before_accepting(), "create", times=1)
    await opened.request(Origin.INSERTED)
    await opened.requested_again()
    assert await opened.calls() == ["create", "look_up"]
    await opened.time_passes()
    assert await opened.calls() == ["look_up", "create"]
    await opened.assert_agreed()


async def test_a_sale_enrolled_before_its_event_came_is_sent_with_its_event(opened: World) -> None:
    await accepted(opened)
    requested_at = await opened.point_of_sale.db.now_ms()
    await opened.point_of_sale.set_status(ID, "PENDING_SYNC")
    await opened.schedule.enroll(600_000, 10)
    request = SendRequest("sale", "chain", ID, CODE, "79-1", "SHOP-1", Origin.REQUESTED_AGAIN, requested_at)
    await opened.sender.send(request)
    assert await opened.calls() == ["replace"]
    assert await opened.status() == "SYNC_SUCCESS"
    await opened.point_of_sale.set_status(ID, "PENDING_SYNC")
    await opened.sender.send(request)  # delivered again: its asking is over
    assert await opened.calls() == []


# --- a point of sale that edits or deletes while the sale is at the API


@pytest.mark.parametrize("requested_again", [False, True])
async def test_a_sale_edited_during_its_attempt_is_replaced(opened: World, requested_again: bool) -> None:
    async with opened.in_flight():
        await opened.edit(quantity=7)
        if requested_again:
            await opened.requested_again()  # nobody can claim it now
    assert await opened.calls() == ["create"]
    assert await opened.status() == "PENDING_SYNC"
    assert await opened.is_due(), "at once"
    await opened.time_passes()
    assert await opened.calls() == ["replace"]
    assert await opened.status() == "SYNC_SUCCESS"
    assert await has_stored_what_the_row_says(opened)
    await opened.assert_agreed()


async def test_an_unchanged_sale_requested_again_during_its_attempt_is_sent_once(opened: World) -> None:
    async with opened.in_flight():
        await opened.requested_again()
    assert await opened.status() == "SYNC_SUCCESS"
    assert await opened.calls() == ["create"]
    assert not await opened.is_due()


async def test_a_sale_corrected_during_its_attempt_does_not_fail_for_its_earlier_version(opened: World) -> None:
    await opened.edit(drug_code=REFUSED_DRUG)
    async with opened.in_flight(lambda: list(opened.simulated.seen.of(CODE))):
        await opened.edit(drug_code="DRUG-1")
    assert await opened.status() == "PENDING_SYNC"
    await opened.time_passes()
    assert await opened.status() == "SYNC_SUCCESS"
    await opened.assert_agreed()


async def test_a_sale_deleted_during_its_attempt_keeps_its_history_and_leaves_the_schedule(opened: World) -> None:
    async with opened.in_flight():
        await opened.point_of_sale.run("DELETE FROM dbo.SalesInvoiceDetails")
        await opened.point_of_sale.run("DELETE FROM dbo.SalesInvoices")
    state = await opened.point_of_sale.state(ID)
    assert (state["published_attempt"], state["ever_accepted"], state["next_attempt_at"]) == (1, 1, None)
    await opened.schedule.enroll(0, 10)
    assert not await opened.is_due()


async def test_a_sale_deleted_before_its_retry_leaves_the_schedule(opened: World) -> None:
    await opened.control.add_rule(presets.cut_before_accepting(), "create", times=1)
    await opened.request(Origin.INSERTED)
    await opened.point_of_sale.run("DELETE FROM dbo.SalesInvoiceDetails")
    await opened.point_of_sale.run("DELETE FROM dbo.SalesInvoices")
    await opened.point_of_sale.run("UPDATE dbo.SaleSync SET lease_until = 0, next_attempt_at = 1")
    await opened.request(Origin.DUE, 1)  # had been fed
    await opened.schedule.enroll(0, 10)
    assert (await opened.point_of_sale.state(ID))["next_attempt_at"] is None
    assert await opened.calls() == ["create", "look_up"]


@pytest.mark.parametrize("second", ["refuse", "replace"])
async def test_a_code_used_again_under_another_id_replaces_the_stored_document(opened: World, second: str) -> None:
    national_id = await accepted(opened)
    await opened.control.change_behaviour(second_create=second)
    await opened.point_of_sale.run("DELETE FROM dbo.SalesInvoiceDetails")
    await opened.point_of_sale.run("DELETE FROM dbo.SalesInvoices")
    await opened.point_of_sale.sell(2)
    await opened.point_of_sale.add_lines(2, "DRUG-2")
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = ?", CODE)
    now = await opened.point_of_sale.db.now_ms()
    await opened.sender.send(SendRequest("sale", "chain", 2, CODE, "79-1", "SHOP-1", Origin.INSERTED, now))
    row = await opened.point_of_sale.row(2)
    assert (row["status"], row["national_invoice_id"]) == ("SYNC_SUCCESS", national_id)
    assert await opened.calls() == (["create", "look_up", "replace"] if second == "refuse" else ["create"])


# --- two workers, and a system from before ours


async def test_two_workers_with_the_same_event_send_the_sale_once(opened: World) -> None:
    now = await opened.point_of_sale.db.now_ms()
    request = SendRequest("sale", "chain", ID, CODE, "79-1", "SHOP-1", Origin.INSERTED, now)
    for _ in range(3):
        await asyncio.gather(opened.sender.send(request), opened.another.send(request))
    assert await opened.calls() == ["create"]
    await opened.assert_agreed()


@pytest.mark.parametrize("second", ["refuse", "replace"])
@pytest.mark.parametrize("origin", [Origin.INSERTED, Origin.DUE])
async def test_a_sale_that_an_earlier_system_has_sent_already_is_accepted_once(
    opened: World, second: str, origin: Origin
) -> None:
    await opened.control.change_behaviour(second_create=second)
    await send_as_before(opened)
    if origin is Origin.DUE:
        await opened.schedule.enroll(-1, 10)
        await opened.time_passes()
        assert await opened.calls() == ["create", "look_up", "replace"]
    else:
        await opened.request(origin)
        once = ["create", "create", "look_up", "replace"] if second == "refuse" else ["create", "create"]
        assert await opened.calls() == once
    assert await opened.status() == "SYNC_SUCCESS"
    assert await has_stored_what_the_row_says(opened)
    (stored_document,) = opened.simulated.ledger.standing(CODE)
    assert stored_document.national_ids == [(await opened.point_of_sale.row(ID))["national_invoice_id"]]


@pytest.mark.parametrize("second", ["refuse", "replace"])
async def test_a_sale_that_an_earlier_system_sends_at_the_same_time_is_accepted_once(
    opened: World, second: str
) -> None:
    await opened.control.change_behaviour(second_create=second)
    async with opened.in_flight():
        await send_as_before(opened)
    assert await opened.status() == "SYNC_SUCCESS"
    (stored_document,) = opened.simulated.ledger.standing(CODE)
    assert stored_document.national_ids == [(await opened.point_of_sale.row(ID))["national_invoice_id"]]
    await opened.requested_again()
    assert await has_stored_what_the_row_says(opened)


async def send_as_before(opened: World) -> None:
    """Send the same sale in the bytes of an earlier system."""
    content = (await opened.row_body()).content.replace(b'"so_luong":1.5', b'"so_luong":1.50')
    async with plain_http(opened.control_url) as http:
        shop = await Shop(http, "usr", "pwd").log_in()
        await shop.call("POST", "/api/lien_thong/hoa_don", content=content)


CHANGED = (
    ("it has a national id", "UPDATE dbo.SalesInvoices SET national_invoice_id = 'QG-1'"),
    ("it was changed later", "UPDATE dbo.SalesInvoices SET updated_at = '2026-11-23 08:11:00'"),
)


@pytest.mark.parametrize(("how", "changed"), CHANGED)
async def test_a_sale_that_was_decided_by_hand_is_looked_up_before_it_is_sent(
    opened: World, how: str, changed: str
) -> None:
    """Somebody entered it on the national portal while no worker ran, and it was set back to pending since.

    A poll, or the late event of its insertion, takes it for new. Promise 3. Broken by: a sale that was decided by hand
    and set back to pending is created without a look-up.
    """
    await accepted(opened)
    await opened.point_of_sale.run("DELETE FROM dbo.SaleSync")
    await opened.point_of_sale.run(
        "UPDATE dbo.SalesInvoices SET status = 'PENDING_SYNC', national_invoice_id = NULL, updated_at = created_at"
    )
    await opened.point_of_sale.run(changed)
    await opened.request(Origin.INSERTED)
    assert (await opened.calls())[0] == "look_up", how
    await opened.assert_agreed()


async def test_a_sale_that_its_point_of_sale_completes_is_created_at_once(opened: World) -> None:
    await opened.point_of_sale.run("UPDATE dbo.SalesInvoices SET updated_at = '2026-11-23 08:09:59'")
    await accepted(opened)
