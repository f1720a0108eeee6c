"""Tests that the systemd unit is valid and has what the worker needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from streams.operators.commands.sizing import MEMORY_MB
from streams.runtime.open_files import open_files_needed
from streams.runtime.process_exit import SHUTDOWN_AFTER_DRAIN
from streams.settings import Settings
from tests.contract.stores.databases import settings_for

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "docs/systemd/pharmacy-sale-streams@.service"
HOME = "/opt/pharmacy-sale-streams"


@pytest.fixture
def unit() -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def test_the_unit_starts_the_worker_in_the_folder_of_its_settings(unit: ConfigParser) -> None:
    service = unit["Service"]
    assert service["ExecStart"] == f"{HOME}/.venv/bin/faust -A streams.app worker"
    assert service["WorkingDirectory"] == HOME
    assert service["Environment"] == "WEB_PORT=%i"
    assert service["User"] not in ("", "root")
    (documentation,) = unit["Unit"]["Documentation"].split()
    assert (ROOT / documentation.removeprefix(f"file://{HOME}/")).is_file()


def test_systemd_always_restarts_the_worker_except_for_a_wrong_setting(unit: ConfigParser) -> None:
    assert unit["Service"]["Restart"] == "always"
    assert unit["Service"]["RestartPreventExitStatus"] == "2"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_systemd_gives_the_worker_time_to_drain(unit: ConfigParser) -> None:
    needed = Settings.model_fields["drain_timeout"].default + SHUTDOWN_AFTER_DRAIN + 5
    assert float(unit["Service"]["TimeoutStopSec"]) >= needed


def test_h3_the_unit_allows_as_many_files_as_the_largest_setting_needs(unit: ConfigParser) -> None:
    most = next(bound.le for bound in Settings.model_fields["max_in_flight"].metadata if hasattr(bound, "le"))
    assert int(unit["Service"]["LimitNOFILE"]) >= open_files_needed(settings_for(max_in_flight=most))


def test_l_the_unit_forbids_core_dumps_and_sets_bounds(unit: ConfigParser) -> None:
    service = unit["Service"]
    assert service["LimitCORE"] == "0"
    assert int(service["MemoryMax"].removesuffix("G")) * 1024 >= 2 * MEMORY_MB
    assert service["SystemCallFilter"] == "@system-service"
    assert service["RuntimeDirectoryMode"] == "0700"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd on the machine")
def test_systemd_accepts_the_unit_without_warnings(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name.replace("@", "@6066")
    here.write_text(UNIT.read_text().replace(f"{HOME}/.venv/bin/faust", sys.executable))
    verify = ["systemd-analyze", "verify", "--man=no", str(here)]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
