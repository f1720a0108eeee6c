"""The wheel: the worker and its commands, without the servers, samples and tests of a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import streams
from streams.settings import Settings
from tests.support.repository import ROOT

LOCK = ROOT / ".ci/requirements.lock"
UV = Path(sys.executable).with_name("uv")


def run(*command: str | Path, folder: Path = ROOT, **changed: str) -> subprocess.CompletedProcess[str]:
    foreign = {"PYTHONPATH", *(name.upper() for name in Settings.model_fields)}
    environment = {name: value for name, value in os.environ.items() if name not in foreign} | changed
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def succeed(*command: str | Path, folder: Path = ROOT) -> str:
    done = run(*command, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By way of the source archive, as `uv build` does it."""
    folder = tmp_path_factory.mktemp("dist")
    succeed(UV, "build", "--quiet", "--offline", "--no-build-isolation", "--python", sys.executable, "-o", folder)
    (made,) = folder.glob("*.whl")
    assert len(list(folder.glob("*.tar.gz"))) == 1
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a clean environment that has the wheel and what it depends on, as the lock has it."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    succeed(UV, "venv", "--quiet", "--python", sys.executable, place)
    install = (UV, "pip", "install", "--quiet", "--python", place / "bin/python")
    succeed(*install, "--require-hashes", "-c", LOCK, "-r", ROOT / "pyproject.toml")
    succeed(*install, "--offline", "--no-deps", wheel)
    return place / "bin"


def test_it_has_the_version_that_the_code_has(wheel: Path) -> None:
    assert wheel.name == f"pharmacy_sale_streams-{streams.__version__}-py3-none-any.whl"


def test_it_has_all_of_the_code_but_the_local_stack(wheel: Path) -> None:
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = succeed("git", "ls-files", "streams").split()
    assert packed == {name for name in tracked if not name.startswith("streams/local/")} | {"streams/local.py"}


def test_installed_it_has_the_worker_and_every_command(installed: Path, tmp_path: Path) -> None:
    listed = succeed(installed / "faust", "-A", "streams.app", "--help", folder=tmp_path)
    for command in (
        "worker",
        "doctor",
        "status",
        "failures",
        "lookup",
        "tail",
        "resend",
        "replay",
        "connectors",
        "page",
    ):
        assert f"\n  {command} " in listed, command
    assert "Usage: faust worker" in succeed(
        installed / "faust", "-A", "streams.app", "worker", "--help", folder=tmp_path
    )


def test_installed_it_says_that_the_local_stack_is_not_in_it(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "python", "-m", "streams.local", "up", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "are not part of the installed package" in done.stderr
    done = run(installed / "faust", "-A", "streams.app", "worker", folder=tmp_path, STACK="local")
    assert done.returncode == 2
    assert done.stderr.startswith("settings: STACK=local, and no local stack runs here")
