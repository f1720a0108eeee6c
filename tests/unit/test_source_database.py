"""Messages about another database are passed over, counted and said once."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from streams.pipeline.source_database import SourceDatabaseFilter


@pytest.mark.parametrize("database", ["chain", "Chain", "CHAIN"])
def test_ours_is_taken_in_any_case(database: str) -> None:
    assert SourceDatabaseFilter("chain").takes("sale-status", database)


def test_ours_is_taken_as_debezium_cleans_it_for_a_topics_name() -> None:
    assert SourceDatabaseFilter("Nh__thu_c").takes("sale-status", "Nhà thuốc")


def test_another_one_is_counted_each_time_and_said_once() -> None:
    """Promise 2. Broken by: what was decided about another house's sale of the same id ends ours."""
    ours = SourceDatabaseFilter("chain")
    with capture_logs() as logs:
        for number in range(100):
            assert not ours.takes("sale-status", "other")
            assert not ours.takes("sale-retry", f"forged {number}")
            assert not ours.takes("sale-retry", "")
    assert ours.passed_over == {"sale-status": 100, "sale-retry": 200}
    assert len(logs) == 20, "whoever makes up names does not fill the log"
    assert [line["topic"] for line in logs].count("sale-status") == 1


def test_what_is_said_of_it_carries_no_odd_letters() -> None:
    with capture_logs() as logs:
        SourceDatabaseFilter("chain").takes("sale-retry", "\x1b[2J\u202eevil\n" * 1000)
    assert logs[0]["database"].isascii()
    assert logs[0]["database"].isprintable()
    assert len(logs[0]["database"]) <= 128
