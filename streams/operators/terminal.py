"""Output of the commands: tables on a terminal, or JSON. Data can contain neither markup nor control characters."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import click
from pydantic_core import to_json
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from streams.domain import withdrawal_reasons
from streams.domain.nouns import Nouns
from streams.domain.reasons import Code
from streams.runtime.escaping import escaped

_DEFAULT_WIDTH = 200
"""Width in columns where stdout is not a terminal, so that nothing is cut that another program may read."""


def console() -> Console:
    """Return a console for the present `sys.stdout`, without markup."""
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _DEFAULT_WIDTH)


def plain(value: object) -> str:
    """Return `value` as text in one line, with U+FFFD in place of each character that could control a terminal."""
    text = "" if value is None else str(value)
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_control(char) else char for char in text)


def _is_control(char: str) -> bool:
    """Return whether the character is a control, format or unassigned one, or separates lines or paragraphs."""
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp")


def show(text: str = "", style: str = "") -> None:
    """Print one line."""
    console().print(Text(plain(text), style))


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. Numbers are aligned to the right; a cell may be a styled `Text`."""
    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        table.add_column(column, header_style="dim", overflow="fold")
    table.show_header = any(columns)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else _cell(cell) for cell in row))
    console().print(table)


def show_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values in two columns without a header."""
    show_table("", ("", ""), [(name, plain(value)) for name, value in pairs])


def _cell(value: object) -> Text:
    return Text(plain(value), justify="right" if isinstance(value, int | float) else "left")


def show_json(value: object, *, indent: int | None = 2) -> None:
    """Print `value` as JSON; it may contain dataclasses, dates and decimals."""
    click.echo(escaped(to_json(value, indent=indent).decode()))


def progress() -> Progress:
    """Return a progress bar on stderr, so that stdout has only the result; it is off where stderr is not a terminal."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True)


def reason_text(code: str | None, language: str, nouns: Nouns, *, withdrawal: bool = False) -> tuple[str, str]:
    """Return what a reason means and the action to take; two empty texts for None and for a code of another version.

    `nouns`: those of the document that it is about. `withdrawal`: whether that is being withdrawn, not sent.
    """
    if code is None or code not in set(Code):
        return "", ""
    texts = withdrawal_reasons.reason_text(Code(code), withdrawal=withdrawal)
    if language == "vi":
        return nouns.in_vietnamese(texts.vi), nouns.in_vietnamese(texts.action_vi)
    return nouns.in_english(texts.en), nouns.in_english(texts.action_en)


def largest_first(counts: Mapping[str | None, int], none: str) -> dict[str, int]:
    """Return counts by reason code, largest first; `none` is the key for documents without a reason."""
    return {code or none: count for code, count in sorted(counts.items(), key=lambda pair: -pair[1])}


def rfc3339(ms: int | None) -> str | None:
    """Return UTC milliseconds since 1970 as an RFC 3339 time in UTC."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


def age(seconds: float) -> str:
    """Return a duration in its two largest units, like ``2 h 5 min``; a negative one as ``0 s``."""
    whole = max(0, int(seconds))
    for unit, name, smaller, small_name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{whole} s"
