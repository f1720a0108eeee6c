"""A program out of one of Debian's packages. Nothing is installed: the packages would start servers of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from streams.local.cache import cache_folder, made_once
from streams.local.debian import PackagesMissing

_LONGEST = 120


def debian_binary(package: str, binary: str) -> Path:
    """Find the program at the path `binary` of `package`, or raise `PackagesMissing` where it cannot be had."""
    place = cache_folder() / f"{Path(binary).name}-debian"
    return made_once(place, partial(_fetch, package, binary, place))


def _fetch(package: str, binary: str, place: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise PackagesMissing(f"{binary} comes out of Debian's package {package}, and there is no apt-get here")
    download = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        if _run(*download, cwd=folder):
            _run("apt-get", "-q", "update", cwd=folder)  # the lists may be old, or not be there
            if problem := _run(*download, cwd=folder):
                raise PackagesMissing(f"Debian's package {package} cannot be fetched: {problem}")
        (archive,) = Path(folder).glob(f"{package}_*.deb")
        if problem := _run("dpkg-deb", "-x", str(archive), "package", cwd=folder):
            raise PackagesMissing(f"{archive.name} cannot be unpacked: {problem}")
        (Path(folder) / "package" / binary).rename(place)


def _run(*command: str, cwd: str) -> str:
    """Return what went wrong; empty if nothing did."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_LONGEST, check=False)
    return "" if done.returncode == 0 else re.sub(r"\s+", " ", (done.stdout + done.stderr)[-300:])
