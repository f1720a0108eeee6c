"""What a command opens and shares: the sales database, one event loop, one sentence where a server is away.

Nothing of the worker is started. What a command does is bounded in time, and its log lines are kept off the screen.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, TypeVar

import click
import structlog

from streams.documents.document import DocumentType
from streams.domain.reasons import Code
from streams.operators import Problem
from streams.operators.terminal import plain
from streams.settings import Settings
from streams.stores.journal import JournalUnavailable
from streams.stores.sales_db import SalesDb, StoreError, UnknownServer, UnreadableRow

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_LOCK_TRIES = 3
STOPPED = 130
"""Exit code after Ctrl-C."""

JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout instead of text.")
LANGUAGE = click.option(
    "--language", type=click.Choice(["en", "vi"]), default="en", show_default=True, help="Of reasons and remedies."
)


REASON = click.option(
    "--reason",
    type=click.Choice([code.value for code in Code]),
    metavar="CODE",
    help="Why, as docs/failures.md explains each: api_refused, login_refused, ...",
)


def document(document_types: Sequence[DocumentType]) -> Callable[[F], F]:
    """``--document``: of which kind."""
    names = [document_type.name for document_type in document_types]
    return click.option(
        "--document", type=click.Choice(names), default=names[0], show_default=True, help="Kind of document."
    )


def filters(command: F) -> F:
    """``--shop``, ``--reason``, ``--day`` and ``--since``, as `Search` has them."""
    options = [
        click.option("--shop", help="shop_pharmacy_code, whole."),
        REASON,
        click.option(
            "--day",
            type=click.DateTime(["%Y-%m-%d"]),
            metavar="DAY",
            help="Changed on that day, by the pharmacy's clock.",
        ),
        click.option(
            "--since",
            type=MOMENT,
            metavar="TIME",
            help="Changed since then, by the pharmacy's clock: 2026-11-24T08:00.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"])


def day_of(moment: datetime | None) -> Any:
    return moment.date() if moment else None


def document_type_named(document_types: Sequence[DocumentType], name: str) -> DocumentType:
    return next(document_type for document_type in document_types if document_type.name == name)


@contextmanager
def leaving_off() -> Iterator[Callable[[], bool]]:
    """Within it the first Ctrl-C only asks to leave off once what is being done is done: gives whether it was asked.
    A second one ends the command at once."""
    asked = False

    def ask(_number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        click.echo("Leaves off after what is being done. Ctrl-C again: at once.", err=True)

    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """To its end. Trouble is said line by line on stderr, exit code 1; a number that `work` gives is the exit code."""
    try:
        with _quiet():
            code = asyncio.run(work)
    except (Problem, StoreError) as trouble:
        lines = trouble.lines if isinstance(trouble, Problem) else [explain(trouble)]
        for line in lines:
            click.echo(plain(line), err=True)
        raise SystemExit(1) from None
    except UnicodeEncodeError:  # bytes on the command line that are no UTF-8: no server takes them
        click.echo("An option or argument is no text: it is not in UTF-8.", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(STOPPED) from None
    if code:
        raise SystemExit(code)


@contextmanager
def _quiet() -> Iterator[None]:
    """Servers that are away are said by us, in one line; what the parts of the worker log is for its log."""
    before, aiokafka = structlog.get_config(), logging.getLogger("aiokafka")
    level = aiokafka.level
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    aiokafka.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        structlog.configure(**before)
        aiokafka.setLevel(level)


@asynccontextmanager
async def open_sales_db(settings: Settings) -> AsyncIterator[SalesDb]:
    """Raises `StoreError` within SALES_DB_TIMEOUT where the server is away or refuses."""
    db = SalesDb(settings)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


class NoJournal:
    """For what asks the sales database alone."""

    async def history(self, pharmacy_code: str, document_code: str, most: int) -> list[Mapping[str, Any]]:
        raise JournalUnavailable("not opened")


async def asked(question: Callable[[], Awaitable[T]]) -> T:
    """A question that met a till's lock is asked again. Raises `StoreError`."""
    for _ in range(_LOCK_TRIES - 1):
        try:
            return await question()
        except StoreError as error:
            if not error.is_lock:
                raise
    return await question()


def explain(error: StoreError) -> str:
    """One sentence: what the sales database says, and the remedy."""
    what, action = as_text(error)
    return f"sales database: {what} ({error}). {action}"


def as_text(error: StoreError) -> tuple[str, str]:
    """What, and the remedy."""
    if isinstance(error, UnknownServer):
        return "is not one that is known", "Correct SALES_DB_DSN."
    if error.native == 18456 or error.state.startswith("28"):
        return "refuses user or password", "Correct UID and PWD in SALES_DB_DSN; connectors/sql/40_logins.sql."
    if isinstance(error, UnreadableRow):
        return "has a row that cannot be read", "Enter anew, in the sales software, what looks odd: days and numbers."
    if error.is_lock:
        return "a till keeps rows locked", "Try again; if it lasts, see which session holds the lock."
    if error.state.startswith(("08", "HYT")):
        return (
            "cannot be reached, or ends the connection",
            "Start it, or correct Server, Database, UID, PWD and encryption in SALES_DB_DSN.",
        )
    return "refuses what was asked", "`faust -A streams.app doctor` says which table or right is missing."
