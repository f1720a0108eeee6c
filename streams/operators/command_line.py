"""What all commands share: their options, one event loop, the sales database, and one sentence per unreachable server.

A command starts no part of the worker. Everything that it does is bounded in time, and log lines do not reach the
terminal.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime
from typing import Any, TypeVar

import click
import structlog

from streams.documents.document import DocumentType
from streams.domain.reasons import Code
from streams.operators import Problem
from streams.operators.terminal import plain
from streams.runtime.process_exit import WRONG_SETTINGS
from streams.settings import Settings
from streams.stores.journal import JournalUnavailable
from streams.stores.sales_db import SalesDb, StoreError, UnknownServer, UnreadableRow

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

STOPPED = 130
"""Exit code of a command that was stopped with Ctrl-C."""

JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout instead of text.")
LANGUAGE = click.option(
    "--language",
    type=click.Choice(["en", "vi"]),
    default="en",
    show_default=True,
    help="Language of reasons and actions.",
)
REASON = click.option(
    "--reason",
    type=click.Choice([code.value for code in Code]),
    metavar="CODE",
    help="The reason's code, as docs/failures.md explains it: api_refused, login_refused, ...",
)


def document_option(document_types: Sequence[DocumentType]) -> Callable[[F], F]:
    """Return the option ``--document``, which chooses the document type by its name; the first one is the default."""
    names = [document_type.name for document_type in document_types]
    return click.option(
        "--document", type=click.Choice(names), default=names[0], show_default=True, help="Document type."
    )


def filter_options(command: F) -> F:
    """Add the options ``--shop``, ``--reason``, ``--day`` and ``--since``: the fields of `Search`."""
    options = [
        click.option("--shop", help="The complete shop_pharmacy_code."),
        REASON,
        click.option(
            "--day",
            type=click.DateTime(["%Y-%m-%d"]),
            metavar="DAY",
            help="Changed on that day, in the pharmacy's local time.",
        ),
        click.option(
            "--since",
            type=LOCAL_TIME,
            metavar="TIME",
            help="Changed since then, in the pharmacy's local time: 2026-11-24T08:00.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


LOCAL_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"])


def date_of(day: datetime | None) -> date | None:
    """Return the date that click has parsed as a `datetime`."""
    return day.date() if day else None


def document_type_by_name(document_types: Sequence[DocumentType], name: str) -> DocumentType:
    """Return the document type of this name, which `document_option` has validated."""
    return next(document_type for document_type in document_types if document_type.name == name)


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C stop the command gracefully; the second one raises `KeyboardInterrupt`.

    Yields a function that returns whether the command should stop once the work in progress is done.
    """
    is_requested = False

    def request_stop(_number: int, _frame: object) -> None:
        nonlocal is_requested
        if is_requested:
            raise KeyboardInterrupt
        is_requested = True
        click.echo("Stopping after the current work. Press Ctrl-C again to stop at once.", err=True)

    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield lambda: False
        return
    previous = signal.signal(signal.SIGINT, request_stop)
    try:
        yield lambda: is_requested
    finally:
        signal.signal(signal.SIGINT, previous)


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run `work` in an event loop of its own until it ends, and use the number that it returns as the exit code.

    Raises `SystemExit`: with 1 after a `Problem` or a `StoreError`, which is printed on stderr line by line; with 2
    where the driver of the sales database cannot be used; with `STOPPED` after Ctrl-C; with the number that `work`
    returned, unless it is 0 or None.
    """
    try:
        with _without_logs():
            code = asyncio.run(work)
    except (Problem, StoreError) as problem:
        lines = problem.lines if isinstance(problem, Problem) else [explain_store_error(problem)]
        for line in lines:
            click.echo(plain(line), err=True)
        raise SystemExit(WRONG_SETTINGS if isinstance(problem, UnknownServer) else 1) from None
    except UnicodeEncodeError:  # bytes on the command line that are no UTF-8: no server takes them
        click.echo("An option or argument is no text: it is not in UTF-8.", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(STOPPED) from None
    if code:
        raise SystemExit(code)


@contextmanager
def _without_logs() -> Iterator[None]:
    """Suppress log lines: the command itself reports an unreachable server in one line."""
    config, aiokafka = structlog.get_config(), logging.getLogger("aiokafka")
    level = aiokafka.level
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    aiokafka.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        structlog.configure(**config)
        aiokafka.setLevel(level)


@asynccontextmanager
async def open_sales_db(settings: Settings) -> AsyncIterator[SalesDb]:
    """Yield the open sales database. Raises `StoreError` within SALES_DB_TIMEOUT if it cannot be opened."""
    db = SalesDb(settings)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


class NoJournal:
    """A `HistoryReader` without a history, for commands that read only the sales database."""

    async def history(
        self, document_type: str, pharmacy_code: str, document_code: str, most: int
    ) -> list[Mapping[str, Any]]:
        raise JournalUnavailable("not opened")


def explain_store_error(error: StoreError) -> str:
    """Return one line: what is wrong with the sales database, its error, and the action to take."""
    what, action = describe_store_error(error)
    return f"sales database: {what} ({error}). {action}"


def describe_store_error(error: StoreError) -> tuple[str, str]:
    """Return what is wrong, without a subject ('refuses ...'), and the action to take."""
    if isinstance(error, UnknownServer):
        return "has no driver that can be used", "Correct the SALES_DB settings, or install the driver."
    if error.native == 18456 or error.state.startswith("28"):
        return (
            "rejects the user name or password",
            "Correct user and password in the SALES_DB settings; connectors/sql/40_worker_login.sql.",
        )
    if isinstance(error, UnreadableRow):
        return "has a row that cannot be read", "Enter what looks odd again in the sales software: days and numbers."
    if error.is_lock:
        return "has rows locked by a point of sale", "Try again; if it persists, find the session that holds the lock."
    if error.is_of_connection:
        return (
            "cannot be reached, or closes the connection",
            "Start it, or correct server, database, user, password and encryption in the SALES_DB settings.",
        )
    return "refuses the statement", "`faust -A streams.app doctor` says which table or right is missing."
