"""Tests that no log line shows a value of a library's error or a secret of the settings."""

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
def test_the_log_shows_our_own_error_messages_but_not_those_of_libraries(log_format: str) -> None:
    """Promise 7. Broken by: the log has the message of a library's error, which may quote a row."""
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
def test_an_exception_that_a_library_logs_is_shown_without_its_message(log_format: str) -> None:
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
def test_a_secret_of_the_settings_is_in_no_line(log_format: str) -> None:
    with configured(log_format) as logs:
        secrets = ("mat;khau-sql", "mat-khau-redis", "mat%40khau-mongo", "mat@khau-mongo", "mat-khau-kafka")
        for secret in (*secrets, DSN):
            structlog.get_logger("streams.test").warning("said", what=f"before {secret} after")
            logging.getLogger("pymongo").warning("cannot log in with %s", secret)
        written = logs.getvalue()
        assert written.count("[secret]") == 2 * (len(secrets) + 1)
        assert not [secret for secret in secrets if secret in written]


def test_a_json_line_has_the_documented_fields() -> None:
    with configured("json") as logs:
        structlog.get_logger("streams.test").warning("gate.closed", reason="unreachable")
    line = json.loads(logs.getvalue())
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo is UTC
    assert line == {"event": "gate.closed", "reason": "unreachable", "level": "warning", "logger": "streams.test"}


@in_both_formats
def test_a_line_below_the_log_level_is_not_written(log_format: str) -> None:
    with configured(log_format) as logs:
        structlog.get_logger("streams.test").debug("seen by nobody")
        logging.getLogger("faust").info("nor this")
        assert logs.getvalue() == ""


def test_our_lines_bypass_the_stderr_that_faust_redirects() -> None:
    """Faust logs whatever is written to stderr as a line of its own."""
    taken = StringIO()
    with configured("json") as logs, redirect_stderr(taken):
        structlog.get_logger("streams.test").info("attempt")
    assert json.loads(logs.getvalue())["event"] == "attempt"
    assert taken.getvalue() == ""


@in_both_formats
def test_a_value_that_cannot_be_encoded_is_still_written(log_format: str) -> None:
    with configured(log_format) as logs:
        structlog.get_logger("streams.test").info("attempt", invoice="HD-\ud800", other=object())
        [line] = logs.getvalue().splitlines()
        assert "HD-" in line
        assert "object object at" in line


def test_a_log_that_cannot_be_written_raises_no_error() -> None:
    """The disk may be full, or the reader of the pipe may be gone."""
    with open("/dev/full", "w", buffering=1) as full, configured("json", full):
        structlog.get_logger("streams.test").warning("gate.closed")
        with suppress(OSError):
            full.close()
        structlog.get_logger("streams.test").warning("gate.closed")


def test_settings_without_secrets_mask_no_word() -> None:
    secrets = Secrets(
        settings_for(sales_db_dsn="Driver=nowhere", redis_url="redis://127.0.0.1", mongo_url="mongodb://h")
    )
    assert secrets(None, "info", "at 127.0.0.1 nothing is secret") == "at 127.0.0.1 nothing is secret"


@in_both_formats
def test_a_repeated_line_of_a_library_is_written_now_and_then(log_format: str) -> None:
    with configured(log_format) as logs:
        for number in range(500):
            logging.getLogger("aiokafka").error("Unable connect to node with id %s", number)
            logging.getLogger("aiokafka.consumer").error("Unable connect to node with id %s", number)
            structlog.get_logger("streams.test").info("attempt", number=number)
        lines = logs.getvalue().splitlines()
        assert len([line for line in lines if "Unable connect" in line]) == 2, "one of each"
        assert len([line for line in lines if "attempt" in line]) == 500, "ours all"


def test_suppressed_repetitions_are_counted() -> None:
    now = 0.0
    repeat_filter = RepeatFilter(30, lambda: now)

    def says() -> str | None:
        record = logging.LogRecord("aiokafka", logging.ERROR, "", 1, "no broker: %s", ("x",), None)
        return record.getMessage() if repeat_filter.filter(record) else None

    assert [says() for _ in range(4)] == ["no broker: x", None, None, None]
    now = 31.0
    assert [says() for _ in range(2)] == ["no broker: x (and 3 more like it before)", None]


@in_both_formats
def test_l_control_characters_are_escaped(log_format: str) -> None:
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


def test_l_no_value_starts_a_new_line() -> None:
    """Promise 7. Broken by: a value of a line starts another line, which nobody wrote."""
    with configured("text") as logs:
        structlog.get_logger("streams.test").warning("said", what="a\n2026-01-01 [error    ] forged")
        logging.getLogger("pymongo").warning("cannot read\n2026-01-01 [error    ] forged")
        assert len(logs.getvalue().splitlines()) == 2


@in_both_formats
@pytest.mark.parametrize("password", ['mat"khau', "mat\\khau", "mat\tkhau", "mật'khẩu", "mat\u202ekhau", "mat\x1bkhau"])
def test_l_a_secret_is_masked_in_every_notation(log_format: str, password: str) -> None:
    """Promise 7. Broken by: the log has a secret with a quotation mark as JSON writes it."""
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
def test_l_a_long_value_is_cut_without_leaving_part_of_a_secret(log_format: str) -> None:
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
