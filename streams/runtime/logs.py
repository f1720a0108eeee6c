"""Log lines: JSON for machines, or text for a terminal. Codes and numbers; no names, no secrets, whoever writes."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TextIO
from urllib.parse import quote, unquote, urlsplit

import structlog
from pydantic import SecretStr
from pydantic_core import to_json
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from streams.runtime.escaping import LONGEST, bounded, escaped, in_one_line
from streams.runtime.library_logs import WithoutValues, name_of
from streams.settings import Settings


def without_values(exc_info: ExcInfo) -> str:
    """Where it happened, and what kind of error it was.

    The message of a library's error may quote a row, a token or a connection string. Ours never do; the system's name
    what is wrong with a file or a connection.
    """
    return "\n".join(reversed(list(_blocks(exc_info[1]))))


def _blocks(error: BaseException | None) -> Iterator[str]:
    """Of the error itself, then of what led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts = [*traceback.format_tb(error.__traceback__), name_of(error)]
        if isinstance(error, BaseExceptionGroup):
            parts += ["\n" + "\n".join(_blocks(each)) for each in error.exceptions]
        yield "".join(parts)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Secrets:
    """The last look at a line: what the settings keep secret is in none, whatever it came from."""

    def __init__(self, settings: Settings) -> None:
        fields = (getattr(settings, name, None) for name in Settings.model_fields)
        secrets = [field.get_secret_value() for field in fields if isinstance(field, SecretStr)]
        words = {word for secret in secrets for word in _words(secret)}
        for _ in range(3):  # the description of a value, of that which has it, and that again as JSON
            words |= {written for word in words for written in _written(word)}
        self._words = sorted(words, key=len, reverse=True)

    def __call__(self, _: WrappedLogger, __: str, line: str) -> str:
        return self.without(line)

    def without(self, text: str) -> str:
        for word in self._words:
            if word in text:
                text = text.replace(word, "[secret]")
        return text

    def bound(self, _: WrappedLogger, __: str, line: EventDict) -> EventDict:
        """No value of a line is longer than a person reads. A secret is taken out first: half of one is one still."""
        for name, value in line.items():
            if isinstance(value, BaseException):
                line[name] = name_of(value)
            elif isinstance(value, str):
                if len(value) > LONGEST:
                    line[name] = bounded(self.without(value), _LONGEST_TRACE if name in _TRACES else LONGEST)
            elif not isinstance(value, _SHORT):
                text = _described(value)
                if text is None or len(text) > LONGEST:
                    line[name] = bounded(self.without(text or type(value).__name__))
        return line


def _described(value: Any) -> str | None:
    """None: it cannot describe itself."""
    try:
        return repr(value)
    except Exception:
        return None


def _written(word: str) -> Iterator[str]:
    """As JSON, Python, addresses and `escaped` write it: one with a quotation mark or a tab looks different there."""
    yield json.dumps(word)[1:-1]
    yield json.dumps(word, ensure_ascii=False)[1:-1]
    yield repr(word)[1:-1]
    yield repr(word.encode("utf-8", "replace"))[2:-1]
    yield in_one_line(word)
    yield from {quote(word), quote(word, safe="")}


def _words(secret: str) -> Iterator[str]:
    """A connection string or an address as a whole, and the password in it."""
    if secret:
        yield secret
    if assigned := re.search(r"(?i)\bPWD=(\{[^}]*\}|[^;]+)", secret):
        yield assigned[1].strip("{}")
    if "://" in secret:
        authority = urlsplit(secret).netloc.rpartition("@")[0]
        if password := authority.partition(":")[2]:
            yield from {password, unquote(password)}


class RepeatFilter(logging.Filter):
    """aiokafka says the same over and over while no broker answers, 200 lines a second (measured), and OpenTelemetry
    while nobody takes its spans: of lines alike one passes, and after `seconds` the next, which says how many did not.
    """

    def __init__(self, seconds: float = 30, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(("aiokafka", "opentelemetry")):
            return True
        alike = (record.name, str(record.msg))  # before its values are put in
        now = self._clock()
        at, held_back = self._said.get(alike, (-math.inf, 0))
        if now - at < self._seconds:
            self._said[alike] = (at, held_back + 1)
            return False
        self._said[alike] = (now, 0)
        if held_back:
            record.msg = f"{record.msg} (and {held_back} more like it before)"
        return True


class Lines:
    """Where our own lines go: to stderr, past the handlers of `logging`, which took twice as long for each.

    As with those, a log that cannot be written (a full disk, a pipe that nobody reads) costs no sale.
    """

    def __init__(self, stderr: TextIO, name: str = "streams") -> None:
        """`stderr`: as it was before Faust made `sys.stderr` one that logs what is written to it."""
        self._stderr = stderr
        self.name = name

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stderr.write(f"{line}\n")

    debug = info = warning = error = critical = write


_TRACES = ("exception", "stack")
_LONGEST_TRACE = 20_000
_SHORT = (int, float, bool, type(None))
_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.ExceptionRenderer(without_values),
]


def _json(line: Any, **_: Any) -> str:
    try:
        return to_json(line, fallback=repr).decode()
    except ValueError:  # half a letter, which UTF-8 has no bytes for
        return json.dumps(line, default=repr)


def _one_line_each(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """For a terminal: no value begins a line that looks like another."""
    for name, value in line.items():
        if isinstance(value, str) and name not in _TRACES:
            line[name] = in_one_line(value)
    return line


def _harmless(_: WrappedLogger, __: str, line: str) -> str:
    return escaped(line)


def logging_config(settings: Settings) -> dict[str, Any]:
    """For `logging.config.dictConfig`: how the lines of libraries are written. Ours are from now on."""
    secrets = Secrets(settings)
    rendering: list[Any] = (
        [structlog.processors.JSONRenderer(_json)]
        if settings.log_format == "json"
        else [_one_line_each, structlog.dev.ConsoleRenderer(colors=False)]
    )
    last = [secrets.bound, *rendering, _harmless, secrets]
    structlog.configure(
        processors=[*_SHARED, *last],
        logger_factory=partial(Lines, sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        "foreign_pre_chain": _SHARED,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "filters": {"seldom": {"()": RepeatFilter}, "values": {"()": WithoutValues}},
        # Faust sets the level of this handler, by -l. Ours is LOG_LEVEL.
        "handlers": {
            "libraries": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["seldom", "values"]}
        },
        "root": {"handlers": ["libraries"], "level": "WARNING"},
        "loggers": {
            name: {"level": "WARNING"} for name in ("faust", "mode", "aiokafka", "httpx", "httpcore", "pymongo")
        },
    }
