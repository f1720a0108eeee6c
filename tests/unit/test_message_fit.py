"""Tests how a reason is fitted into the column that it is written to."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.outcome import Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import status_reason
from streams.stores.column_types import Column
from streams.stores.message_fit import SHORTEST_MESSAGE, WITHOUT_MARKS, fit, holds_vietnamese

REASON = "Hóa đơn bị từ chối: số lô bắt buộc.\nThe sale was refused: the lot number is required."
PAGES = [None, 437, 874, 932, 1252, 1258, 65001, 99999]


@pytest.mark.parametrize(
    ("column", "written"),
    [
        (None, REASON),
        (Column("nvarchar"), REASON),
        (Column("nvarchar", 1000), REASON),
        (Column("nvarchar", 30), "Hóa đơn bị từ chối: số lô bắt…"),
        (Column("nvarchar", 29), "Hóa đơn bị từ chối: số lô…"),
        (Column("nvarchar", 5), "Hóa…"),
        (Column("nvarchar", 3), "Hó…"),
        (Column("nvarchar", 1), "…"),
        (Column("varchar", 42, 65001), "Hóa đơn bị từ chối: số lô…"),
        (Column("varchar", 40, 1252), "[khong dau] Hoa don bi tu choi: so lo…"),
        (Column("varchar", 40, 437), "[khong dau] Hoa don bi tu choi: so lo..."),
        (Column("varchar", 40, 99999), "[khong dau] Hoa don bi tu choi: so lo..."),
    ],
    ids=str,
)
def test_a_reason_is_cut_at_a_word_and_written_in_the_letters_of_its_column(
    column: Column | None, written: str
) -> None:
    assert fit(REASON, column) == written


def test_a_column_of_the_vietnamese_code_page_keeps_every_letter() -> None:
    written = fit(REASON, Column("varchar", None, 1258))
    assert unicodedata.normalize("NFC", written.encode("cp1258").decode("cp1258")) == REASON


def test_letters_that_a_code_page_lacks_are_numbers_and_never_question_marks() -> None:
    assert fit("Bệnh 薬", Column("varchar", None, 1258)).encode("cp1258").endswith(b" \\u85ac")
    assert fit("Bệnh 薬", Column("varchar", None, 1252)) == WITHOUT_MARKS + "Benh \\u85ac"


def test_only_unicode_and_the_vietnamese_code_page_hold_vietnamese() -> None:
    assert [page for page in PAGES if holds_vietnamese(page)] == [None, 1258, 65001]


def test_every_reason_fits_into_a_column_of_which_doctor_does_not_warn() -> None:
    for code in Code:
        message = status_reason(Reason(code)).message
        text = f"{message.vi}\n{message.en}"
        assert fit(text, Column("nvarchar", SHORTEST_MESSAGE)) == text, code


@given(st.text(max_size=80), st.integers(1, 60), st.sampled_from(PAGES))
def test_any_text_fits_into_any_column(text: str, length: int, page: int | None) -> None:
    written = fit(text, Column("varchar", length, page))
    codec = {None: "utf-16-le", 65001: "utf-8", 99999: "ascii"}.get(page, f"cp{page}")
    size = 2 if page is None else 1
    assert len(written.encode(codec, "surrogatepass" if page is None else "strict")) // size <= length
    assert written.count("?") <= text.count("?") + sum("?" in unicodedata.normalize("NFKD", char) for char in text)
