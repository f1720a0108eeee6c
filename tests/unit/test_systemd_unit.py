"""Tests that the systemd units are valid and have what the worker needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from streams.operators.commands.sizing import MEMORY_MB
from streams.operators.page.generated_code import code_file
from streams.runtime.open_files import open_files_needed
from streams.runtime.process_exit import SHUTDOWN_AFTER_DRAIN
from streams.settings import Settings
from tests.contract.stores.databases import settings_for

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "docs/systemd/pharmacy-sale-streams@.service"
DATABASE_UNIT = ROOT / "docs/systemd/pharmacy-sale-streams-database@.service"
SETTINGS = "/etc/pharmacy-sale-streams"
HOME = "/opt/pharmacy-sale-streams"


@pytest.fixture
def unit() -> ConfigParser:
    return read(UNIT)


def read(file: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(file)
    return parser


def test_the_unit_starts_the_worker_in_the_folder_of_its_settings(unit: ConfigParser) -> None:
    service = unit["Service"]
    assert service["ExecStart"] == f"{HOME}/.venv/bin/faust -A streams.app worker"
    assert service["WorkingDirectory"] == HOME
    assert service["Environment"] == "WEB_PORT=%i"
    assert service["User"] not in ("", "root")
    (documentation,) = unit["Unit"]["Documentation"].split()
    assert (ROOT / documentation.removeprefix(f"file://{HOME}/")).is_file()


def test_the_unit_of_a_database_differs_only_in_where_the_settings_are(unit: ConfigParser) -> None:
    of_database = read(DATABASE_UNIT)
    assert of_database.sections() == unit.sections()
    different = {
        (section, key)
        for section in unit.sections()
        for key in {*unit[section], *of_database[section]}
        if unit[section].get(key) != of_database[section].get(key)
    }
    assert different == {("Unit", "Description"), ("Service", "WorkingDirectory"), ("Service", "Environment")}
    assert of_database["Service"]["WorkingDirectory"] == f"{SETTINGS}/%i"
    assert "Environment" not in of_database["Service"], "WEB_PORT is in the folder's .env"


def test_the_page_code_of_a_database_is_in_the_folder_that_its_unit_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker and `faust -A streams.app page` both run in the folder of the settings."""
    folder, run = tmp_path / "shop-12", tmp_path / "run"
    made = run / read(DATABASE_UNIT)["Service"]["RuntimeDirectory"].replace("%i", folder.name)
    folder.mkdir()
    made.mkdir(parents=True, mode=0o700)
    monkeypatch.chdir(folder)
    assert code_file(settings_for(), run=run) == made / "page-code"
    monkeypatch.chdir(tmp_path)
    assert code_file(settings_for(), run=run).parent != made


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
@pytest.mark.parametrize(("file", "instance"), [(UNIT, "6066"), (DATABASE_UNIT, "shop-12")], ids=["port", "database"])
def test_systemd_accepts_a_unit_without_warnings(tmp_path: Path, file: Path, instance: str) -> None:
    here = tmp_path / file.name.replace("@", f"@{instance}")
    here.write_text(file.read_text().replace(f"{HOME}/.venv/bin/faust", sys.executable))
    verify = ["systemd-analyze", "verify", "--man=no", str(here)]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
