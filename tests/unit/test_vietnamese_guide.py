"""Tests that the guide for operators says the same in Vietnamese as in English, and that a difference is found."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from tests.support.bilingual_guide import Guide, translation_of
from tests.support.markdown_pages import PAGES
from tests.support.repository import ROOT

ENGLISH_ALONE = {
    "CHANGELOG.md": "for those who follow the code",
    "CONTRIBUTING.md": "for those who change the code",
    "docs/benchmarks.md": "figures that only compare programs; sizing says what they mean for an installation",
    "docs/contract/README.md": "for those who write programs that read sale-status",
    "docs/decisions": "for those who change the code",
    "docs/glossary.md": "has a Vietnamese column",
}
"""A page, or a folder of pages, that is not translated -> why not. Pages for operators do not belong here."""

GUIDE = Guide()
TRANSLATED = [page for page in PAGES if GUIDE.is_translated(page)]
IDS = list(map(str, TRANSLATED))


def is_vietnamese(page: Path) -> bool:
    return page.name == "README.vi.md" or page.parts[:2] == ("docs", "vi")


def test_every_page_for_operators_has_a_vietnamese_one() -> None:
    english = {page for page in PAGES if not is_vietnamese(page)} - set(TRANSLATED)
    missing = [page for page in english if not {str(page), str(page.parent)} & ENGLISH_ALONE.keys()]
    assert [f"{translation_of(page)} is missing: translate {page}" for page in sorted(missing)] == []


def test_what_is_listed_as_english_alone_is_there_and_not_translated() -> None:
    assert [name for name in ENGLISH_ALONE if not (ROOT / name).exists()] == []
    assert [name for name in ENGLISH_ALONE if Path(name) in TRANSLATED] == []


def test_every_vietnamese_page_belongs_to_an_english_one() -> None:
    assert {page for page in PAGES if is_vietnamese(page)} == {translation_of(page) for page in TRANSLATED}


@pytest.mark.parametrize("page", TRANSLATED, ids=IDS)
def test_a_page_says_the_same_in_both_languages(page: Path) -> None:
    differences = GUIDE.differences(page)
    assert not differences, f"bring {page} and {translation_of(page)} in step:\n" + "\n".join(differences)


@pytest.mark.parametrize("page", TRANSLATED, ids=IDS)
def test_a_page_links_to_the_other_language_under_its_title(page: Path) -> None:
    assert GUIDE.names_the_other_language(page)


@pytest.mark.parametrize("page", TRANSLATED, ids=IDS)
def test_vietnamese_letters_are_composed_so_that_searches_and_anchors_find_them(page: Path) -> None:
    text = (ROOT / translation_of(page)).read_text(encoding="utf-8")
    assert unicodedata.is_normalized("NFC", text)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs/vi").glob("*.svg")), ids=lambda picture: picture.name)
def test_a_translated_picture_differs_in_its_texts_alone(picture: Path) -> None:
    english = ROOT / "docs" / picture.name
    ours, theirs = (re.sub(r">[^<\n]+<", "><", path.read_text(encoding="utf-8")) for path in (english, picture))
    assert theirs == ours


# ---- the comparison itself ----

ENGLISH = """\
# Start

[Tiếng Việt](vi/start.md) · English

