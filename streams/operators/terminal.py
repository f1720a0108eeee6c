"""What commands show: tables on a terminal, and the same as JSON. Data is data: it can neither mark up nor steer."""

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

from streams.domain.reasons import REASON_TEXTS, Code
from streams.runtime.escaping import escaped

_WIDE = 200
"""Columns where no terminal says how wide it is: nothing is cut that another program may read."""


def console() -> Console:
    """For stdout as it is now."""
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _WIDE)


def plain(value: object) -> str:
    """In one line; what steers a terminal is shown as a mark."""
    text = "" if value is None else str(value)
    return "".join("\N{REPLACEMENT CHARACTER}" if _steers(letter) else letter for letter in text)


def _steers(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category[0] == "C" or category in ("Zl", "Zp")


def show(text: str = "", style: str = "") -> None:
    console().print(Text(plain(text), style))


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Numbers stand right; a cell may be a `Text` of its own."""
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
    """Names and values."""
    show_table("", ("", ""), [(name, plain(value)) for name, value in pairs])


def _cell(value: object) -> Text:
    return Text(plain(value), justify="right" if isinstance(value, int | float) else "left")


def show_json(value: object, *, indent: int | None = 2) -> None:
    """Dataclasses, dates and decimals as JSON has them."""
    click.echo(escaped(to_json(value, indent=indent).decode()))


def progress() -> Progress:
    """On stderr, so that stdout stays for what was asked; silent where stderr is no terminal."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True)


def reason_text(code: str | None, language: str) -> tuple[str, str]:
    """What a reason means, and its remedy; empty for what this version does not know."""
    if code is None or code not in set(Code):
        return "", ""
    words = REASON_TEXTS[Code(code)]
    return (words.vi, words.action_vi) if language == "vi" else (words.en, words.action_en)


def by_reason(counts: Mapping[str | None, int], none: str) -> dict[str, int]:
    """The most first; `none`: the name of those without a reason."""
    return {code or none: count for code, count in sorted(counts.items(), key=lambda pair: -pair[1])}


def moment(ms: int | None) -> str | None:
    """UTC milliseconds -> RFC 3339."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


def age(seconds: float) -> str:
    """In the largest two units that say something."""
    whole = max(0, int(seconds))
    for unit, name, smaller, small_name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{whole} s"
