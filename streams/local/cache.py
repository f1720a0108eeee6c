"""What is fetched or built once, and kept beside the repository."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from streams.local.processes import NotReady, Process

LONGEST = 900
"""Seconds for one thing to be fetched or built."""


def cache_folder() -> Path:
    """`STREAMS_CACHE`, else `.cache` in the repository."""
    chosen = os.environ.get("STREAMS_CACHE")
    return Path(chosen) if chosen else Path(__file__).parents[2] / ".cache"


def made_once(place: Path, make: Callable[[], None]) -> Path:
    """`place`, made by whoever comes first; others wait meanwhile. `make` puts it there when it is whole, or raises."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.with_name(f"{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                make()
    return place


def run_to_end(process: Process, tell: Callable[[str], None], longest: float = LONGEST) -> None:
    """Says every ten seconds that it goes on. Raises `NotReady`, with the last lines of its log, where it fails."""
    began = time.monotonic()
    while process.running and time.monotonic() < began + longest:
        try:
            process.wait(10)
        except NotReady:
            tell(f"  {time.monotonic() - began:.0f} s ...")
    process.succeed(0.1)
