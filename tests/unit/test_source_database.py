"""Tests that messages about another database are skipped, counted and logged once."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from streams.pipeline.source_database import SourceDatabaseFilter


@pytest.mark.parametrize("database", ["chain", "Chain", "CHAIN"])
def test_a_message_about_our_database_is_accepted_in_any_case(database: str) -> None:
    assert SourceDatabaseFilter("chain").takes("sale-status", database)


def test_our_database_is_recognized_by_the_name_that_debezium_sanitizes_for_topics() -> None:
    assert SourceDatabaseFilter("Nh__thu_c").takes("sale-status", "Nhà thuốc")


def test_a_message_about_another_database_is_counted_each_time_and_logged_once() -> None:
    """Promise 2. Broken by: a decision about another company's sale with the same id becomes that of our own sale."""
    ours = SourceDatabaseFilter("chain")
    with capture_logs() as logs:
        for number in range(100):
            assert not ours.takes("sale-status", "other")
            assert not ours.takes("sale-retry", f"forged {number}")
            assert not ours.takes("sale-retry", "")
    assert ours.passed_over == {"sale-status": 100, "sale-retry": 200}
    assert len(logs) == 20, "whoever makes up names does not fill the log"
    assert [line["topic"] for line in logs].count("sale-status") == 1


def test_the_logged_name_of_another_database_is_short_printable_ascii() -> None:
    with capture_logs() as logs:
        SourceDatabaseFilter("chain").takes("sale-retry", "\x1b[2J\u202eevil\n" * 1000)
    assert logs[0]["database"].isascii()
    assert logs[0]["database"].isprintable()
    assert len(logs[0]["database"]) <= 128
