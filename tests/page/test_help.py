"""Tests that each screen explains its words, in the words of the glossary, and that a keyboard is enough to read it."""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path
from string import Formatter

import pytest
from selenium.webdriver.common.keys import Keys

from streams.documents.sale import SALE
from streams.operators.page.help_texts import ABOUT, MEANINGS, SCREENS
from streams.operators.page.texts import LANGUAGES, TEXTS, Language, Translation
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import PointOfSale
from tests.page.browser import Browser, browsing
from tests.page.visitor import Place, visiting
from tests.pipeline.loan_slip import LOAN_SLIP
from tests.support.repository import ROOT

PATHS = {
    **{"now": "", "failures": "failures", "waiting": "waiting", "changed": "changed", "shops": "shops"},
    "sale": "sale/1",
}


def words_of(text: str) -> list[str]:
    return [html.unescape(word) for word in re.findall("<dt>([^<]*)</dt><dd>", text)]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_screen_explains_itself_in_the_language_of_the_visitor(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, language: Language
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    say = Translation(language, SALE)
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        texts = {
            screen: (await visitor.get(path, **{"Accept-Language": language}))[1] for screen, path in PATHS.items()
        }
        fields = {"form": await visitor.form("failures"), "action": "again", "id": "1"}
        texts["confirm"] = (await visitor.post("confirm", fields, **{"Accept-Language": language}))[1]
    assert texts.keys() == SCREENS.keys()
    for screen, text in texts.items():
        explained = text.partition('<details class="help"')[2].partition("</details>")[0]
        assert f"</span> {say('help')}</summary>" in explained, screen
        assert html.unescape(explained).count(say.about(screen)) == 1, screen
        assert words_of(explained) == [word for word, _ in say.explained(screen)], screen


@pytest.mark.parametrize("texts", [*ABOUT.values(), *MEANINGS.values()], ids=lambda texts: texts[1][:40])
def test_each_help_exists_in_both_languages_and_for_every_document_type(texts: tuple[str, str]) -> None:
    vi, en = texts
    assert en.isascii()
    assert not vi.isascii()
    assert not re.search("hóa đơn", vi, re.IGNORECASE)
    assert not re.search(r"\b(sales?|receipts?)\b(?! software| database)", en, re.IGNORECASE)
    fields = {field.lower() for text in texts for _, field, _, _ in Formatter().parse(text) if field}
    assert fields <= {"doc", "docs"}


def test_every_word_that_a_screen_explains_has_a_meaning_and_no_other() -> None:
    assert {word for words in SCREENS.values() for word in words} == MEANINGS.keys() <= TEXTS.keys()
    assert ABOUT.keys() == SCREENS.keys()
    assert ("Failed", "The loan was not accepted, and") in {
        (word, meaning[:30]) for word, meaning in Translation("en", LOAN_SLIP).explained("failures")
    }


def glossary() -> set[tuple[str, str]]:
    """Return each word of the glossary with each of its Vietnamese ones, as `plain` texts."""
    rows = re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \| ", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    return {(one, other) for word, vi in rows for one in plain(word) for other in plain(vi)}


def plain(cell: str) -> list[str]:
    """Return the words of a cell in lower case, without what is in brackets."""
    return [each.strip().lower() for each in re.sub(r"\s*\([^)]*\)", "", cell).split(",")]


@pytest.mark.parametrize("word", MEANINGS)
def test_an_explained_word_is_in_the_glossary(word: str) -> None:
    vi, en = TEXTS[word]
    assert {(one, other) for one in plain(en) for other in plain(vi)} <= glossary()


async def test_the_help_is_opened_with_the_keyboard_and_stays_open_while_the_screen_updates(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, tmp_path: Path
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")

    def open_help(browser: Browser) -> None:
        browser.sign_in("Lan")
        browser.open("failures")
        summary = browser.one(".help summary")
        assert summary.accessible_name == "Giải thích trang này"
        assert not browser.all(".help dl")[0].is_displayed()
        browser.evaluate("document.querySelector('main h1').scrollIntoView()")
        for _ in range(40):
            focused = browser.driver.switch_to.active_element
            if focused == summary:
                break
            focused.send_keys(Keys.TAB)
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
        assert browser.one(".help dl").text.startswith("Thất bại\nHóa đơn không được nhận")

    def still_open(browser: Browser) -> None:
        browser.until_shows("#live", "HD-2")
        assert browser.one(".help dl").is_displayed()
        browser.be_phone(320)
        assert browser.evaluate("document.documentElement.scrollWidth") == 320
        assert browser.complaints() == []

    async with visiting(database.settings(), place, db) as visitor:
        with browsing(tmp_path / "profile", visitor.origin) as browser:
            await asyncio.to_thread(open_help, browser)
            await point_of_sale.sell(2, status="SYNC_FAILED")
            await asyncio.to_thread(still_open, browser)
