"""No line carries a value of somebody else's error, or anything that the settings keep secret."""

from __future__ import annotations

import json
import logging
import logging.config
import unicodedata
from contextlib import redirect_stderr, suppress
from datetime import UTC, datetime
from io import StringIO
from urllib.parse import quote

import pytest
import structlog

from streams.runtime.logs import RepeatFilter, Secrets
from streams.stores.sales_db import StoreUnavailable
from tests.contract.stores.databases import settings_for
from tests.support.written_logs import DSN, PRIVATE, configured, in_both_formats


@in_both_formats
def test_a_librarys_message_is_not_shown_and_ours_is(log_format: str) -> None:
    """Promise 7. Broken by: the message of a library's error, which may quote a row, stands in the log."""
    with configured(log_format) as logs:
        log = structlog.get_logger("streams.test")
        try:
            try:
                raise KeyError(PRIVATE)
            except KeyError as cause:
                raise StoreUnavailable("08S01", 17) from cause
        except StoreUnavailable:
            log.exception("failed", invoice="HD-1")
        line = logs.getvalue()
        assert PRIVATE not in line
        for shown in (
            "KeyError",
            "streams.stores.store_errors.StoreUnavailable: SQLSTATE 08S01, server error 17",
            "HD-1",
        ):
            assert shown in line
        assert "test_logs.py" in line, "where it happened"


@in_both_formats
def test_the_message_in_another_programs_line_is_not_shown(log_format: str) -> None:
    with configured(log_format) as logs:
        try:
            raise ExceptionGroup(PRIVATE, [ValueError(PRIVATE), OSError(111, "Connection refused", PRIVATE)])
        except ExceptionGroup:
            logging.getLogger("faust.agent").exception("crashed")
        line = logs.getvalue()
        assert PRIVATE not in line
        for shown in ("crashed", "ExceptionGroup", "ValueError", "[Errno 111] Connection refused"):
            assert shown in line


@in_both_formats
def test_what_the_settings_keep_secret_is_in_no_line(log_format: str) -> None:
    with configured(log_format) as logs:
        secrets = ("mat;khau-sql", "mat-khau-redis", "mat%40khau-mongo", "mat@khau-mongo", "mat-khau-kafka")
        for secret in (*secrets, DSN):
            structlog.get_logger("streams.test").warning("said", what=f"before {secret} after")
            logging.getLogger("pymongo").warning("cannot log in with %s", secret)
        written = logs.getvalue()
        assert written.count("[secret]") == 2 * (len(secrets) + 1)
        assert not [secret for secret in secrets if secret in written]


def test_a_line_is_what_a_machine_reads() -> None:
    with configured("json") as logs:
        structlog.get_logger("streams.test").warning("gate.closed", reason="unreachable")
    line = json.loads(logs.getvalue())
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo is UTC
    assert line == {"event": "gate.closed", "reason": "unreachable", "level": "warning", "logger": "streams.test"}


@in_both_formats
def test_below_its_level_nothing_is_written(log_format: str) -> None:
    with configured(log_format) as logs:
        structlog.get_logger("streams.test").debug("seen by nobody")
        logging.getLogger("faust").info("nor this")
        assert logs.getvalue() == ""


def test_our_lines_go_past_what_faust_makes_of_stderr() -> None:
    """It logs what is written there, as a line of its own."""
    taken = StringIO()
    with configured("json") as logs, redirect_stderr(taken):
        structlog.get_logger("streams.test").info("attempt")
    assert json.loads(logs.getvalue())["event"] == "attempt"
    assert taken.getvalue() == ""


@in_both_formats
def test_what_no_line_can_hold_is_written_as_it_can_be(log_format: str) -> None:
    with configured(log_format) as logs:
        structlog.get_logger("streams.test").info("attempt", invoice="HD-\ud800", other=object())
        [line] = logs.getvalue().splitlines()
        assert "HD-" in line
        assert "object object at" in line


def test_a_log_that_cannot_be_written_costs_nothing() -> None:
    """A full disk; a pipe that nobody reads any more."""
    with open("/dev/full", "w", buffering=1) as full, configured("json", full):
        structlog.get_logger("streams.test").warning("gate.closed")
        with suppress(OSError):
            full.close()
        structlog.get_logger("streams.test").warning("gate.closed")


def test_no_secret_no_word() -> None:
    secrets = Secrets(
        settings_for(sales_db_dsn="Driver=nowhere", redis_url="redis://127.0.0.1", mongo_url="mongodb://h")
    )
    assert secrets(None, "info", "at 127.0.0.1 nothing is secret") == "at 127.0.0.1 nothing is secret"


