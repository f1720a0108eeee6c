"""Tests that what readers are shown of the demo is there, is current, and is not larger than it needs to be."""

from __future__ import annotations

import re
import struct
from itertools import product
from pathlib import Path

import pytest

from streams.operators.commands.failures import COLUMNS
from streams.operators.page.texts import LANGUAGES, Language
from tests.harness.showing.first_five_minutes import FILE, PAGES, START, with_recording
from tests.harness.showing.screenshots import FOLDER, SHOTS, WIDTH, file_of
from tests.support.repository import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORDING = FILE.read_text(encoding="utf-8")
_LARGEST_KB = 200


@pytest.mark.parametrize(("language", "shot"), [*product(LANGUAGES, SHOTS)])
def test_each_screenshot_is_a_png_of_modest_size(language: Language, shot: str) -> None:
    content = file_of(shot, language).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width == WIDTH
    assert SHOTS[shot] * 0.7 < height <= SHOTS[shot]
    assert len(content) < _LARGEST_KB * 1024


def test_there_are_no_other_screenshots_and_the_readme_shows_english_ones() -> None:
    assert {*FOLDER.rglob("*.png")} == {file_of(shot, language) for language in LANGUAGES for shot in SHOTS}
    shown = re.findall(r"\]\((docs/screenshots/[^)]+)\)", README)
    assert shown
    assert {Path(path).parts[2] for path in shown} == {"en"}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_shows_the_recording_shows_it_as_it_is(name: str) -> None:
    page = ROOT / name
    if not page.exists():
        pytest.skip("there is no such page")
    text = page.read_text(encoding="utf-8")
    assert START in text
    assert with_recording(text, RECORDING) == text, "run: make first-five-minutes"


def test_the_recording_shows_the_commands_as_they_are_today() -> None:
    header = next(line for line in RECORDING.splitlines() if line.startswith("id "))
    assert re.split(r" {2,}", header) == [*COLUMNS, "what is wrong"]
    assert "Line " in RECORDING
    assert "was killed (signal 9); starting it again" in RECORDING
    assert "0 twice, 0 unknown to the database" in RECORDING
    assert RECORDING.splitlines()[0].startswith("$ make demo ")


def test_the_recording_names_no_place_of_the_machine_that_it_was_made_on() -> None:
    assert not re.findall(r"/(?:tmp|home|root|work|usr|var)/\S*", RECORDING)
