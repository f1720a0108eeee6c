"""Tests that all texts exist in both languages, and that templates use no others."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from string import Formatter

import pytest

from streams.documents import DOCUMENT_TYPES
from streams.documents.sale import SALE
from streams.domain.reasons import Code
from streams.operators import page as package
from streams.operators.desk.action import WHY_TEXTS, Why
from streams.operators.desk.figures import FinalCount
from streams.operators.page.chart import HEIGHT, chart
from streams.operators.page.servers import SHOWN_IN_TROUBLE
from streams.operators.page.texts import COLUMNS, TEXTS, Translation
from streams.operators.page.worker_view import PARTS
from tests.pipeline.loan_slip import LOAN_SLIP

FOLDER = Path(str(package.__file__)).parent
SOURCES = "".join(
    path.read_text(encoding="utf-8")
    for path in [*FOLDER.glob("templates/*.html"), *FOLDER.glob("*.py")]
    if path.name != "texts.py"
)
SOURCES += (FOLDER / "texts.py").read_text(encoding="utf-8").partition("class Translation")[2]
ACTIONS = ("again", "now", "changed")
NAMED = {text for text in TEXTS if re.search(rf"""['"](?:sorry_)?{text}['"]""", SOURCES)}


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_exists_in_both_languages_with_the_same_placeholders(text: str) -> None:
    vi, en = TEXTS[text]
    assert vi
    assert en.isascii() or text in ("other_language", "connector_asking")
    nouns = {"doc", "docs", "Doc", "Docs", "Code"}  # of the kind of document
    values = [{field for _, field, _, _ in Formatter().parse(each) if field} - nouns for each in (vi, en)]
    assert values[0] == values[1]


def test_the_texts_are_exactly_those_that_templates_and_code_use() -> None:
    made = {f"part_{part}" for part in (*PARTS, *SHOWN_IN_TROUBLE, "connector", "polling", "worker")} | {
        f"outage_{part}" for part in (*PARTS, *SHOWN_IN_TROUBLE, "polling", "worker") if part != "gate"
    }
    made |= {f"{action}_{which}" for action in ACTIONS for which in ("one", "all", "selected")}
    made |= {f"{which}_{action}{more}" for which in ("confirm", "yes") for action in ACTIONS for more in ("", "_says")}
    made |= {f"nav_{name}" for name in ("now", "failures", "waiting", "changed", "shops")}
    made |= {f"status_{status}" for status in ("SYNC_SUCCESS", "SYNC_FAILED", "PENDING_SYNC")}
    made |= {f"status_{status}" for status in ("CANCELLED", "CANCEL_FAILED", "PENDING_CANCEL")}
    made |= {"withdraw_one", "confirm_withdraw", "confirm_withdraw_says", "yes_withdraw"}
    made |= {f"{what}_withdraw" for what in ("done", "done_none", "passed_over")}
    made |= {"action_send_again", "action_send_changed", "action_send_now", "action_withdraw"}
    made |= {text for text in TEXTS if text.startswith("sorry_") and re.search(rf'"{text.split("_")[1]}', SOURCES)}
    used = set(re.findall(r"""\b(?:t|translation)\(\s*['"](\w+)['"]\s*[,)]""", SOURCES))
    assert used - TEXTS.keys() == set()
    assert TEXTS.keys() - used - made - NAMED == set()


@pytest.mark.parametrize("language", ["vi", "en"])
def test_reasons_and_columns_have_texts(language: str) -> None:
    say = Translation("vi" if language == "vi" else "en", SALE)
    for code in Code:
        assert say.reason(code.value)
        assert say.action(code.value)
    assert "new_code" in say.reason("new_code")
    assert say.action("new_code") == say.action(None) == ""
    assert {why: say.why(why) for why in Why}.keys() == WHY_TEXTS.keys()
    for document_type in DOCUMENT_TYPES:
        columns = {*document_type.header_columns, *document_type.line_columns, "created_at", "updated_at"}
        assert columns <= COLUMNS.keys() | document_type.column_labels.keys()


def test_counts_and_document_types_have_their_own_nouns() -> None:
    vi, en = Translation("vi", SALE), Translation("en", LOAN_SLIP)
    assert (vi("found", count="1"), vi("found", count="2")) == ("1 hóa đơn", "2 hóa đơn")
    assert (en("found", count="1"), en("found", count="2")) == ("1 loan", "2 loans")
    assert (en("failures"), en("again_one")) == ("Loans that failed", "Send this loan again")
    assert (vi("code_part"), en("code_part")) == ("Mã hóa đơn (một phần)", "Loan code, or a part of it")
    assert (vi.document_type(LOAN_SLIP), en.document_type(SALE)) == ("Phiếu mượn", "Sales")


def test_bars_fit_their_chart_and_a_single_sale_is_visible() -> None:
    start = datetime(2026, 11, 24)  # noqa: DTZ001 - the wall clock
    counts = [(0, 0), (1, 0), (9_999, 1), (0, 5_000)]
    made = chart([FinalCount(start + timedelta(hours=n), *count) for n, count in enumerate(counts)])
    assert (made.sent, made.failed) == (10_000, 5_001)
    assert [line.count for line in made.lines] == [5_000, 10_000]
    assert made.bars[0].sent_height == made.bars[0].failed_height == 0
    assert made.bars[1].sent_height >= 2
    for bar in made.bars:
        assert 0 <= bar.failed_y <= bar.sent_y <= made.base < HEIGHT
        assert 0 <= bar.x < bar.x + bar.width <= 100
    assert chart([]).bars == []
