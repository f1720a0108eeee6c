"""Tests how missing Debian packages are found, and installed or named, with scripts in place of dpkg and apt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streams.local.debian import Debian, PackagesMissing, browser_packages, sqlite_odbc_driver


class System:
    """A folder with a dpkg-query and an apt-get that keep their state in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.calls = folder / "calls"
        self.dpkg_query = self._script("dpkg-query", f'[ -e "{folder}/installed-$3" ] && printf installed')
        self.apt_get = self._script(
            "apt-get",
            f'echo "$@" >> "{self.calls}"; [ "$2" = update ] && exit 0\n'
            f'for p in "$@"; do case $p in -*|install) ;; *) touch "{folder}/installed-$p";; esac; done',
        )

    def install(self, package: str) -> None:
        (self._folder / f"installed-{package}").touch()

    def _script(self, name: str, body: str) -> str:
        script = self._folder / name
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        return str(script)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_no_command_runs_when_all_packages_are_installed(system: System) -> None:
    for package in ("unixodbc", "libsqliteodbc"):
        system.install(package)
    Debian(system.dpkg_query, system.apt_get, root=True).provide()
    assert not system.calls.exists()


def test_root_installs_the_missing_packages_after_one_update(system: System) -> None:
    system.install("unixodbc")
    reported: list[str] = []
    Debian(system.dpkg_query, system.apt_get, root=True).provide(tell=reported.append)
    assert system.calls.read_text().splitlines() == [
        "-q update",
        "-q install -y --no-install-recommends libsqliteodbc",
    ]
    assert reported == ["installing from Debian, once: libsqliteodbc"]


def test_a_user_other_than_root_gets_the_packages_and_the_command(system: System) -> None:
    with pytest.raises(PackagesMissing, match=r"unixodbc libsqliteodbc\. Run as root:\n  apt-get update && apt-get"):
        Debian(system.dpkg_query, system.apt_get, root=False).provide()
    assert not system.calls.exists()


def test_a_system_without_apt_gets_the_list_of_packages() -> None:
    with pytest.raises(PackagesMissing, match="no apt-get here: unixodbc libsqliteodbc"):
        Debian(None, None, root=True).provide()


def test_a_failed_installation_shows_the_output_of_apt(system: System, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no space left'\nexit 100\n")
    broken.chmod(0o755)
    with pytest.raises(PackagesMissing, match=r"(?s)update failed with 100:\nno space left"):
        Debian(system.dpkg_query, str(broken), root=True).provide(tell=lambda _: None)


@pytest.mark.parametrize("architecture", ["x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu"])
def test_the_sqlite_driver_is_found_for_any_architecture(tmp_path: Path, architecture: str) -> None:
    driver = tmp_path / architecture / "odbc" / "libsqlite3odbc.so"
    driver.parent.mkdir(parents=True)
    driver.touch()
    assert sqlite_odbc_driver(tmp_path) == driver


def test_the_error_about_a_missing_driver_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(PackagesMissing, match="install the package libsqliteodbc"):
        sqlite_odbc_driver(tmp_path)


def test_the_local_command_starts_before_unixodbc_is_installed() -> None:
    """Without unixODBC pyodbc cannot even be imported."""
    without = "import sys; sys.modules['pyodbc'] = None; import streams.local.__main__"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_browser_from_elsewhere_serves_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    release = tmp_path / "os-release"
    release.write_text('NAME="Debian GNU/Linux"\nID=debian\n')
    assert browser_packages(release) == ["chromium", "chromium-driver", "fonts-dejavu-core"]
    release.write_text('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n')
    with pytest.raises(PackagesMissing, match="chromium and chromedriver in PATH, which Ubuntu has as a snap only"):
        browser_packages(release)
    for command in ("chromium", "chromedriver"):
        (tmp_path / command).touch(mode=0o755)
    assert browser_packages(release) == ["fonts-dejavu-core"]
