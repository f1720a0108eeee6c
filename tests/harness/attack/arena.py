"""The base of every suite of attacks: numbered attempts from a seed, what was seen, and what failed."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import structlog

from streams.runtime.logs import logging_config
from streams.settings import Settings
from tests.contract.stores.databases import settings_for
from tests.harness.attack.secret_settings import secret_settings

T = TypeVar("T")

MARK = "bi-mat"
"""Stands in everything that is to be kept secret, and in nothing else."""
SECRETS = secret_settings(lambda name: f"{MARK}-{name}-51f0")
PAGE_TOKEN: str = SECRETS["page_token"]
_SHOWN = 12
_LONGEST = 300


class Seen:
    """Collects everything that somebody else may read, of all suites of one run, and searches it for secrets."""

    def __init__(self) -> None:
        self.texts: Counter[str] = Counter()
        """How many, by what they are: log line, page, command, dead letter, ..."""
        self.leaks: list[str] = []

    def look(self, what: str, text: str) -> None:
        self.texts[what] += 1
        if MARK in text:
            at = text.index(MARK)
            self.leaks.append(f"{what}: …{text[max(0, at - 80) : at + 60]!r}…")


@dataclass
class Arena:
    """One suite's run. An attempt depends on seed, suite and number alone, so that it can be made again."""

    suite: str
    seed: int
    count: int
    folder: Path
    seen: Seen = field(default_factory=Seen)
    held: int = 0
    problems: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    @property
    def numbers(self) -> range:
        return range(self.count)

    @property
    def tried(self) -> int:
        return self.held + len(self.problems)

    def random(self, number: int) -> Random:
        return Random(f"{self.seed}/{self.suite}/{number}")

    def choose(self, number: int, among: Sequence[T]) -> T:
        """Choose each once before any is repeated, in an order of the seed's, so that a part of the attempts is
        spread over all.
        """
        order = list(range(len(among)))
        Random(f"{self.seed}/{self.suite}/order {number // len(among)}").shuffle(order)
        return among[order[number % len(among)]]

    def judge(self, number: int, problem: str | None, attempt: object = "") -> None:
        """Record the result of an attempt; `problem` is None where it did no harm."""
        if problem is None:
            self.held += 1
            return
        shown = repr(attempt)
        shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}… ({len(shown)} letters)"
        self.problems.append(f"{self.suite} #{number} (seed {self.seed}): {problem}: {shown}")

    @property
    def report(self) -> str:
        more = f"\n... and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
        return "\n".join(self.problems[:_SHOWN]) + more


@dataclass(frozen=True)
class Suite:
    name: str
    attacked: str
    """For the table: what is attacked, and by what."""
    count: int
    """Attempts of a whole run."""
    run: Callable[[Arena], Coroutine[Any, Any, None]]
    share: float = 0.04
    """Of the attempts, that the gate makes."""


class Lines:
    """Collects log lines as a worker with these settings writes them, our own and those of libraries."""

    name = "streams"

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._new: list[str] = []

    def write(self, line: str) -> None:
        self._seen.look("log line", line)
        self._new.append(line)

    debug = info = warning = error = critical = write

    def flush(self) -> None:
        """Do nothing, because nothing is kept back."""

    def take(self) -> list[str]:
        """Return the lines since the last call."""
        new, self._new = self._new, []
        return new


@contextmanager
def listening(seen: Seen, settings: Settings | None = None) -> Iterator[Lines]:
    """Capture the log with the worker's own configuration; only the destination is ours."""
    before, root = structlog.get_config(), logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    lines = Lines(seen)
    config = logging_config(settings or secretive())
    processors = structlog.get_config()["processors"]
    structlog.configure(**before)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    line = dict(config["formatters"]["line"])
    handler: logging.StreamHandler[Any] = logging.StreamHandler(lines)
    handler.terminator = ""
    handler.setFormatter(line.pop("()")(**line))
    for name in config["handlers"]["libraries"]["filters"]:
        handler.addFilter(config["filters"][name]["()"]())
    root.handlers = [handler]
    root.setLevel("WARNING")
    try:
        yield lines
    finally:
        root.handlers, root.level = handlers, level
        structlog.configure(**before)


def secretive(**changed: Any) -> Settings:
    """Return a worker's settings in which each secret has the mark."""
    return settings_for(**SECRETS | changed)
