"""Tests the alert rules with Prometheus itself: their syntax, and scenes in which they fire or not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from streams.local.debian import PackagesMissing
from tests.promtool import promtool

FOLDER = Path(__file__).parents[2] / "docs/monitoring"


@pytest.fixture(scope="module")
def tool() -> Path:
    try:
        return promtool()
    except PackagesMissing as missing:
        pytest.skip(str(missing))


def test_prometheus_accepts_the_alert_rules(tool: Path) -> None:
    done = subprocess.run(
        [str(tool), "check", "rules", str(FOLDER / "alerts.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_only_then(tool: Path) -> None:
    scenes = [str(tool), "test", "rules", "alerts.test.yml"]
    done = subprocess.run(scenes, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_scene_that_expects_something_else_fails(tool: Path, tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    scenes = (FOLDER / "alerts.test.yml").read_text()
    (tmp_path / "alerts.test.yml").write_text(scenes.replace("PharmacyGateClosed", "PharmacyDeadLetters"))
    wrong = [str(tool), "test", "rules", "alerts.test.yml"]
    done = subprocess.run(wrong, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "PharmacyGateClosed" in done.stdout + done.stderr
