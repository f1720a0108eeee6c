"""What the local stack needs from Debian: checked, and installed where this process may."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("unixodbc", "libsqliteodbc")
"""The ODBC manager, and SQLite's driver for it."""

EXIT_CODE = 3
"""Of a command that lacks a package."""


class PackagesMissing(Exception):
    """The text names the packages and the command that installs them."""


@dataclass(frozen=True, slots=True)
class Debian:
    """The system's package tools, as paths; None where there are none."""

    dpkg_query: str | None
    apt_get: str | None
    root: bool

    @classmethod
    def here(cls) -> Debian:
        return cls(shutil.which("dpkg-query"), shutil.which("apt-get"), os.geteuid() == 0)

    def provide(self, packages: Iterable[str] = PACKAGES, tell: Callable[[str], None] = print) -> None:
        """Makes sure that `packages` are installed. Raises `PackagesMissing`."""
        missing = self.missing(packages)
        if not missing:
            return
        if self.apt_get is None:
            raise PackagesMissing(f"these packages are missing, and there is no apt-get here: {' '.join(missing)}")
        command = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(missing)}"
        if not self.root:
            raise PackagesMissing(f"missing from this system: {' '.join(missing)}. Run as root:\n  {command}")
        tell(f"installing from Debian, once: {' '.join(missing)}")
        self._apt_get("update")
        self._apt_get("install", "-y", "--no-install-recommends", *missing)
        if still := self.missing(missing):
            raise PackagesMissing(f"apt-get installed, and yet these are missing: {' '.join(still)}")

    def missing(self, packages: Iterable[str]) -> list[str]:
        return [package for package in packages if not self._installed(package)]

    def _installed(self, package: str) -> bool:
        if self.dpkg_query is None:
            return False
        status = "${db:Status-Status}"
        query = [self.dpkg_query, "--show", f"--showformat={status}", package]
        return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"

    def _apt_get(self, *arguments: str) -> None:
        assert self.apt_get is not None  # noqa: S101 - for the type checker; `provide` looked
        done = subprocess.run(
            [self.apt_get, "-q", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
            raise PackagesMissing(f"apt-get {' '.join(arguments)} failed with {done.returncode}:\n{last}")


def browser_packages(os_release: Path = Path("/etc/os-release")) -> list[str]:
    """Return what the tests of the page need of Debian; a Chromium from elsewhere in PATH serves as well. Raises
    `PackagesMissing` on Ubuntu, whose packages of that name hold no browser.
    """
    needed = {"chromium": "chromium", "chromedriver": "chromium-driver"}
    missing = [package for command, package in needed.items() if shutil.which(command) is None]
    if missing and os_release.exists() and "ID=ubuntu" in os_release.read_text(encoding="utf-8").splitlines():
        raise PackagesMissing(
            "the tests of the page need the commands chromium and chromedriver in PATH, which Ubuntu has as a snap "
            "only: snap install chromium, or install Chromium from elsewhere"
        )
    return [*missing, "fonts-dejavu-core"]


def sqlite_odbc_driver(root: Path = Path("/usr/lib")) -> Path:
    """SQLite's ODBC driver, for this machine's architecture. Raises `PackagesMissing`."""
    return odbc_driver("libsqlite3odbc.so", "libsqliteodbc", root)


def odbc_driver(library: str, package: str, root: Path = Path("/usr/lib")) -> Path:
    """An ODBC driver of Debian's, for this machine's architecture. Raises `PackagesMissing`."""
    found = sorted(root.glob(f"*/odbc/{library}"))
    own = root / (sysconfig.get_config_var("MULTIARCH") or "") / "odbc" / library
    if not found:
        raise PackagesMissing(f"no {library} in {root}/*/odbc: install the package {package}")
    return own if own in found else found[0]
