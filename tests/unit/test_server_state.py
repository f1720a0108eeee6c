"""Tests what `doctor` says of a SQL Server's edition, log, space, log-in mode, owner and replication."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from streams.operators.checks import Level
from streams.operators.checks.server_state import State, judge_server_state
from streams.stores.dialects import DIALECTS

HEALTHY = State(
    version="16.0.4105.2",
    edition="Standard Edition (64-bit)",
    engine=2,
    windows_only=0,
    log_waits_for="NOTHING",
    published=0,
    owner="sa",
    data_mb=4000,
    log_mb=1000,
    log_used_mb=100,
    unlimited_logs=1,
)
EXPRESS: dict[str, Any] = {"edition": "Express Edition (64-bit)", "engine": 4}


def test_a_healthy_server_is_named() -> None:
    [found] = judge_server_state(HEALTHY)
    assert (found.level, found.what) == (Level.OK, "16.0.4105.2, Standard Edition (64-bit)")


def test_a_server_whose_state_is_hidden_is_skipped() -> None:
    assert [found.level for found in judge_server_state(None)] == [Level.SKIPPED]


@pytest.mark.parametrize(
    ("change", "level", "what", "action"),
    [
        ({"log_waits_for": "REPLICATION"}, Level.WARNING, "waits to be captured", "90_capture_off.sql"),
        (
            {"log_waits_for": "REPLICATION", "log_used_mb": 800, "unlimited_logs": 0},
            Level.ERROR,
            "no till can sell (9002)",
            "90_capture_off.sql",
        ),
        ({"log_waits_for": "REPLICATION", "log_used_mb": 950}, Level.ERROR, "950 of 1000 MB", "90_capture_off.sql"),
        ({"log_used_mb": 800, "unlimited_logs": 0}, Level.WARNING, "cannot grow", "BACKUP LOG"),
        (EXPRESS, Level.WARNING, "no change data capture", "CAPTURE=polling"),
        ({"edition": "Web Edition (64-bit)"}, Level.WARNING, "no change data capture", "CAPTURE=polling"),
        ({"version": "12.0.6024.0"}, Level.WARNING, "no change data capture", "CAPTURE=polling"),
        ({"version": "13.0.1601.5"}, Level.WARNING, "no change data capture", "CAPTURE=polling"),
        ({"windows_only": 1}, Level.WARNING, "Windows alone", "SQL Server and Windows Authentication mode"),
        ({"owner": None}, Level.ERROR, "15517", "ALTER AUTHORIZATION"),
        ({"published": 1}, Level.WARNING, "publishes this database", "Log Reader Agent"),
    ],
)
def test_each_fault_of_a_server_is_reported_with_its_action(
    change: dict[str, Any], level: Level, what: str, action: str
) -> None:
    [found] = judge_server_state(replace(HEALTHY, **change))
    assert found.level is level
    assert what in found.what
    assert action in found.action


@pytest.mark.parametrize(
    ("change", "captures"),
    [
        ({"version": "13.0.4001.0"}, True),
        ({"version": "10.50.6000.34", "engine": 3, "edition": "Enterprise Edition"}, True),
        ({"engine": 8, "version": "12.0.2000.8"}, True),
        ({"version": "12.0.2000.8"}, False),
        (EXPRESS, False),
    ],
)
def test_an_edition_captures_changes_as_microsoft_documents_it(change: dict[str, Any], captures: bool) -> None:
    assert replace(HEALTHY, **change).captures is captures


def test_what_capture_needs_is_not_missed_where_workers_poll() -> None:
    polled = replace(HEALTHY, **EXPRESS, owner=None, published=1)
    assert [found.level for found in judge_server_state(polled, polls=True)] == [Level.OK]


def test_an_express_database_near_its_limit_and_an_old_version_are_errors() -> None:
    found = judge_server_state(replace(HEALTHY, **EXPRESS, data_mb=9500, version="10.50.6000.34"))
    assert [each.what.split(":")[0] for each in found if each.level is Level.ERROR] == [
        "9500 of the 10240 MB of Express are used",
        "10.50.6000.34 is older than SQL Server 2012",
    ]
    assert all(each.action for each in found)


def test_the_query_returns_the_fields_in_their_order() -> None:
    query = DIALECTS["Microsoft SQL Server"].catalogue.server
    assert query is not None
    tree = sqlglot.parse_one(query, read="tsql")
    assert isinstance(tree, exp.Select)
    assert [column.alias for column in tree.expressions] == [field.name for field in fields(State)]
