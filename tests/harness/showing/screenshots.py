"""``make screenshots``: photographs the page of the demo, in both languages, for docs/screenshots.

What the demo has sold within a minute is spread over a day first, since the chart would have one bar otherwise.
"""

from __future__ import annotations

import base64
import random
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import click

from streams.documents import DOCUMENT_TYPES
from streams.domain.reasons import Code
from streams.local.samples.sales import sql_time
from streams.operators.page.texts import LANGUAGES, Language
from tests.harness.showing.running_demo import RunningDemo, running_demo
from tests.page.browser import Browser, browsing
from tests.support.repository import ROOT

FOLDER = ROOT / "docs/screenshots"
WIDTH = 1200
SHOTS = {"now": 1040, "failures": 880, "sale": 800}
"""Each screen that is photographed, and how much of its height is."""
_SALES = 300
_PERSON = "Lan"
_NOTHING_IS_ON_ITS_WAY = "Number(document.getElementById('waiting').textContent) < 30"
"""What is still waiting then waits for a shop's account."""
_OPEN_HOURS = [hour for hour in range(7, 22) for _ in range(3 if hour in (8, 9, 10, 16, 17, 18, 19) else 2)]
"""Hours of the day at which a pharmacy sells, the busy ones more often."""

_JUST_NOW = 0.1
"""The share that has its result in the last minutes."""


def file_of(shot: str, language: Language) -> Path:
    return FOLDER / language / f"{shot}.png"


@click.command()
def main() -> None:
    """Run the demo, and write the screenshots."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_demo(Path(folder) / "demo.log", "RATE=30") as demo,
        browsing(Path(folder) / "profile", demo.address) as browser,
    ):
        browser.driver.set_window_size(WIDTH, max(SHOTS.values()))
        demo.wait_until_sent(_SALES)
        with demo.paused():
            browser.sign_in(_PERSON, demo.code)
            browser.until(_NOTHING_IS_ON_ITS_WAY)
            spread_over_a_day(demo)
            browser.until("document.querySelectorAll('.chart rect.sent').length > 9")  # it is kept for some seconds
            photograph_all(browser)
    click.echo("\n".join(str(file_of(shot, each).relative_to(ROOT)) for each in LANGUAGES for shot in SHOTS))


def spread_over_a_day(demo: RunningDemo) -> None:
    """Move the times of what has its result to the hours of the last day at which a pharmacy is open."""
    rng = random.Random(1)
    with closing(sqlite3.connect(demo.folder / "sales.db", timeout=10)) as database:
        for document_type in DOCUMENT_TYPES:
            done = f"SELECT id, updated_at FROM {document_type.table} WHERE status <> 'PENDING_SYNC'"  # noqa: S608
            moved = [(_earlier(datetime.fromisoformat(at), rng), id_) for id_, at in database.execute(done).fetchall()]
            database.executemany(f"UPDATE {document_type.table} SET updated_at = ? WHERE id = ?", moved)  # noqa: S608
        database.commit()


def _earlier(now: datetime, rng: random.Random) -> str:
    if rng.random() < _JUST_NOW:
        return sql_time(now - timedelta(minutes=rng.uniform(1, 6)))
    at = now.replace(hour=rng.choice(_OPEN_HOURS), minute=rng.randrange(60))
    return sql_time(at if at <= now else at - timedelta(days=1))


def photograph_all(browser: Browser) -> None:
    for language in LANGUAGES:
        browser.open(f"?lang={language}")
        browser.until("document.documentElement.lang === arguments[0]", language)
        for shot, path in _paths(browser):
            browser.open(path)
            browser.one("#live")
            file = file_of(shot, language)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(photograph(browser, SHOTS[shot]))


def _paths(browser: Browser) -> Iterator[tuple[str, str]]:
    """Yield each screen to be photographed with its path; the sale is one that names a broken field."""
    yield "now", ""
    yield "failures", "failures"
    browser.open(f"failures?reason={Code.RULES_BROKEN.value}")
    link = browser.one("td.main a").get_attribute("href") or ""
    yield "sale", link.partition("/page/")[2]


def photograph(browser: Browser, most: int) -> bytes:
    """Return a PNG of the top of the page, at most `most` high and not cut through a card or a row."""
    ends: Sequence[float] = browser.driver.execute_script(
        "return [...document.querySelectorAll('main section, main tbody tr')]"
        ".map(each => each.getBoundingClientRect().bottom + scrollY + (each.matches('tr') ? 0 : 8))"
    )
    height = max((end for end in ends if end <= most), default=most)
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": int(height), "scale": 1}
    shot = browser.driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
    )
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    main()
