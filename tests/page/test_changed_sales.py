"""Tests that sales which were changed after they were sent are shown, and sent after a confirmation."""

from __future__ import annotations

import re

import pytest

from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.page.visitor import Place, visiting
from tests.support.accepted_sales import accept

ENGLISH = {"Accept-Language": "en"}


async def test_changed_sales_are_counted_on_the_first_screen_and_listed(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await accept(point_of_sale, 1, 2, changed_at=1_800_000_000_000)
    await accept(point_of_sale, 3)
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        _, text = await visitor.get("", **ENGLISH)
        assert '<a href="/page/changed"><strong id="changed">2 sales changed after being sent</strong></a>' in text
        _, text = await visitor.get("changed", **ENGLISH)
        assert re.findall(r'href="/page/sale/(\d+)"', text) == ["2", "1"]
        assert "The national system still has the old version." in text
        assert "No attempt yet" not in text
        assert set(re.findall(r'data-label="Noticed" class="time">([^<]+)<', text)) == {"15 Jan 2027, 15:00"}
        _, text = await visitor.get("changed")
        assert "Hóa đơn đã sửa sau khi gửi" in text
        _, text = await visitor.get("sale/1")
        assert "Đã sửa sau khi gửi (phát hiện lúc" in text
        assert "Gửi bản sửa" in text
        _, text = await visitor.get("sale/3", **ENGLISH)
        assert "Changed after it was sent" not in text
        assert 'id="act"' not in text, "there is nothing to send"


async def test_a_correction_is_sent_after_a_confirmation(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await accept(point_of_sale, 1, 2, 3, changed_at=5)
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in("Lan Anh")
        fields = {"form": await visitor.form("changed"), "action": "changed", "id": "1"}
        _, text = await visitor.post("confirm", fields)
        assert "Gửi bản sửa của 1 hóa đơn?" in text
        assert "hãy hủy bản cũ trên cổng Dược Quốc gia" in text
        assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS", "nothing is done before it is confirmed"
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text))
        _, text = await visitor.post("send", hidden)
        assert "1 hóa đơn sẽ được gửi ngay" in text
        _, text = await visitor.post("confirm", fields | {"all": "1"})
        assert "Gửi bản sửa của 2 hóa đơn?" in text, "the first one waits now"
        _, text = await visitor.get("sale/1")
        assert "Lan Anh yêu cầu gửi bản sửa" in text
        assert "Đã sửa sau khi gửi (" not in text
    statuses = await point_of_sale.rows("SELECT status FROM dbo.SalesInvoices ORDER BY id")
    assert [row["status"] for row in statuses] == ["PENDING_SYNC", "SYNC_SUCCESS", "SYNC_SUCCESS"]


@pytest.mark.parametrize("corrections", ["off", "show", "send"])
async def test_nothing_is_shown_where_nobody_looks_for_changes(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, corrections: str
) -> None:
    """Marks of earlier days may no longer be true then."""
    await accept(point_of_sale, 1, changed_at=5)
    async with visiting(database.settings(corrections=corrections), place, db) as visitor:
        await visitor.sign_in()
        _, first = await visitor.get("")
        _, sale = await visitor.get("sale/1")
    shown = corrections != "off"
    assert ('href="/page/changed"' in first) is shown
    assert ('id="changed"' in first) is shown
    assert ('id="changed"' in sale) is shown
