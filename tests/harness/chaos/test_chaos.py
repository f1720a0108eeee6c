"""Tests short runs on the real servers: one that is always the same, and one with a new seed."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.harness.chaos.__main__ import show
from tests.harness.chaos.play import Plan, play
from tests.harness.chaos.schedule import plan

_SALES = 150
_SECONDS = 20.0


@pytest.mark.timeout(400)  # a minute, unless the machine is busy with something else
@pytest.mark.parametrize("seed", [7, None], ids=["known", "new"])
def test_every_sale_is_decided_rightly_after_a_short_chaos(
    seed: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = secrets.randbelow(10**6) if seed is None else seed
    report = play(Plan(seed, _SALES, _SECONDS, plan(seed, _SECONDS), tmp_path), print)
    show(report)
    with capsys.disabled():  # also where it passes
        print(f"\nseed {seed}: {report.line}")  # noqa: T201
    assert report.right, report.line
