"""M7: tests that a library's log line has the class of an error but none of its values."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from mode import Service

from streams.runtime.library_logs import catch_what_python_writes
from tests.support.written_logs import PRIVATE, configured, in_both_formats

LOGGER = logging.getLogger("mode.services")


def by_argument(error: Exception) -> None:
    LOGGER.error("Crashed reason=%r", error)


def by_argument_as_text(error: Exception) -> None:
    LOGGER.warning("gave up: %s", error)


def by_a_mapping(error: Exception) -> None:
    LOGGER.warning("gave up: %(why)s", {"why": error})


def within_a_list(error: Exception) -> None:
    LOGGER.warning("gave up: %r", [("partition 1", error)])


def as_the_message(error: Exception) -> None:
    LOGGER.error(error)


def by_text_of_its_own(error: Exception) -> None:
    LOGGER.warning(f"seek failed {error}")


def by_its_description(error: Exception) -> None:
    LOGGER.warning(f"seek failed {error!r} at 5")


def by_what_was_in_it(error: Exception) -> None:
    LOGGER.warning("%s", f"refused: {error.args[0]}", exc_info=error)


WAYS = (
    by_argument,
    by_argument_as_text,
    by_a_mapping,
    within_a_list,
    as_the_message,
    by_text_of_its_own,
    by_its_description,
    by_what_was_in_it,
)


@in_both_formats
@pytest.mark.parametrize("say", WAYS)
@pytest.mark.parametrize("value", [PRIVATE, f"{PRIVATE}\n{PRIVATE}", f'it\'s "{PRIVATE}" (1)', f"\x1b{PRIVATE}\\"])
def test_m7_the_value_of_a_librarys_error_is_in_no_line(
    log_format: str, say: Callable[[Exception], None], value: str
) -> None:
    """Promise 7. Broken by: the line that a library writes has the value of its error.
    Promise 7. Broken by: a line into which a library formats an error itself has the value of the error.
    """
    with configured(log_format) as logs:
        try:
            raise ValueError(value) from KeyError(value)
        except ValueError as error:
            say(error)
        line = logs.getvalue()
    assert PRIVATE not in line
    assert json.dumps(PRIVATE)[1:-1] not in line
    assert "ValueError" in line


@in_both_formats
@pytest.mark.parametrize("said", [PRIVATE, "another"], ids=["by the error", "by the task alone"])
async def test_m7_a_line_of_asyncio_has_no_value(log_format: str, said: str) -> None:
    """Promise 7. Broken by: asyncio's line about a task has what the task was given."""

    async def fails(name: str) -> None:
        raise ValueError(said)

    def called(name: str) -> None:
        raise ValueError(said)

    loop = asyncio.get_running_loop()
    with configured(log_format) as logs:
        task = asyncio.create_task(fails(PRIVATE), name=PRIVATE)
        await asyncio.wait([task])
        del task
        gc.collect()
        loop.call_soon(called, PRIVATE)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.call_exception_handler({"message": "odd", "future": PRIVATE, "exception": KeyError(said)})
        written = logs.getvalue()
    assert PRIVATE not in written
    for shown in ("Task exception was never retrieved", "fails", "Exception in callback", "odd", "ValueError"):
        assert shown in written


@in_both_formats
async def test_m7_a_line_of_mode_has_no_value(log_format: str) -> None:
    with configured(log_format) as logs:
        await Service().crash(ValueError(PRIVATE))
        written = logs.getvalue()
    assert PRIVATE not in written
    assert "Crashed reason=ValueError" in written


async def test_m7_a_line_of_the_web_server_has_no_value() -> None:
    async def fails(_: web.Request) -> web.Response:
        raise ValueError(PRIVATE)

    app = web.Application()
    app.router.add_get("/", fails)
    with configured("json") as logs:
        async with TestClient(TestServer(app)) as client:
            assert (await client.get("/")).status == 500
        written = logs.getvalue()
    assert PRIVATE not in written
    assert "ValueError" in written


def test_m7_the_rest_of_a_librarys_line_is_kept() -> None:
    with configured("json") as logs:
        LOGGER.warning("Unable connect to %s:%s: %s", "broker", 9092, ConnectionRefusedError(111, "Connection refused"))
        LOGGER.warning("heartbeat of %s is %d s late (generation %s)", "group", 7, 5)
        logging.getLogger("asyncio").warning("socket.send() raised exception.")
        said = [json.loads(line)["event"] for line in logs.getvalue().splitlines()]
    assert said == [
        "Unable connect to broker:9092: ConnectionRefusedError: [Errno 111] Connection refused",
        "heartbeat of group is 7 s late (generation 5)",
        "socket.send() raised exception.",
    ]


def test_m7_a_line_that_cannot_be_formatted_loses_only_its_values() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise ValueError(PRIVATE)

    with configured("json") as logs:
        LOGGER.warning("too %s %s", "few")
        LOGGER.warning("mute: %r", Mute())
        structlog.get_logger("streams.test").warning("mute", what=Mute())
        written = logs.getvalue()
    assert len(written.splitlines()) == 3
    assert PRIVATE not in written


@pytest.fixture
def hooks() -> Iterator[None]:
    before = sys.excepthook, threading.excepthook, sys.unraisablehook
    catch_what_python_writes()
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = before


@pytest.mark.usefixtures("hooks")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@in_both_formats
def test_m7_an_uncaught_error_shows_no_value(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Promise 7. Broken by: Python writes the value of an error that nobody caught to stderr.
    Promise 7. Broken by: the error that ended a thread is on stderr with its values.
    Promise 7. Broken by: an unraisable error is on stderr with its values.
    """

    class Broken:
        def __del__(self) -> None:
            raise KeyError(PRIVATE)

    def fails() -> None:
        raise ValueError(PRIVATE)

    with configured(log_format) as logs:
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()
        broken = Broken()
        del broken
        try:
            fails()
        except ValueError as error:
            sys.excepthook(type(error), error, error.__traceback__)
        written = logs.getvalue()
    said = capfd.readouterr()
    assert PRIVATE not in written + said.out + said.err
    for event in ("process.uncaught", "thread.uncaught", "process.unraisable", "KeyError", "ValueError"):
        assert event in written
