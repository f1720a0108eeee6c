"""What libraries log, without the values that their errors carry: a row, a name, a token. An error's class is said.

A library puts an error into its line by any of these ways: as an argument, as text of its own making, within the
description of a task. And Python itself writes to stderr what nobody has caught.
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

_LONGEST = 4_000
_WORTH_HIDING = 3
"""Letters: what is shorter stands in too many words."""
_A_CODE = 100_000
"""Whole numbers up to this are a status or a count."""
_ERROR = r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|ExceptionGroup|Warning|Timeout|Interrupt|Exit)"
_DESCRIBED = re.compile(rf"\b({_ERROR})\(.*\)", re.DOTALL)
"""As `repr` writes it."""
_SAID = re.compile(rf"^(\s*(?:\| )?{_ERROR}): .*$", re.MULTILINE)
"""As the last line of a traceback has it."""
_COROUTINE = re.compile(r"coro=<([\w.<>]+)\(\)")
_CALLBACK = re.compile(r"^(Exception in callback [\w.<>]+)")


def name_of(error: BaseException) -> str:
    """Its class; its text only where it is one of ours, or the system's words about a file or a connection."""
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    if kind.__module__.startswith("streams."):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: [Errno {error.errno}] {error.strerror}"
    return name


class WithoutValues(logging.Filter):
    """Rewrites each record of a library before anything is made of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = _text(record)
        if record.name == "asyncio":
            text = _of_asyncio(text)
        raised = record.exc_info[1] if record.exc_info else None
        for error in {id(each): each for each in (*_all(raised), *_all(sys.exc_info()[1]))}.values():
            text = _without(text, error)
        text = _SAID.sub(r"\1", _DESCRIBED.sub(r"\1(…)", text))
        record.msg, record.args = bounded(text, _LONGEST), ()
        return True


def _text(record: logging.LogRecord) -> str:
    args = record.args
    record.args = _named(dict(args)) if isinstance(args, dict) else tuple(_named(each) for each in args or ())
    if isinstance(record.msg, BaseException):
        return name_of(record.msg)
    try:
        return record.getMessage()
    except Exception:  # what a library asks for wrongly, or an object that cannot describe itself
        return str(record.msg)


class _Name(str):
    """Written the same by %s and %r."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _named(value: Any) -> Any:
    match value:
        case BaseException():
            return _Name(name_of(value))
        case list() | tuple() | set() | frozenset():
            return [_named(each) for each in value]
        case dict():
            return {key: _named(each) for key, each in value.items()}
    return value


def _of_asyncio(text: str) -> str:
    """Its first line says what happened; the others describe tasks and callbacks with all that they were given."""
    first, _, rest = text.partition("\n")
    if callback := _CALLBACK.match(first):
        first = callback[1]
    if first.startswith("Executing "):
        first = "Executing a callback took long"
    return first + "".join(f", in {found}" for found in _COROUTINE.findall(rest or text)[:1])


def _all(error: BaseException | None) -> Iterator[BaseException]:
    """It, and what led to it or is in it."""
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


def _without(text: str, error: BaseException) -> str:
    name = name_of(error)
    said = {_described(error, repr), _described(error, str), *_values(error)}
    for value in sorted(said, key=len, reverse=True):
        if len(value) >= _WORTH_HIDING and value not in name:
            text = text.replace(value, name)
    return text


def _values(error: BaseException) -> Iterator[str]:
    if isinstance(error, OSError):
        yield from (str(file) for file in (error.filename, error.filename2) if file is not None)
        return
    for each in error.args:
        if not isinstance(each, int) or abs(each) > _A_CODE:
            yield _described(each, str)
        if isinstance(each, str | bytes):
            yield repr(each).removeprefix("b")[1:-1]


def _described(value: object, describe: Callable[[object], str]) -> str:
    try:
        return describe(value)
    except Exception:  # one that cannot describe itself has told nobody anything
        return ""


def catch_what_python_writes() -> None:
    """From now on what nobody has caught is a line of the log, and no traceback with values on stderr."""

    def uncaught(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            sys.__excepthook__(KeyboardInterrupt, KeyboardInterrupt(), trace)
        else:
            _say("process.uncaught", error)

    def uncaught_in_a_thread(args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, SystemExit):
            _say("thread.uncaught", args.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_a_thread
    sys.unraisablehook = lambda args: _say("process.unraisable", args.exc_value)


def _say(event: str, error: BaseException | None) -> None:
    structlog.get_logger(__name__).error(event, exc_info=error)
