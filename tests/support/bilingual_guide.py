"""Compares the pages of the guide in English with those in Vietnamese: what one says, the other has to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from os.path import normpath
from pathlib import Path

from tests.support.markdown_pages import headings, link_target, tokens
from tests.support.repository import ROOT

_COMMENT = {
    **dict.fromkeys(("sh", "powershell", "python", "properties", "ini", "yaml"), re.compile(r"(?:^|\s+)#.*")),
    **dict.fromkeys(("js", "java"), re.compile(r"(?:^|\s+)//.*")),
    "sql": re.compile(r"(?:^|\s+)--\s.*"),
}
"""Language of a code block -> what is a comment there, to be translated."""
_TEXT = "text"
"""The language of a block of which the words may be translated: a picture made of characters, for example."""
_NUMBER = re.compile(r"\d(?:[\d.,]*\d)?")


@dataclass
class Section:
    """What a page has under one heading, before the next one."""

    title: str = ""
    level: int = 0
    inline_code: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    blocks: list[tuple[str, str]] = field(default_factory=list)
    """The language and the text of each code block."""
    tables: list[list[list[set[str]]]] = field(default_factory=list)
    """For each cell, by table and row, the code in it."""


def translation_of(page: Path) -> Path:
    """Return where the Vietnamese page, or picture, of an English one belongs."""
    if page.name == "README.md":
        return page.with_name("README.vi.md")
    if page == Path(".env.example"):
        return Path("docs/vi/env.example")
    if page.parent == Path("docs/screenshots/en"):
        return page.parent.with_name("vi") / page.name
    return page.parent / "vi" / page.name if page.parent == Path("docs") else page


def sections(page: Path) -> list[Section]:
    """Return the sections of a page in order; the first one is what precedes all headings."""
    found = [Section()]
    in_heading = in_cell = False
    for token in tokens(page):
        section = found[-1]
        match token.type:
            case "heading_open":
                found.append(Section(level=int(token.tag[1:])))
                in_heading = True
            case "heading_close":
                in_heading = False
            case "table_open":
                section.tables.append([])
            case "tr_open":
                section.tables[-1].append([])
            case "th_open" | "td_open":
                section.tables[-1][-1].append(set())
                in_cell = True
            case "th_close" | "td_close":
                in_cell = False
            case "fence" | "code_block":
                section.blocks.append((token.info.strip(), token.content))
            case "code_inline":
                section.inline_code.add(token.content)
                if in_cell:
                    section.tables[-1][-1][-1].add(token.content)
            case "text":
                plain = (re.sub("[.,]", "", number) for number in _NUMBER.findall(token.content))
                section.numbers |= {number for number in plain if len(number) > 1}  # smaller ones are often words
            case "link_open" | "image":
                section.links.add(str(link_target(token)))
        if in_heading and token.type in ("text", "code_inline"):
            section.title += token.content
    return found


class Guide:
    """The pages below a folder."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root

    def is_translated(self, page: Path) -> bool:
        """Return whether there is a Vietnamese page of an English one."""
        return translation_of(page) != page and (self._root / translation_of(page)).is_file()

    def differences(self, page: Path) -> list[str]:
        """Return what the English page and its Vietnamese one do not have in common, a line for each difference."""
        other = translation_of(page)
        english, vietnamese = sections(self._root / page), sections(self._root / other)
        if [section.level for section in english] != [section.level for section in vietnamese]:
            return [f"{other}: {line}" for line in _unlike_headings(english, vietnamese)]
        return [
            f"{other}, section '{theirs.title}' ({page}: '{ours.title}'): {line}"
            for ours, theirs in zip(english, vietnamese, strict=True)
            for line in [
                *_unlike_code(ours, theirs),
                *_unlike_blocks(ours, theirs),
                *_unlike_tables(ours, theirs),
                *_unlike_numbers(ours, theirs),
                *self._unlike_links(page, ours, theirs),
            ]
        ]

    def names_the_other_language(self, page: Path) -> bool:
        """Return whether both pages link to each other under their title."""
        other = translation_of(page)
        return any(self._place(page, link)[0] == other for link in _under_the_title(self._root / page)) and any(
            self._place(other, link)[0] == page for link in _under_the_title(self._root / other)
        )

    def _unlike_links(self, page: Path, ours: Section, theirs: Section) -> Iterator[str]:
        """Compare where links lead: by the page alone, if its own headings differ, which is reported for that page."""
        other = translation_of(page)
        places = [self._place(page, link) for link in ours.links]
        differing = {translation_of(target) for target, _ in places if not self._has_as_many_headings(target)}
        wanted, found = (
            {(path, "" if path in differing else anchor) for path, anchor in each} - {(other, ""), (page, "")}
            for each in (map(self._translated, places), (self._place(other, link) for link in theirs.links))
        )
        yield from (f"the link to {path}{anchor} is missing" for path, anchor in sorted(wanted - found))
        yield from (f"the link to {path}{anchor} is not in the English page" for path, anchor in sorted(found - wanted))

    def _place(self, page: Path, link: str) -> tuple[Path, str]:
        """Return the path below the root and the anchor, with its #, to which a link of a page leads."""
        if "://" in link:
            return Path(link), ""
        path, hash_sign, anchor = link.partition("#")
        return Path(normpath(page.parent / path)) if path else page, hash_sign + anchor

    def _headings(self, page: Path) -> tuple[list[str], list[str]]:
        """Return the anchors of an English page and of its Vietnamese one."""
        return headings(self._root / page), headings(self._root / translation_of(page))

    def _has_as_many_headings(self, page: Path) -> bool:
        if page.suffix != ".md" or not self.is_translated(page):
            return True
        english, vietnamese = self._headings(page)
        return len(english) == len(vietnamese)

    def _translated(self, place: tuple[Path, str]) -> tuple[Path, str]:
        """Return where the same link of a Vietnamese page leads: to the heading in the same position, if translated."""
        page, anchor = place
        if not self.is_translated(page):
            return place
        names = dict(zip(*self._headings(page), strict=False)) if anchor else {}
        return translation_of(page), "#" + names.get(anchor[1:], anchor[1:]) if anchor else ""


