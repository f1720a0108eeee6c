"""Prometheus' own checker, from Debian's package.

Nothing is installed, because the package would start a server.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from streams.local.cache import cache_folder, made_once
from streams.local.debian import PackagesMissing

_LONGEST = 120
_PLACE = "promtool-debian"


def promtool() -> Path:
    """Find promtool, or raise `PackagesMissing` where Debian's packages cannot be had."""
    return made_once(cache_folder() / _PLACE, _fetch)


def _fetch() -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise PackagesMissing("promtool comes out of Debian's package prometheus, and there is no apt-get here")
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        if _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "prometheus", cwd=folder):
            _run("apt-get", "-q", "update", cwd=folder)  # the lists may be old, or not be there
            if problem := _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "prometheus", cwd=folder):
                raise PackagesMissing(f"Debian's package prometheus cannot be fetched: {problem}")
        (package,) = Path(folder).glob("prometheus_*.deb")
        if problem := _run("dpkg-deb", "-x", str(package), "package", cwd=folder):
            raise PackagesMissing(f"{package.name} cannot be unpacked: {problem}")
        (Path(folder) / "package/usr/bin/promtool").rename(cache_folder() / _PLACE)


def _run(*command: str, cwd: str) -> str:
    """Return what went wrong; empty if nothing did."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_LONGEST, check=False)
    return "" if done.returncode == 0 else re.sub(r"\s+", " ", (done.stdout + done.stderr)[-300:])
