"""Tests that links of the documentation lead somewhere, its commands exist, and its generated pages are current."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from streams.domain.document_status import Status
from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import REASON_TEXTS, RULE_TEXTS, Code
from streams.operators.reference import failures_page as failures
from streams.pipeline.retry_policy import Delays, decide
from streams.settings import Settings
from tests.support.command_line import invoke_faust
from tests.support.markdown_pages import PAGES, code, is_heading, links
from tests.support.repository import ROOT

NAMES = [str(page) for page in PAGES]


def test_the_search_finds_the_known_pages() -> None:
    assert {"README.md", "connectors/README.md", "docs/production.md", "docs/contract/README.md"} <= set(NAMES)
    assert {"README.vi.md", "docs/vi/production.md"} <= set(NAMES)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_to_an_existing_file_and_heading(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        there = target.exists() and target.resolve().is_relative_to(ROOT)
        if not there or (anchor and not is_heading(target.resolve().relative_to(ROOT), anchor)):
            broken.append(link)
    assert broken == []


def test_every_make_command_of_the_pages_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"(?m)(?:^|[;&] *)make ([a-z-]+)", code(page))}
    assert {"demo", "test", "setup"} <= named
    assert named - targets == set()


def faust_commands() -> set[tuple[str, ...]]:
    """Find the commands after `faust -A streams.app`, or `connectors` for short, without options and arguments."""
    found = set()
    for page in PAGES:
        for texts in re.findall(r"(?:faust -A streams\.app|^)((?: ?\b[a-z]+\b)+)", code(page), re.MULTILINE):
            command = tuple(texts.split())
            if command[0] == "connectors":
                found.add(command[:2])
        for texts in re.findall(r"faust -A streams\.app ([a-z]+(?:-[a-z]+)*)", code(page)):
            if texts != "connectors":
                found.add((texts,))
    return found


COMMANDS = sorted(faust_commands())


def test_the_search_finds_the_known_commands() -> None:
    assert {("worker",), ("connectors", "deploy"), ("connectors", "status"), ("connectors", "remove")} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_of_the_pages_has_a_help_text(command: tuple[str, ...], tmp_path: Path) -> None:
    ended = invoke_faust(tmp_path, *command, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"faust {' '.join(command)} [OPTIONS]" in ended.stdout


OF_LIBRARIES = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "OTEL_EXPORTER_OTLP_CERTIFICATE"}
"""Variables of the environment that no setting of ours reads."""


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parts[0] in ("README.md", "README.vi.md", "docs")], ids=str
)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    if page.parts[:2] == ("docs", "decisions"):
        pattern = r"(?m)^([A-Z]+(?:_[A-Z]+)+)=\S*$"  # names of SQL Server's stand there too
    else:
        pattern = r"(?m)^([A-Z]+(?:_[A-Z]+)+)(?:=.*)?$"
    named = set(re.findall(pattern, code(page))) - set(get_args(Status))
    assert named - {name.upper() for name in Settings.model_fields} - OF_LIBRARIES == set()


# ---- what a reason means ----


@pytest.mark.parametrize("path", failures.PAGES)
def test_each_page_of_reasons_matches_the_reason_texts(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == failures.page(failures.PAGES[path]), "run: make failures"


@pytest.mark.parametrize(("path", "language"), [("docs/vi/failures.md", 0), ("docs/failures.md", 1)])
def test_each_page_of_reasons_has_text_and_action_of_every_reason_in_its_language(path: str, language: int) -> None:
    assert failures.BY_ITSELF.keys() == set(Code)
    page = failures.page(failures.PAGES[path])
    for reason in Code:
        section = page.partition(f"### `{reason.value}`\n")[2].partition("\n#")[0]
        texts = REASON_TEXTS[reason]
        both = (texts.vi, texts.en), (texts.action_vi, texts.action_en), failures.BY_ITSELF[reason]
        assert all(text[language] in section and text[1 - language] not in section for text in both)
        assert failures.BY_ITSELF[reason][1].isascii()
        assert not failures.BY_ITSELF[reason][0].isascii()
        assert page.count(f"[`{reason.value}`](#{reason.value})") == 1
    assert all(f"| `{rule}" in page for rule in RULE_TEXTS)


@pytest.mark.parametrize("reason", [code for code in Code if failures.status_of(code) == "PENDING_SYNC"])
def test_a_reason_that_is_described_as_waiting_without_limit_does_so(reason: Code) -> None:
    """The description is compared with the decision itself, a month after the first attempt."""
    delays = Delays((30,), login=3600, soon=5, time_limit=72 * 3600)
    month = 30 * 86_400_000
    decision = decide(
        TryLater(Reason(reason)), delays, tries=1, since=0, now=month, lease_until=0, may_be_stored=False, jitter=0
    )
    names_a_limit = any(f"`{code}`" in failures.BY_ITSELF[reason][1] for code in ("time_limit", "never_taken"))
    if reason in _ONLY_IN_DOUBT or reason is Code.LINES_MISSING:
        assert names_a_limit == (reason is Code.NOT_TAKEN)
    else:
        assert names_a_limit == (decision.status == "SYNC_FAILED")


_ONLY_IN_DOUBT = {
    *(Code.TIMED_OUT, Code.CONNECTION_LOST, Code.API_ERROR, Code.RATE_LIMITED, Code.UNCLEAR_ANSWER),
    *(Code.LOOK_UP_FAILED, Code.REPLACE_REFUSED, Code.NOT_TAKEN, Code.NOT_YET_SHOWN),
    Code.CONTRADICTORY_ANSWERS,
}
"""Never `TryLater`: what may be stored waits until a look-up says that it is not."""