Type `make setup` on 12 machines, then see [the end](#the-end) and [the log](log.md#lines).

```sh
make setup   # fetches all
make test
```

## The settings

| setting | meaning |
| --- | --- |
| `POLL_INTERVAL` | how often |
| `RATE_LIMIT` | how much |

## The end

That is all. See [CHANGELOG](../CHANGELOG.md).
"""
VIETNAMESE = """\
# Bắt đầu

Tiếng Việt · [English](../start.md)

Gõ `make setup` trên 12 máy, rồi xem [phần cuối](#phần-cuối) và [log](log.md#các-dòng).

```sh
make setup   # tải về tất cả
make test
```

## Cấu hình

| mục | nghĩa |
| --- | --- |
| `POLL_INTERVAL` | bao lâu một lần |
| `RATE_LIMIT` | bao nhiêu |

## Phần cuối

Hết. Xem [CHANGELOG](../../CHANGELOG.md).
"""
PAGE = Path("docs/start.md")


def differences(folder: Path, vietnamese: str) -> list[str]:
    (folder / "docs/vi").mkdir(parents=True)
    (folder / PAGE).write_text(ENGLISH, encoding="utf-8")
    (folder / translation_of(PAGE)).write_text(vietnamese, encoding="utf-8")
    (folder / "docs/log.md").write_text("# Log\n\n## Lines\n", encoding="utf-8")
    (folder / "docs/vi/log.md").write_text("# Log\n\n## Các dòng\n", encoding="utf-8")
    assert Guide(folder).names_the_other_language(PAGE) == ("[English](../start.md)" in vietnamese)
    return Guide(folder).differences(PAGE)


def test_a_faithful_translation_has_no_differences(tmp_path: Path) -> None:
    assert differences(tmp_path, VIETNAMESE) == []


def test_a_page_that_does_not_link_to_the_english_one_is_found(tmp_path: Path) -> None:
    assert differences(tmp_path, VIETNAMESE.replace("[English](../start.md)", "English")) == []


def test_a_link_into_a_page_with_other_headings_is_compared_by_the_page_alone(tmp_path: Path) -> None:
    (tmp_path / "docs/vi").mkdir(parents=True)
    (tmp_path / "docs/other.md").write_text("# Other\n\n## New\n\n## Lines\n", encoding="utf-8")
    (tmp_path / "docs/vi/other.md").write_text("# Trang khác\n\n## Các dòng\n", encoding="utf-8")
    page = Path("docs/links.md")
    (tmp_path / page).write_text("# Links\n\n[lines](other.md#lines)\n", encoding="utf-8")
    (tmp_path / translation_of(page)).write_text("# Liên kết\n\n[dòng](other.md#các-dòng)\n", encoding="utf-8")
    assert Guide(tmp_path).differences(page) == []


START = "docs/vi/start.md, section 'Bắt đầu' (docs/start.md: 'Start'): "
SETTINGS = "docs/vi/start.md, section 'Cấu hình' (docs/start.md: 'The settings'): "
END = "docs/vi/start.md, section 'Phần cuối' (docs/start.md: 'The end'): "


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("Gõ `make setup`", "Cài đặt", [START + "`make setup` is missing"]),
        ("Hết.", "Hết `thật`.", [END + "`thật` is not in the English page"]),
        ("trên 12 máy", "trên các máy", [START + "numbers are missing, written without points and commas: 12"]),
        ("make test\n", "make tests\n", [START + "code block 1: `make tests` instead of `make test`"]),
        ("make test\n", "", [START + "code block 1: `` instead of `make test`"]),
        ("   # tải về tất cả", "", [START + "code block 1: `make setup` instead of `make setup  (comment)`"]),
        ("```sh", "```bash", [START + "code block 1 is marked 'bash' instead of 'sh'"]),
        ("```sh\nmake setup   # tải về tất cả\nmake test\n```", "", [START + "0 code blocks instead of 1"]),
        ("| `RATE_LIMIT` | bao nhiêu |\n", "\n`RATE_LIMIT`\n", [SETTINGS + "table 1: 1 rows instead of 2"]),
        (
            "| `RATE_LIMIT` | bao nhiêu |",
            "| bao nhiêu | `RATE_LIMIT` |",
            [
                SETTINGS + "table 1, row 2, column 1: `RATE_LIMIT` is missing",
                SETTINGS + "table 1, row 2, column 2: `RATE_LIMIT` is not in the English page",
            ],
        ),
        ("[phần cuối](#phần-cuối)", "phần cuối", [START + "the link to docs/vi/start.md#phần-cuối is missing"]),
        (
            "log.md#các-dòng",
            "../log.md#lines",
            [
                START + "the link to docs/vi/log.md#các-dòng is missing",
                START + "the link to docs/log.md#lines is not in the English page",
            ],
        ),
        (
            "## Cấu hình\n",
            "",
            ["docs/vi/start.md: headings differ: English has 'Start', 'The settings' where Vietnamese has 'Bắt đầu'"],
        ),
        (
            "## Phần cuối\n\nHết. Xem [CHANGELOG](../../CHANGELOG.md).\n",
            "",
            ["docs/vi/start.md: headings differ: English has 'The end' where Vietnamese has none"],
        ),
        (
            "## Cấu hình",
            "### Cấu hình",
            ["docs/vi/start.md: headings differ: English has 'The settings' where Vietnamese has 'Cấu hình'"],
        ),
    ],
)
def test_a_difference_is_named_with_its_page_and_section(tmp_path: Path, old: str, new: str, found: list[str]) -> None:
    assert VIETNAMESE.count(old) == 1
    assert differences(tmp_path, VIETNAMESE.replace(old, new)) == found
