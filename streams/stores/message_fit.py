"""Fit a reason into the column that it is written to: its length, and the letters of its code page.

A column that is too short would make the server refuse the row, and a code page without Vietnamese letters would turn
each of them into a question mark.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable

from streams.stores.column_types import Column

SHORTEST_MESSAGE = 1500
"""Characters that hold each of our texts in both languages, and usually what the API says."""
WITHOUT_MARKS = "[khong dau] "
"""Starts a text that was written without its Vietnamese marks."""
_CUT = "…"
_TONES = "\u0300\u0301\u0303\u0309\u0323"
"""Code page 1258 has these as characters of their own, after the vowel."""
_VIETNAMESE = "đĐ" + "".join(vowel + tone for vowel in "aăâeêioôơuưyAĂÂEÊIOÔƠUƯY" for tone in _TONES)


def holds_vietnamese(code_page: int | None) -> bool:
    """Whether a column holds all Vietnamese letters; `code_page` None: its texts are Unicode."""
    return code_page is None or _has_all(_codec(code_page), _with_separate_tones(_VIETNAMESE))


def fit(text: str, column: Column | None) -> str:
    """Return the text as the column can hold it; None: the column is not known, so the text is left as it is."""
    if column is None:
        return text
    written = text if column.code_page is None else _written(text, column.code_page)
    return written if column.length is None else _shortened(written, column.length, column.code_page)


def _written(text: str, code_page: int) -> str:
    """Return the text in characters of the code page. What it lacks becomes a number: a ? would say nothing."""
    codec = _codec(code_page)
    if not _has_all(codec, text):
        has_vietnamese = holds_vietnamese(code_page)
        text = _with_separate_tones(text) if has_vietnamese else WITHOUT_MARKS + _without_marks(text)
    return text.encode(codec, "backslashreplace").decode(codec)


def _has_all(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _codec(code_page: int) -> str:
    name = "utf-8" if code_page == 65001 else f"cp{code_page}"
    try:
        codecs.lookup(name)
    except LookupError:
        return "ascii"
    return name


def _with_separate_tones(text: str) -> str:
    """Return the text with each tone as a character after its vowel: ``ệ`` as ``ê`` and a dot."""
    parts: list[str] = []
    for letter in unicodedata.normalize("NFC", text):
        decomposed = unicodedata.normalize("NFD", letter)
        tones = "".join(mark for mark in decomposed if mark in _TONES)
        vowel = "".join(mark for mark in decomposed if mark not in _TONES)
        parts.append(unicodedata.normalize("NFC", vowel) + tones if tones else letter)
    return "".join(parts)


def _without_marks(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).replace("đ", "d").replace("Đ", "D")


def _measure(code_page: int | None) -> Callable[[str], int]:
    codec = "utf-16-le" if code_page is None else _codec(code_page)
    size = 2 if code_page is None else 1
    return lambda text: len(text.encode(codec, "replace")) // size


def _shortened(text: str, length: int, code_page: int | None) -> str:
    """Cut the text at the end of a word, or within a word that is alone longer than the column."""
    measure = _measure(code_page)
    if measure(text) <= length:
        return text
    cut = _CUT if code_page is None or _has_all(_codec(code_page), _CUT) else "..."
    cut = cut if measure(cut) <= length else ""
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits with the sign after it
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[:middle] + cut) <= length else (low, middle - 1)
    start = text[:low]
    if low < len(text) and not text[low].isspace():
        *words, _ = start.rsplit(None, 1) if len(start.split()) > 1 else [start, ""]
        start = words[0]
    return start.rstrip() + cut
