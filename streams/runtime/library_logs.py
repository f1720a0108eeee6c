"""Log records of libraries, without the values that their errors carry, such as a row, a name or a token. Of an error
only its class is logged.

A library may put an error into its record as an argument, in a text that it builds itself, or inside the description of
a task. In addition, Python itself writes uncaught exceptions to stderr.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import structlog

from streams.runtime.escaping import bounded

_MAX_LENGTH = 4_000
_MIN_REDACTED_LENGTH = 3
"""Characters. Shorter values are not redacted: they occur in too many ordinary words."""
_MAX_PLAIN_NUMBER = 100_000
"""Integers up to this are a status or a count, and are not redacted."""
_ERROR = r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|ExceptionGroup|Warning|Timeout|Interrupt|Exit)"
_REPR_OF_ERROR = re.compile(rf"\b({_ERROR})\(.*\)", re.DOTALL)
"""An error as `repr` writes it."""
_TRACEBACK_LINE = re.compile(rf"^(\s*(?:\| )?{_ERROR}): .*$", re.MULTILINE)
"""An error as the last line of a traceback shows it."""
_COROUTINE = re.compile(r"coro=<([\w.<>]+)\(\)")
_CALLBACK = re.compile(r"^(Exception in callback [\w.<>]+)")


def name_of(error: BaseException) -> str:
    """Return the class of `error`. Its text follows only where it is one of our own errors, or the operating system's
    description of a problem with a file or a connection.
    """
    error_type = type(error)
    name = f"{error_type.__module__}.{error_type.__qualname__}".removeprefix("builtins.")
    if error_type.__module__.startswith("streams."):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: [Errno {error.errno}] {error.strerror}"
    return name


class ValueRedactor(logging.Filter):
    """Rewrites each log record of a library before any handler formats it."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = _text(record)
        if record.name == "asyncio":
            text = _without_arguments(text)
        raised = record.exc_info[1] if record.exc_info else None
        for error in {id(each): each for each in (*_chain(raised), *_chain(sys.exc_info()[1]))}.values():
            text = _redacted(text, error)
        text = _TRACEBACK_LINE.sub(r"\1", _REPR_OF_ERROR.sub(r"\1(…)", text))
        record.msg, record.args = bounded(text, _MAX_LENGTH), ()
        return True


def _text(record: logging.LogRecord) -> str:
    args = record.args
    record.args = _with_names(dict(args)) if isinstance(args, dict) else tuple(_with_names(each) for each in args or ())
    if isinstance(record.msg, BaseException):
        return name_of(record.msg)
    try:
        return record.getMessage()
    except Exception:  # wrong format arguments, or an object whose repr raises
        return str(record.msg)


class _Name(str):
    """A string that %s and %r write the same way."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _with_names(value: Any) -> Any:
    match value:
        case BaseException():
            return _Name(name_of(value))
        case list() | tuple() | set() | frozenset():
            return [_with_names(each) for each in value]
        case dict():
            return {key: _with_names(each) for key, each in value.items()}
    return value


def _without_arguments(text: str) -> str:
    """Return the text of an asyncio record without arguments. Its first line says what happened; the others describe
    tasks and callbacks with all their arguments.
    """
    first, _, rest = text.partition("\n")
    if callback := _CALLBACK.match(first):
        first = callback[1]
    if first.startswith("Executing "):
        first = "Executing a callback took long"
    return first + "".join(f", in {found}" for found in _COROUTINE.findall(rest or text)[:1])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error`, its causes and contexts, and the members of exception groups, each once."""
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions


def _redacted(text: str, error: BaseException) -> str:
    name = name_of(error)
    texts = {_description(error, repr), _description(error, str), *_values(error)}
    for value in sorted(texts, key=len, reverse=True):
        if len(value) >= _MIN_REDACTED_LENGTH and value not in name:
            text = text.replace(value, name)
    return text


def _values(error: BaseException) -> Iterator[str]:
    if isinstance(error, OSError):
        yield from (str(file) for file in (error.filename, error.filename2) if file is not None)
        return
    for each in error.args:
        if not isinstance(each, int) or abs(each) > _MAX_PLAIN_NUMBER:
            yield _description(each, str)
        if isinstance(each, str | bytes):
            yield repr(each).removeprefix("b")[1:-1]


def _description(value: object, describe: Callable[[object], str]) -> str:
    try:
        return describe(value)
    except Exception:  # an object whose repr raises has not written any value either
        return ""


def catch_what_python_writes() -> None:
    """Log uncaught exceptions from now on, in place of a traceback with values on stderr."""

    def uncaught(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            sys.__excepthook__(KeyboardInterrupt, KeyboardInterrupt(), trace)
        else:
            _log_error("process.uncaught", error)

    def uncaught_in_a_thread(args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, SystemExit):
            _log_error("thread.uncaught", args.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_a_thread
    sys.unraisablehook = lambda args: _log_error("process.unraisable", args.exc_value)


def _log_error(event: str, error: BaseException | None) -> None:
    structlog.get_logger(__name__).error(event, exc_info=error)
