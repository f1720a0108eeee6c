"""Kafka, Connect and the Debezium plugins as jars: fetched once by Maven from `pom.xml`, checked, kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.local.cache import cache_folder, made_once, run_to_end
from streams.local.processes import NotReady, Process

POM = Path(__file__).with_name("pom.xml")
LOCK = Path(__file__).with_name("jars.lock")

_SMALL = ("-XX:+UseSerialGC", "-Xshare:auto")
_QUICK = "-XX:TieredStopAtLevel=1"
"""Starts in half the time, and stays half as fast."""


def missing_packages() -> list[str]:
    """Of Debian's; a Java or Maven from elsewhere serves as well."""
    needed = {"java": "default-jre-headless", "mvn": "maven"}
    return [package for command, package in needed.items() if shutil.which(command) is None]


@dataclass(frozen=True, slots=True)
class Jars:
    home: Path
    lasting: bool = False
    """What is used often is compiled to its full speed, as in production; that takes some 40,000 sales."""

    @property
    def plugins(self) -> Path:
        """Connect's `plugin.path`."""
        return self.home / "plugins"

    def command(self, main: str, *arguments: str | Path, heap_mb: int, log4j: Path | None = None) -> list[str | Path]:
        """Runs a main class of Kafka or Connect."""
        logging = [f"-Dlog4j2.configurationFile={log4j}"] if log4j else []
        options = _SMALL if self.lasting else (*_SMALL, _QUICK)
        return ["java", f"-Xmx{heap_mb}m", *options, *logging, "-cp", f"{self.home / 'kafka'}/*", main, *arguments]


def jars(tell: Callable[[str], None] = print, cache: Path | None = None) -> Jars:
    """From the cache, else through Maven. Raises `NotReady`, also where a jar is not the one that is locked."""
    digest = hashlib.sha256(POM.read_bytes() + LOCK.read_bytes()).hexdigest()[:16]
    home = (cache or cache_folder()).resolve() / "jars" / digest
    return Jars(made_once(home, lambda: _fetch(home, tell)))


def _fetch(home: Path, tell: Callable[[str], None]) -> None:
    unfinished = home.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    tell("fetching Kafka, Connect and Debezium, about 120 MB, once")
    run_to_end(
        Process(
            "fetching Kafka, Connect and Debezium",
            ["mvn", "-B", "-ntp", "-q", "-f", POM, f"-Dtarget={unfinished}", "package"],
            log=home.with_suffix(".log"),
        ),
        tell,
    )
    if wrong := differences(LOCK.read_text(), digests(unfinished)):
        raise NotReady("these are not the jars that jars.lock names: " + "; ".join(wrong))
    unfinished.rename(home)


def digests(folder: Path) -> dict[str, str]:
    """Every jar below `folder`: its place there -> SHA-256, hex."""
    return {
        str(jar.relative_to(folder)): hashlib.sha256(jar.read_bytes()).hexdigest()
        for jar in sorted(folder.rglob("*.jar"))
    }


def differences(lock: str, found: dict[str, str]) -> Sequence[str]:
    """What is missing, not locked, or another; in words."""
    locked = {name: digest for digest, name in (line.split(maxsplit=1) for line in lock.splitlines())}
    return [
        f"{name}: {'missing' if name not in found else 'not locked' if name not in locked else 'another content'}"
        for name in sorted(locked.keys() | found.keys())
        if locked.get(name) != found.get(name)
    ]


def write_lock(folder: Path) -> None:
    """After a change of `pom.xml`: ``python -m streams.local.real.java FOLDER``, with what Maven put there."""
    LOCK.write_text("".join(f"{digest}  {name}\n" for name, digest in digests(folder).items()))


if __name__ == "__main__":
    import sys

    write_lock(Path(sys.argv[1]))
