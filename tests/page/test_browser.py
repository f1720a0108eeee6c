"""Tests the page in a real browser: it is live, no text becomes a script, and it works on a phone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from streams.domain.local_time import local_time
from streams.domain.reasons import REASON_TEXTS, Code
from streams.local.processes import free_port
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.page.browser import Browser, browsing
from tests.page.visitor import CODE, Place, visiting
from tests.pipeline.pipeline import QUICK, Pipeline

NAME = "Nguyễn Thị Lan"


@pytest.fixture
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profile")


async def test_a_failed_sale_that_is_sent_again_succeeds_and_the_page_updates_itself(
    pipeline: Pipeline, profile: Path
) -> None:
    sales = pipeline.seller.sell(5)
    for sale in sales[:2]:
        pipeline.execute("UPDATE SalesInvoiceDetails SET lot_number = '' WHERE sales_invoice_id = ?", sale.id)
    port = free_port()
    pipeline.workers.append(pipeline.stack.start_worker("worker", QUICK | {"PAGE_TOKEN": CODE}, web_port=port))
    await pipeline.until_decided()

    def look(browser: Browser) -> None:
        browser.sign_in(NAME)
        browser.until_shows("#failed", "2")
        browser.until_shows("#sent", "3")
        browser.press("a.language")
        browser.until_shows("h1", "Now")
        browser.open("failures")
        browser.until_shows("h1", "Sales that failed")
        assert len(browser.all("input[name=id]")) == 2
        browser.open("failures?code=nobody")
        browser.until_shows("#live", "No sale was found.")
        browser.open(f"failures?reason={Code.RULES_BROKEN.value}")
        browser.until_shows("#live", REASON_TEXTS[Code.RULES_BROKEN].action_en)

    def mended_one(browser: Browser) -> None:
        browser.open(f"sale/{sales[0].id}")
        browser.press("#act")
        browser.press("#yes")
        browser.until_shows("#done", "1 sale will be sent now")
        browser.open(f"sale/{sales[0].id}")
        browser.until_shows("#status", "The national system has it")
        browser.until_shows(".timeline", f"{NAME} asked for it to be sent again")

    def mended_by_selection(browser: Browser) -> None:
        browser.open("failures")
        assert browser.one("[data-selected]").get_attribute("disabled")
        browser.press("input[name=id]")
        browser.until_shows("[data-count]", "(1)")
        browser.press("[data-selected]")
        browser.press("#yes")
        browser.until_shows("#done", "1 sale will be sent now")
        browser.open()
        browser.until_shows("#failed", "0")
        browser.until_shows("#sent", "5")
        assert browser.complaints() == []

    def mend(sale_id: int) -> None:
        pipeline.execute("UPDATE SalesInvoiceDetails SET lot_number = 'LO1' WHERE sales_invoice_id = ?", sale_id)

    with browsing(profile, f"http://127.0.0.1:{port}") as browser:
        await asyncio.to_thread(look, browser)
        mend(sales[0].id)
        await asyncio.to_thread(mended_one, browser)
        mend(sales[1].id)
        await asyncio.to_thread(mended_by_selection, browser)
    await pipeline.assert_both_sides_agree()


EVIL = "\"'><img src=x onerror=document.title='evil'><script>document.title='evil'</script>{{7*7}}"


async def evil_sale(point_of_sale: PointOfSale) -> None:
    """Store hostile markup in every text that a point of sale, the national system or a person writes."""
    await point_of_sale.open_account("SHOP-1", EVIL, EVIL)
    await point_of_sale.sell(1, status="SYNC_FAILED")
    await point_of_sale.sell(2, status=EVIL[:20])
    await point_of_sale.sell(3)
    await point_of_sale.add_lines(1, "DRUG-1")
    await point_of_sale.sync(3, attempt=1, reason_code=EVIL[:50], attempts_since=5, next_attempt_at=5)
    await point_of_sale.sync(
        1, attempt=2, published_attempt=2, reason_code=EVIL[:50], refused_body=EVIL, refused_text=EVIL
    )
    await point_of_sale.run(
        "INSERT INTO dbo.SaleAction VALUES ('sale', 1, 'r', 'send_again', ?, 5, ?)", EVIL, EVIL[:50]
    )
    for id_ in (1, 2, 3):  # of one code at several pharmacies
        await point_of_sale.run("UPDATE dbo.SalesInvoices SET pharmacy_code = ? WHERE id = ?", f"{EVIL}{id_}", id_)
    for table, columns in {
        "AccountShop": ("shop_name", "shop_pharmacy_code"),
        "SalesInvoices": (
            *("local_invoice_id", "shop_pharmacy_code", "national_invoice_id"),
            *("national_prescription_id", "seller_name", "customer_name", "sync_response_message"),
        ),
        "SalesInvoiceDetails": (
            *("drug_code", "drug_name", "lot_number", "unit", "concentration", "dosage"),
            *("route_of_administration", "registration_number"),
        ),
    }.items():
        for column in columns:
            await point_of_sale.run(f"UPDATE dbo.{table} SET {column} = ?", EVIL)  # noqa: S608


def walk(browser: Browser) -> Iterator[str]:
    """Open every screen."""
    evil = quote(EVIL)
    for path in (
        *("", "failures", "failures?code=%3Cimg&shop=%3Cimg", "waiting", "shops", "sale/1", "sale/2", "sale/3"),
        *(f"sale?code={evil}", "sale?code=%3Cb%3E", f"sale/{evil}", f"documents/{evil}/", f"{evil}"),
        *(f"failures?{field}={evil}" for field in ("code", "shop", "reason", "day", "after", "lang", evil)),
        *(f"shops?q={evil}&after={evil}", f"?lang={evil}"),
    ):
        browser.open(path)
        browser.one("main")
        yield path
    browser.open("failures")
    browser.press("button[name=all]")
    browser.one("#yes")
    yield "confirm"
    browser.press("#yes")
    browser.one("#done")
    yield "report"


TYPED = {
    "find": ("", ".find input", ".find button"),
    "code": ("failures", "form.filter input[name=code]", "form.filter button"),
    "shop": ("waiting", "form.filter input[name=shop]", "form.filter button"),
    "q": ("shops", "form.filter input[name=q]", "form.filter button"),
}
"""Every field for text: its screen, itself, its button."""


def assert_harmless(browser: Browser, where: str) -> None:
    """Check that the page has only our own markup: no element, attribute or address that somebody wrote."""
    assert browser.evaluate("document.title") != "evil", where
    assert browser.evaluate("document.querySelectorAll('img, iframe, body script, body style').length") == 0, where
    attributes = "[...document.querySelectorAll('*')].flatMap(each => each.getAttributeNames())"
    assert browser.evaluate(f"{attributes}.filter(name => name.startsWith('on') || name === 'style')") == [], where
    addresses = (
        "[...document.querySelectorAll('[href], [src], [action], [formaction]')]"
        ".flatMap(each => ['href', 'src', 'action', 'formaction'].map(name => each.getAttribute(name)))"
    )
    assert browser.evaluate(f"{addresses}.filter(to => to !== null && !/^(\\/page\\/|#)/.test(to))") == [], where


async def test_no_stored_text_becomes_markup(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, profile: Path
) -> None:
    await evil_sale(point_of_sale)
    texts = {"vi": EVIL, "en": EVIL}
    place.histories.decisions = [
        {
            "attempt": 2,
            "status": EVIL,
            "national_invoice_id": EVIL,
            "reason": {"code": EVIL, "message": texts},
            "decided_at": local_time(0, database.settings().zone).astimezone(),
        }
    ]

    def look(address: str) -> None:
        with browsing(profile, address) as browser:
            browser.open()
            browser.driver.add_cookie({"name": "sales_language", "value": "'><img/src=x>", "path": "/page/"})
            browser.sign_in(EVIL[:100])
            for path in walk(browser):
                assert_harmless(browser, path)
                if path in ("", "failures", "waiting", "shops", "sale/1", "sale/2", "sale/3", "confirm"):
                    assert "<img" in str(browser.evaluate("document.querySelector('main').innerText")), path
            for name, (path, field, button) in TYPED.items():
                browser.open(path)
                browser.one(field).send_keys(EVIL)
                browser.press(button)
                browser.until("document.readyState === 'complete' && location.search.includes('%3C')")
                assert_harmless(browser, name)
                if name != "find":  # what was typed stands there, to be changed
                    assert browser.one(field).get_attribute("value") == EVIL, name
            assert browser.complaints() == []

    with place.outages.reporter("redis", "start Redis") as waiting:
        waiting.report(EVIL)
        async with visiting(database.settings(), place, db) as visitor:
            await asyncio.to_thread(look, visitor.origin)


async def test_no_user_name_becomes_markup(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, profile: Path
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")

    def look(address: str) -> None:
        with browsing(profile, address) as browser:
            browser.sign_in(EVIL[:100], "wrong")
            assert browser.one("input[name=name]").get_attribute("value") == EVIL[:100]
            assert_harmless(browser, "sign-in")
            browser.send_header("X-User", EVIL[:100])
            for path in walk(browser):
                assert browser.one(".person").text == EVIL[:100]
                assert_harmless(browser, path)
            browser.open("sale/1")
            browser.until_shows(".timeline", EVIL[:100])
            assert browser.complaints() == []

    more = {"page_user_header": "X-User", "page_trusted_proxies": ("127.0.0.1",), "page_token": SecretStr("x" * 16)}
    async with visiting(database.settings(**more), place, db) as visitor:
        await asyncio.to_thread(look, visitor.origin)


async def test_the_browser_runs_no_inline_script(database: Sqlite, db: SalesDb, place: Place, profile: Path) -> None:
    """The Content-Security-Policy protects even if a value became markup."""

    def look(address: str) -> None:
        with browsing(profile, address) as browser:
            browser.sign_in(NAME)
            browser.evaluate(
                """(() => {
                    window.stopped = [];
                    addEventListener("securitypolicyviolation", (event) => stopped.push(event.effectiveDirective));
                    const script = document.createElement("script");
                    script.textContent = "window.ran = true";
                    const block = document.createElement("div");
                    block.innerHTML = '<img src="nowhere" onerror="window.ran = true"><p style="color: red"></p>';
                    document.body.append(script, block);
                })()"""
            )
            for directive in ("script-src-elem", "script-src-attr", "style-src-attr"):
                browser.until("stopped.includes(arguments[0])", directive)
            assert browser.evaluate("window.ran ?? null") is None

    async with visiting(database.settings(), place, db) as visitor:
        await asyncio.to_thread(look, visitor.origin)


@pytest.mark.parametrize("width", [390, 320])
async def test_a_phone_shows_every_screen_without_scrolling_sideways(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, profile: Path, width: int
) -> None:
    await evil_sale(point_of_sale)
    await point_of_sale.run("UPDATE dbo.SalesInvoices SET local_invoice_id = ?", "W" * 50)

    def look(address: str) -> None:
        with browsing(profile, address, dark=True) as browser:
            browser.be_phone(width)
            browser.sign_in("W" * 100)
            for path in walk(browser):
                assert browser.evaluate("document.documentElement.scrollWidth") == width, path
                hidden = "[...document.querySelectorAll('nav')].filter(nav => nav.scrollWidth > nav.clientWidth).length"
                assert browser.evaluate(hidden) == 0, "every screen can be reached at once"
                edge = "getBoundingClientRect().right"
                beyond = f"field => field.{edge} > field.closest('section, form').{edge} - 8"
                fields = "[...document.querySelectorAll('main input, main select')]"
                assert browser.evaluate(f"{fields}.filter({beyond}).length") == 0, path

    async with visiting(database.settings(), place, db) as visitor:
        await asyncio.to_thread(look, visitor.origin)


async def test_a_selection_survives_updates_and_a_lost_server_is_shown(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, profile: Path
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")

    async with visiting(database.settings(), place, db) as visitor:
        with browsing(profile, visitor.origin) as browser:
            await asyncio.to_thread(browser.sign_in, NAME)
            await asyncio.to_thread(browser.open, "failures")
            await asyncio.to_thread(browser.press, "input[name=id]")
            await point_of_sale.sell(2, status="SYNC_FAILED")
            await asyncio.to_thread(browser.until_shows, "#live", "HD-2")
            checked = await asyncio.to_thread(
                browser.evaluate, "[...document.querySelectorAll('[name=id]:checked')].map(box => box.value)"
            )
            assert checked == ["1"]
            assert place.server is not None
            await place.server.close()
            await asyncio.to_thread(browser.until, "!document.getElementById('no-answer').hidden")
