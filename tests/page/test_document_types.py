"""Tests that each of several document types has its own screens, and that the address names the document type."""

from __future__ import annotations

import re

import pytest

from streams.documents.sale import SALE
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import SOLD, PointOfSale
from tests.page.visitor import Place, Visitor, visiting
from tests.pipeline.loan_slip import LOAN_SLIP, TABLES

DOCUMENT_TYPES = (SALE, LOAN_SLIP)
LOANS = "documents/loan_slip/"


@pytest.fixture(autouse=True)
async def loans(point_of_sale: PointOfSale) -> None:
    """Add one loan that failed and one that is pending, and two sales that failed."""
    for table in TABLES:
        await point_of_sale.run(table.replace("CREATE TABLE ", "CREATE TABLE dbo."))
    for id_, status in ((1, "SYNC_FAILED"), (2, "PENDING_SYNC")):
        await point_of_sale.run(
            "INSERT INTO dbo.LoanSlips (id, local_loan_id, pharmacy_code, shop_pharmacy_code, loan_date, status, "
            "created_at, updated_at) VALUES (?, ?, '79-1', 'SHOP-1', ?, ?, ?, ?)",
            *(id_, f"PM-{id_}", SOLD, status, SOLD, SOLD),
        )
    await point_of_sale.sell(1, 2, status="SYNC_FAILED")


async def switch(visitor: Visitor, path: str) -> list[tuple[str, str, str]]:
    """Return, for the screen at `path`, each document type's link, whether it is the current one, and its name."""
    _, text = await visitor.get(path, **{"Accept-Language": "en"})
    part = re.search(r'<nav class="document-types".*?</nav>', text, re.DOTALL)
    return re.findall(r'<a href="([^"]*)"( aria-current="true")?>([^<]*)<', part[0]) if part else []


@pytest.mark.parametrize("screen", ["", "failures", "waiting", "shops"])
async def test_a_switch_leads_to_the_same_screen_of_the_other_document_type(
    database: Sqlite, db: SalesDb, place: Place, screen: str
) -> None:
    here, sales, loans = ' aria-current="true"', f"/page/{screen}", f"/page/{LOANS}{screen}"
    async with visiting(database.settings(), place, db, DOCUMENT_TYPES) as visitor:
        await visitor.sign_in()
        assert await switch(visitor, f"{screen}?q=1&code=1") == [(sales, here, "Sales"), (loans, "", "Loans")]
        assert await switch(visitor, f"{LOANS}{screen}") == [(sales, "", "Sales"), (loans, here, "Loans")]


async def test_the_first_screen_shows_the_figures_of_the_other_document_types(
    database: Sqlite, db: SalesDb, place: Place
) -> None:
    async with visiting(database.settings(), place, db, DOCUMENT_TYPES) as visitor:
        await visitor.sign_in()
        for path, other in (
            ("", f'<a href="/page/{LOANS}">Loans</a>: 0 sent today, 1 failed, 1 waiting'),
            (LOANS, '<a href="/page/">Sales</a>: 0 sent today, 2 failed, 0 waiting'),
        ):
            _, text = await visitor.get(path, **{"Accept-Language": "en"})
            assert re.findall(r'<a href="[^"]*">\w+</a>: .* waiting', text) == [other]


async def test_a_document_type_that_the_worker_does_not_carry_has_no_screens(
    database: Sqlite, db: SalesDb, place: Place
) -> None:
    place.carried = {"sale"}
    async with visiting(database.settings(), place, db, DOCUMENT_TYPES) as visitor:
        await visitor.sign_in()
        assert await switch(visitor, "") == []
        assert (await visitor.get(LOANS))[0].status == 404


async def test_reasons_use_the_nouns_of_the_document_type(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await point_of_sale.run(
        "INSERT INTO dbo.SaleSync (document_type, id, attempt, reason_code) VALUES ('loan_slip', 1, 1, 'no_lines')"
    )
    async with visiting(database.settings(), place, db, DOCUMENT_TYPES) as visitor:
        await visitor.sign_in()
        _, text = await visitor.get(f"{LOANS}failures", **{"Accept-Language": "en"})
        assert "The loan has no lines." in text
        _, text = await visitor.get(f"{LOANS}failures", **{"Accept-Language": "vi"})
        assert "Phiếu mượn không có dòng thuốc nào." in text


async def test_one_document_type_needs_no_switch(database: Sqlite, db: SalesDb, place: Place) -> None:
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        assert await switch(visitor, "") == []
        for path in (LOANS, "documents/sale/"):
            assert (await visitor.get(path))[0].status == 404


async def test_the_screens_of_a_document_type_show_and_link_only_its_own_documents(
    database: Sqlite, db: SalesDb, place: Place
) -> None:
    english = {"Accept-Language": "en"}
    async with visiting(database.settings(), place, db, DOCUMENT_TYPES) as visitor:
        await visitor.sign_in()
        for base, counts, codes in (("", ("2", "0"), ["HD-2", "HD-1"]), (LOANS, ("1", "1"), ["PM-1"])):
            _, text = await visitor.get(base, **english)
            assert tuple(re.findall(r'id="(?:failed|waiting)">(\d+)<', text)) == counts
            _, text = await visitor.get(f"{base}failures", **english)
            assert re.findall(rf'<a href="/page/{base}sale/\d+">([^<]+)<', text) == codes
            assert f"<h1>{'Loans' if base else 'Sales'} that failed" in text
            links = set(re.findall(r'(?:href|action)="/page/(?!static)(documents/loan_slip/)?(\w*)', text))
            assert {place for place, screen in links if screen not in ("", "failures", "sign")} == {base}
        _, text = await visitor.get(f"{LOANS}sale/1", **english)
        assert "Loan PM-1" in text
        found, _ = await visitor.get(f"{LOANS}sale?code=PM-2")
        assert found.headers["Location"] == f"/page/{LOANS}sale/2"
        chosen, _ = await visitor.get(f"{LOANS}failures?lang=en")
        assert chosen.headers["Location"] == f"/page/{LOANS}failures"
        for path in ("documents/nothing/", "documents/sale/failures"):
            assert (await visitor.get(path))[0].status == 404


async def test_sending_again_affects_only_the_document_type_that_is_shown(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    async with visiting(database.settings(), place, db, DOCUMENT_TYPES) as visitor:
        await visitor.sign_in()
        fields = {"form": await visitor.form(f"{LOANS}failures"), "action": "again", "id": "1"}
        _, text = await visitor.post(f"{LOANS}confirm", fields, **{"Accept-Language": "en"})
        assert "Send 1 loan again?" in text
        assert f'action="/page/{LOANS}send"' in text
        _, text = await visitor.post(f"{LOANS}send", fields)
        assert f'<a href="/page/{LOANS}failures">' in text
    [loan] = await point_of_sale.rows("SELECT status FROM dbo.LoanSlips WHERE id = 1")
    assert (loan["status"], (await point_of_sale.row(1))["status"]) == ("PENDING_SYNC", "SYNC_FAILED")
    assert await point_of_sale.rows("SELECT document_type, id FROM dbo.SaleAction") == [
        {"document_type": "loan_slip", "id": 1}
    ]
