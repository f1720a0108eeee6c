"""Tests a part of each suite of attacks; ``make attack`` runs all of them, and others each time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.attack.__main__ import play
from tests.harness.attack.arena import Seen, Suite
from tests.harness.attack.suites import SUITES

SEED = int(os.environ.get("ATTACK_SEED", "20261124"))


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Share what all suites have seen, because the last one searches it."""
    return Seen()


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_the_system_withstands_every_suite_of_attacks(suite: Suite, seen: Seen, tmp_path: Path) -> None:
    arena = play(suite, SEED, max(1, round(suite.count * suite.share)), tmp_path, seen)
    assert not arena.problems, f"{len(arena.problems)} of {arena.tried} did harm:\n{arena.report}"
    assert arena.tried >= arena.count