def _under_the_title(page: Path) -> set[str]:
    return set().union(*(section.links for section in sections(page)[:2]))


def _unlike_headings(english: list[Section], vietnamese: list[Section]) -> Iterator[str]:
    """Name the sections that differ, found by their level and by the code in them."""
    ours, theirs = ([f"{each.level} {sorted(each.inline_code)}" for each in page] for page in (english, vietnamese))
    for tag, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if tag != "equal" and [each.level for each in english[a:b]] != [each.level for each in vietnamese[c:d]]:
            here, there = (", ".join(f"'{each.title}'" for each in part) for part in (english[a:b], vietnamese[c:d]))
            yield f"headings differ: English has {here or 'none'} where Vietnamese has {there or 'none'}"


def _unlike_code(ours: Section, theirs: Section) -> Iterator[str]:
    """Compare the code in sentences; code of a block of this section may be repeated in them."""
    blocks = "\n".join(text for _, text in theirs.blocks)
    yield from (f"`{code}` is missing" for code in sorted(ours.inline_code - theirs.inline_code))
    for code in sorted(theirs.inline_code - ours.inline_code):
        if code not in blocks:
            yield f"`{code}` is not in the English page"


def _without_comments(language: str, text: str) -> list[str]:
    if language == _TEXT:
        return []
    comment = _COMMENT.get(language)
    lines = text.rstrip().splitlines()
    return [comment.sub("  (comment)", line) for line in lines] if comment else lines


def _unlike_blocks(ours: Section, theirs: Section) -> Iterator[str]:
    if len(ours.blocks) != len(theirs.blocks):
        yield f"{len(theirs.blocks)} code blocks instead of {len(ours.blocks)}"
        return
    for number, ((language, text), (their_language, their_text)) in enumerate(
        zip(ours.blocks, theirs.blocks, strict=True), 1
    ):
        if language != their_language:
            yield f"code block {number} is marked '{their_language}' instead of '{language}'"
            continue
        lines, their_lines = _without_comments(language, text), _without_comments(language, their_text)
        for tag, a, b, c, d in SequenceMatcher(None, lines, their_lines, autojunk=False).get_opcodes():
            if tag != "equal":
                wanted, found = ("; ".join(map(str.strip, part)) for part in (lines[a:b], their_lines[c:d]))
                yield f"code block {number}: `{found}` instead of `{wanted}`"


def _unlike_tables(ours: Section, theirs: Section) -> Iterator[str]:
    if len(ours.tables) != len(theirs.tables):
        yield f"{len(theirs.tables)} tables instead of {len(ours.tables)}"
        return
    for number, (table, their_table) in enumerate(zip(ours.tables, theirs.tables, strict=True), 1):
        if len(table) != len(their_table):
            yield f"table {number}: {len(their_table) - 1} rows instead of {len(table) - 1}"
            continue
        for row, (cells, their_cells) in enumerate(zip(table, their_table, strict=True)):
            if len(cells) != len(their_cells):
                yield f"table {number}, row {row}: {len(their_cells)} columns instead of {len(cells)}"
                continue
            for column, (cell, their_cell) in enumerate(zip(cells, their_cells, strict=True), 1):
                for code in sorted(cell ^ their_cell):
                    what = "is missing" if code in cell else "is not in the English page"
                    yield f"table {number}, row {row}, column {column}: `{code}` {what}"


def _unlike_numbers(ours: Section, theirs: Section) -> Iterator[str]:
    missing = sorted(ours.numbers - theirs.numbers)
    if missing:
        yield f"numbers are missing, written without points and commas: {', '.join(missing)}"
