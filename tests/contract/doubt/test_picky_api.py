"""An API that is picky about values which its description allows: what is refused or replaced, the row says so.

Each test sends one document to the simulated API and reads the row that a pharmacist sees.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.documents import DOCUMENT_TYPES, PURCHASE_RECEIPT, SALE
from streams.documents.document import BodyOptions, DocumentType
from streams.domain.change_event import Origin
from streams.domain.outcome import Reason
from streams.domain.reasons import Code
from streams.local.simulator import presets
from tests.contract.doubt.world import CODE, ID, World, world
from tests.contract.stores.point_of_sale import PointOfSale

ALL = pytest.mark.parametrize("kind", DOCUMENT_TYPES, ids=lambda kind: kind.name)
EVERYTHING = ["own_drug_codes", "fractions", "zeros"]


@asynccontextmanager
async def picky(folder: Path, kind: DocumentType = SALE, **options: Any) -> AsyncIterator[World]:
    """Yield the world of one document that every API takes, before an API that is picky about all that it can be."""
    async with world(folder, replace(kind, options=BodyOptions(**options))) as opened:
        await opened.control.change_behaviour(refused_values=EVERYTHING)
        await opened.edit(drug_code="DQG00000001", quantity="2")
        yield opened


async def message(opened: World) -> str:
    return str((await opened.point_of_sale.row(ID))["sync_response_message"])


async def stored_body(opened: World) -> dict[str, Any]:
    """Return the body that the API has stored, which is that of the row."""
    body = await opened.row_body()
    [document] = opened.simulated.ledger.standing(CODE)
    assert document.body_sha256 == body.hash
    return dict(json.loads(body.content))


@ALL
async def test_a_document_without_anything_odd_is_accepted_without_a_remark(tmp_path: Path, kind: DocumentType) -> None:
    async with picky(tmp_path, kind) as opened:
        await opened.request(Origin.INSERTED)
        row = await opened.point_of_sale.row(ID)
        assert (row["status"], row["sync_response_message"]) == ("SYNC_SUCCESS", None)
        await opened.assert_agreed()


async def test_an_empty_dosage_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with picky(tmp_path) as opened:
        await opened.edit(dosage="")
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_FAILED"
        assert "dòng 1, liều dùng (lieu_dung) bắt buộc phải có" in await message(opened)
        assert await opened.calls() == []


async def test_an_empty_dosage_is_sent_as_the_settings_say_and_the_row_says_so(tmp_path: Path) -> None:
    """Promise 2. Broken by: what was sent in place of an empty dosage is not published."""
    async with picky(tmp_path, empty_dosage="0") as opened:
        await opened.edit(dosage=" ")
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_SUCCESS"
        assert (await stored_body(opened))["hoa_don_chi_tiet"][0]["lieu_dung"] == "0"
        assert 'dòng 1, liều dùng (lieu_dung) để trống, được gửi là "0"' in await message(opened)
        assert (await opened.point_of_sale.state(ID))["reason_code"] == "values_replaced"
        assert (await opened.point_of_sale.rows("SELECT dosage FROM dbo.SalesInvoiceDetails")) == [{"dosage": " "}]
        await opened.assert_agreed()


async def test_a_replaced_dosage_is_in_the_row_too_where_only_a_look_up_shows_the_acceptance(tmp_path: Path) -> None:
    async with picky(tmp_path, empty_dosage="0") as opened:
        await opened.edit(dosage="")
        await opened.control.add_rule(presets.cut_after_accepting(), "create", times=1)
        opened.api.dies_after = "create"
        await opened.request(Origin.INSERTED)
        await opened.time_passes()
        assert await opened.status() == "SYNC_SUCCESS"
        assert 'được gửi là "0"' in await message(opened)
        await opened.assert_agreed()


async def test_a_dosage_that_is_entered_later_replaces_the_substitute(tmp_path: Path) -> None:
    async with picky(tmp_path, empty_dosage="0") as opened:
        await opened.edit(dosage="")
        await opened.request(Origin.INSERTED)
        await opened.edit(dosage="Ngày 2 lần")
        await opened.requested_again()
        assert await opened.status() == "SYNC_SUCCESS"
        assert (await opened.point_of_sale.row(ID))["sync_response_message"] is None
        assert (await stored_body(opened))["hoa_don_chi_tiet"][0]["lieu_dung"] == "Ngày 2 lần"
        await opened.assert_agreed()


@ALL
async def test_a_fraction_is_sent_and_named_once_the_api_refuses_it(tmp_path: Path, kind: DocumentType) -> None:
    """Promise 1. Broken by: a refusal by the API does not name the line that may be why."""
    async with picky(tmp_path, kind) as opened:
        await opened.edit(quantity="0.5")
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_FAILED"
        said = await message(opened)
        assert "dòng 1, số lượng (so_luong) có phần lẻ" in said
        assert "phải là số nguyên" in said.partition("API: ")[2], "the API's own words"
        assert (await opened.calls())[0] == "create"
        await opened.assert_agreed()
        await opened.control.change_behaviour(refused_values=[])
        await opened.requested_again()
        assert await opened.status() == "SYNC_SUCCESS"
        assert '"so_luong": 0.5' in json.dumps(await stored_body(opened))


@ALL
async def test_a_fraction_is_refused_before_it_is_sent_where_the_settings_say_so(
    tmp_path: Path, kind: DocumentType
) -> None:
    async with picky(tmp_path, kind, fractions=False) as opened:
        await opened.edit(quantity="0.5")
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_FAILED"
        assert "dòng 1, số lượng (so_luong) phải là số nguyên" in await message(opened)
        assert await opened.calls() == []


@ALL
async def test_a_quantity_of_zero_is_refused_before_it_is_sent(tmp_path: Path, kind: DocumentType) -> None:
    async with picky(tmp_path, kind) as opened:
        await opened.edit(quantity="0")
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_FAILED"
        assert "dòng 1, số lượng (so_luong) phải lớn hơn 0" in await message(opened)
        assert await opened.calls() == []


@ALL
async def test_a_negative_quantity_is_refused_and_the_row_says_what_a_return_is(
    tmp_path: Path, kind: DocumentType
) -> None:
    async with picky(tmp_path, kind) as opened:
        await opened.edit(quantity="-1")
        await opened.request(Origin.INSERTED)
        assert "là số âm (hàng khách trả lại được ghi bằng phiếu nhập loại 2)" in await message(opened)
        assert await opened.calls() == []


@ALL
async def test_a_drug_code_of_the_shop_s_own_is_named_once_the_api_refuses_it(
    tmp_path: Path, kind: DocumentType
) -> None:
    async with picky(tmp_path, kind) as opened:
        await opened.edit(drug_code="SP-7")
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_FAILED"
        assert "dòng 1, mã thuốc (ma_thuoc) không bắt đầu bằng DQG" in await message(opened)
        await opened.edit(drug_code="DQG00000007")
        await opened.requested_again()
        assert await opened.status() == "SYNC_SUCCESS"
        assert (await opened.point_of_sale.row(ID))["sync_response_message"] is None


async def test_a_line_without_a_drug_code_is_named_and_the_sale_fails_as_a_whole(tmp_path: Path) -> None:
    """Clients of this API were seen to leave such lines out, and to never send a sale that has no other ones."""
    async with picky(tmp_path) as opened:
        await opened.point_of_sale.add_lines(ID, "DQG00000002")
        await opened.point_of_sale.run("UPDATE dbo.SalesInvoiceDetails SET drug_code = '' WHERE drug_code LIKE '%1'")
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_FAILED"
        assert "dòng 1, mã thuốc (ma_thuoc) bắt buộc phải có" in await message(opened)
        assert await opened.calls() == []


async def test_a_customer_s_return_is_a_receipt_of_type_2_that_names_the_sale(tmp_path: Path) -> None:
    async with picky(tmp_path, PURCHASE_RECEIPT) as opened:
        await opened.point_of_sale.run(
            "UPDATE dbo.PurchaseReceipts SET receipt_type = 2, supplier_name = NULL, notes = ?",
            "Khách trả lại, hóa đơn HD-2026-000017",
        )
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_SUCCESS"
        body = await stored_body(opened)
        assert (body["loai_phieu_nhap"], body["ghi_chu"]) == (2, "Khách trả lại, hóa đơn HD-2026-000017")
        assert "ten_co_so_cung_cap" not in body


async def test_a_sale_waits_for_a_receipt_of_its_day_and_is_sent_after_it(tmp_path: Path) -> None:
    async with world(tmp_path, document_order_wait=600) as opened:
        receipts = PointOfSale(opened.point_of_sale.db, PURCHASE_RECEIPT)
        await receipts.sell(7)
        await opened.request(Origin.INSERTED)
        assert (await opened.calls(), opened.reason()) == ([], Reason(Code.EARLIER_DOCUMENTS))
        assert "phải gửi trước" in await message(opened)
        await opened.time_passes()
        assert (await opened.calls(), opened.reason()) == ([], Reason(Code.EARLIER_DOCUMENTS))
        await receipts.set_status(7, "SYNC_FAILED")
        await opened.time_passes()
        assert (await opened.calls(), await opened.status()) == (["create"], "SYNC_SUCCESS")
        await opened.assert_agreed()


async def test_a_sale_that_has_waited_long_enough_is_sent_before_the_receipt(tmp_path: Path) -> None:
    async with world(tmp_path, document_order_wait=600) as opened:
        await PointOfSale(opened.point_of_sale.db, PURCHASE_RECEIPT).sell(7)
        await opened.request(Origin.INSERTED)
        long_ago = await opened.point_of_sale.db.now_ms() - 601_000
        await opened.point_of_sale.run("UPDATE dbo.SaleSync SET attempts_since = ?", long_ago)
        await opened.time_passes()
        assert (await opened.calls(), await opened.status()) == (["create"], "SYNC_SUCCESS")


async def test_a_sale_that_may_be_stored_already_waits_for_no_receipt(tmp_path: Path) -> None:
    """Its order is decided, and what is in doubt has to be looked up."""
    async with world(tmp_path, document_order_wait=600) as opened:
        await opened.control.add_rule(presets.cut_before_accepting(), "create", times=1)
        await opened.request(Origin.INSERTED)
        await PointOfSale(opened.point_of_sale.db, PURCHASE_RECEIPT).sell(7)
        await opened.time_passes()
        assert await opened.status() == "SYNC_SUCCESS"
        await opened.assert_agreed()


async def test_a_sale_that_breaks_a_rule_fails_at_once_whatever_comes_before_it(tmp_path: Path) -> None:
    async with world(tmp_path, document_order_wait=600) as opened:
        await PointOfSale(opened.point_of_sale.db, PURCHASE_RECEIPT).sell(7)
        await opened.edit(quantity="0")
        await opened.request(Origin.INSERTED)
        assert await opened.status() == "SYNC_FAILED"
