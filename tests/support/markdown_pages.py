"""Reads the pages of the documentation: their headings, links and code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.repository import ROOT

PAGES = sorted(
    path.relative_to(ROOT)
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "node_modules" for part in path.relative_to(ROOT).parts)
)
"""Every page of the repository, as a path below it."""


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


@cache
def tokens(page: Path) -> list[Token]:
    """Return all tokens of a page, those inside others after them; `page` is absolute, or below the repository."""
    parsed = MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text(encoding="utf-8"))
    return list(_flat(parsed))


def headings(page: Path) -> list[str]:
    """Return the anchor of each heading, named as GitHub does.

    That is: lower case, blanks to hyphens, all else but letters, digits, - and _ dropped, and repetitions numbered.
    """
    found: list[str] = []
    slugs: list[str] = []
    for opening, inline in zip(tokens(page), tokens(page)[1:], strict=False):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or [])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            again = slugs.count(slug)
            slugs.append(slug)
            found.append(f"{slug}-{again}" if again else slug)
    return found


def is_heading(page: Path, anchor: str) -> bool:
    """Return whether a heading of a page has this anchor."""
    return page.suffix == ".md" and anchor in headings(page)


def link_target(token: Token) -> str | None:
    """Return where a link or a picture leads, None for any other token."""
    href = token.attrGet("href" if token.type == "link_open" else "src")
    return None if href is None else unquote(str(href))


def links(page: Path) -> list[str]:
    """Return where the links of a page lead, other sites left out."""
    targets = [link_target(token) for token in tokens(page)]
    return [target for target in targets if target is not None and "://" not in target]


def code(page: Path) -> str:
    """Return all code of a page, that inside its sentences included."""
    return "\n".join(each.content for each in tokens(page) if each.type in ("fence", "code_inline", "code_block"))