@in_both_formats
def test_a_library_that_repeats_itself_is_let_through_now_and_then(log_format: str) -> None:
    with configured(log_format) as logs:
        for number in range(500):
            logging.getLogger("aiokafka").error("Unable connect to node with id %s", number)
            logging.getLogger("aiokafka.consumer").error("Unable connect to node with id %s", number)
            structlog.get_logger("streams.test").info("attempt", number=number)
        lines = logs.getvalue().splitlines()
        assert len([line for line in lines if "Unable connect" in line]) == 2, "one of each"
        assert len([line for line in lines if "attempt" in line]) == 500, "ours all"


def test_what_was_held_back_is_counted() -> None:
    now = 0.0
    seldom = RepeatFilter(30, lambda: now)

    def says() -> str | None:
        record = logging.LogRecord("aiokafka", logging.ERROR, "", 1, "no broker: %s", ("x",), None)
        return record.getMessage() if seldom.filter(record) else None

    assert [says() for _ in range(4)] == ["no broker: x", None, None, None]
    now = 31.0
    assert [says() for _ in range(2)] == ["no broker: x (and 3 more like it before)", None]


@in_both_formats
def test_l_what_steers_a_terminal_is_written_out(log_format: str) -> None:
    """Promise 7. Broken by: a text from outside steers the terminal that shows the log."""
    steering = "\x1b[2J\x07\x7f\x9b31m\u202e\u2066\u2028\r\x00"
    with configured(log_format) as logs:
        structlog.get_logger("streams.test").warning("said", what=f"a{steering}b")
        logging.getLogger("pymongo").warning("cannot read %s", f"a{steering}b")
        try:
            raise StoreUnavailable("08S01", 17)
        except StoreUnavailable:
            structlog.get_logger("streams.test").exception("failed", what=steering)
        written = logs.getvalue()
    odd = [letter for letter in written if unicodedata.category(letter)[0] in "CZ" and letter not in " \n"]
    assert odd == []
    assert "\\u001b[2J\\u0007\\u007f\\u009b31m\\u202e" in written
    if log_format == "json":
        assert json.loads(written.splitlines()[0])["what"] == f"a{steering}b"


def test_l_no_value_makes_a_line_of_its_own() -> None:
    """Promise 7. Broken by: a value of a line begins another line, which nobody wrote."""
    with configured("text") as logs:
        structlog.get_logger("streams.test").warning("said", what="a\n2026-01-01 [error    ] forged")
        logging.getLogger("pymongo").warning("cannot read\n2026-01-01 [error    ] forged")
        assert len(logs.getvalue().splitlines()) == 2


@in_both_formats
@pytest.mark.parametrize("password", ['mat"khau', "mat\\khau", "mat\tkhau", "mật'khẩu", "mat\u202ekhau", "mat\x1bkhau"])
def test_l_a_secret_is_masked_however_a_line_writes_it(log_format: str, password: str) -> None:
    """Promise 7. Broken by: a secret with a quotation mark stands in the log as JSON writes it."""
    with configured(log_format, settings={"redis_url": f"redis://:{quote(password)}@127.0.0.1:6379/0"}) as logs:
        log = structlog.get_logger("streams.test")
        log.warning("said", what=password, within=[password, {"password": password}])
        log.warning(f"said {password}")
        logging.getLogger("pymongo").warning("cannot log in with %s, %r", password, password)
        written = logs.getvalue()
    assert written.count("[secret]") == 6
    assert "khau" not in written
    assert "khẩu" not in written


@in_both_formats
def test_l_a_value_is_no_longer_than_a_person_reads_and_no_half_of_a_secret_is_left(log_format: str) -> None:
    """Promise 7. Broken by: where a long value is cut, half of a secret is left.
    Promise 5. Broken by: one value of half a megabyte is a line of half a megabyte, each time.
    """
    secret = "mat-khau-kafka"
    with configured(log_format) as logs:
        log = structlog.get_logger("streams.test")
        for before in range(1990, 2001):
            log.warning("read", what="x" * before + secret + "x" * 400_000)
        log.warning("read", what=["x" * 400_000], other={"x": "x" * 400_000})
        log.warning("x" * 400_000)
        logging.getLogger("pymongo").warning("cannot read %s", "x" * 400_000)
        lines = logs.getvalue().splitlines()
    assert max(map(len, lines)) < 10_000
    assert not [line for line in lines if "mat-" in line]
