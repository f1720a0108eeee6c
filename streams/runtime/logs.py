"""The format of log lines: JSON for machines, or text for a terminal. They contain codes and numbers, but no names of
people and no secrets, whichever code or library logs them.
"""

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
from streams.runtime.library_logs import ValueRedactor, name_of
from streams.settings import Settings


def without_values(exc_info: ExcInfo) -> str:
    """Return the traceback of an exception without its values: where it happened and the class of each error.

    The text of a library's error may quote a row, a token or a connection string, so it is left out. The texts of our
    own errors never do, and those of the operating system name a problem with a file or a connection.
    """
    return "\n".join(reversed(list(_blocks(exc_info[1]))))


def _blocks(error: BaseException | None) -> Iterator[str]:
    """Yield one text block for the error itself, then one for each error that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts = [*traceback.format_tb(error.__traceback__), name_of(error)]
        if isinstance(error, BaseExceptionGroup):
            parts += ["\n" + "\n".join(_blocks(each)) for each in error.exceptions]
        yield "".join(parts)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Secrets:
    """Masks secrets: whatever the settings declare as secret is removed from every line, whatever logged it."""

    def __init__(self, settings: Settings) -> None:
        fields = (getattr(settings, name, None) for name in Settings.model_fields)
        values = [field.get_secret_value() for field in fields if isinstance(field, SecretStr)]
        texts = {text for value in values for text in _secret_parts(value)}
        texts |= {quoted for text in texts for quoted in (quote(text), quote(text, safe=""))}  # as in a URL
        for _ in range(3):  # as the repr of a value, of the object that has it, and of that again inside JSON
            texts |= {written for text in texts for written in _written(text)}
        self._secrets = sorted(texts, key=len, reverse=True)

    def __call__(self, _: WrappedLogger, __: str, line: str) -> str:
        return self.without(line)

    def without(self, text: str) -> str:
        """Return `text` with every secret replaced by "[secret]"."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "[secret]")
        return text

    def bound(self, _: WrappedLogger, __: str, line: EventDict) -> EventDict:
        """Shorten the values of a line to what a person reads. Secrets are masked first: half of a secret would still
        be one.
        """
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
    """Return the repr of `value`; None if it raises."""
    try:
        return repr(value)
    except Exception:
        return None


def _written(text: str) -> Iterator[str]:
    """Yield `text` as JSON, Python's repr and `escaped` write it: quotation marks, backslashes and tabs look
    different there.
    """
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield repr('"' + text)[2:-1]  # in a text with both quotation marks one of them is escaped
    yield repr(text.encode("utf-8", "replace"))[2:-1]
    yield in_one_line(text)


def _secret_parts(secret: str) -> Iterator[str]:
    """Yield a secret as a whole, and the password within it where it is a connection string or a URL."""
    if secret:
        yield secret
    if assigned := re.search(r"(?i)\bPWD=(\{[^}]*\}|[^;]+)", secret):
        yield assigned[1].strip("{}")
    if "://" in secret:
        authority = urlsplit(secret).netloc.rpartition("@")[0]
        if password := authority.partition(":")[2]:
            yield from {password, unquote(password)}


class RepeatFilter(logging.Filter):
    """Drops repeated log records. aiokafka logs the same record 200 times a second (measured) while no broker answers,
    and so does OpenTelemetry while no collector accepts its spans. Of equal records one passes in every `seconds`, and
    says how many were dropped before it.
    """

    def __init__(self, seconds: float = 30, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(("aiokafka", "opentelemetry")):
            return True
        template = (record.name, str(record.msg))  # the message before its arguments are inserted
        now = self._clock()
        passed_at, suppressed = self._passed.get(template, (-math.inf, 0))
        if now - passed_at < self._seconds:
            self._passed[template] = (passed_at, suppressed + 1)
            return False
        self._passed[template] = (now, 0)
        if suppressed:
            record.msg = f"{record.msg} (and {suppressed} more like it before)"
        return True


class StderrLogger:
    """Writes our own log lines straight to stderr, without the handlers of `logging`, which took twice as long per
    line.

    As with those handlers, a log that cannot be written (a full disk, a pipe that nobody reads) does not stop any sale.
    """

    def __init__(self, stderr: TextIO, name: str = "streams") -> None:
        """`stderr`: the original stream, from before Faust replaces `sys.stderr` by one that logs what is written to
        it.
        """
        self._stderr = stderr
        self.name = name

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stderr.write(f"{line}\n")

    debug = info = warning = error = critical = write


_TRACES = ("exception", "stack")
_LONGEST_TRACE = 20_000
_SHORT = (int, float, bool, type(None))
_SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.ExceptionRenderer(without_values),
]


def _json(line: Any, **_: Any) -> str:
    try:
        return to_json(line, fallback=repr).decode()
    except ValueError:  # a lone surrogate, which UTF-8 cannot encode
        return json.dumps(line, default=repr)


def _values_in_one_line(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Escape line breaks in values for a terminal, so that no value can start a line that looks like a log line."""
    for name, value in line.items():
        if isinstance(value, str) and name not in _TRACES:
            line[name] = in_one_line(value)
    return line


def _escaped_line(_: WrappedLogger, __: str, line: str) -> str:
    return escaped(line)


def logging_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`, which formats the log records of libraries. The format
    of our own log lines is set up right away.
    """
    secrets = Secrets(settings)
    rendering: list[Any] = (
        [structlog.processors.JSONRenderer(_json)]
        if settings.log_format == "json"
        else [_values_in_one_line, structlog.dev.ConsoleRenderer(colors=False)]
    )
    last = [secrets.bound, *rendering, _escaped_line, secrets]
    structlog.configure(
        processors=[*_SHARED_PROCESSORS, *last],
        logger_factory=partial(StderrLogger, sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        "foreign_pre_chain": _SHARED_PROCESSORS,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "filters": {"repeats": {"()": RepeatFilter}, "values": {"()": ValueRedactor}},
        # Faust sets the level of this handler from its option -l. The level of our own lines is LOG_LEVEL.
        "handlers": {
            "libraries": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["repeats", "values"]}
        },
        "root": {"handlers": ["libraries"], "level": "WARNING"},
        "loggers": {
            name: {"level": "WARNING"} for name in ("faust", "mode", "aiokafka", "httpx", "httpcore", "pymongo")
        },
    }
