"""Tests what `doctor` says of SQL Server itself: version, log, space, log-in mode, Agent, owner and replicas."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from streams.operators.checks import Level
from streams.operators.checks.availability import Availability
from streams.operators.checks.server_space import Volume
from streams.operators.checks.server_state import Server, State, judge_server
from streams.stores.capture_state import LogUse
from streams.stores.dialects import DIALECTS
from tests.support.sound_database import EXPRESS, MB, SERVER, STATE, bad

OLD: dict[str, Any] = {"version": "10.50.6000.34", "edition": "Express Edition", "engine": 4}


def server(**changed: Any) -> Server:
    return replace(SERVER, state=replace(STATE, **changed))


def test_of_a_healthy_server_doctor_says_what_00_check_says() -> None:
    found = judge_server(server())
    assert {each.level for each in found} == {Level.OK}
    assert {each.about.removeprefix("SQL Server: "): each.what for each in found} == {
        "version and edition": "16.0.4105.2, Standard Edition (64-bit): serves CAPTURE=polling and CAPTURE=cdc",
        "transaction log": "recovery model FULL, waits for NOTHING, 100 of 1000 MB are used",
        "space for the data": "4000 MB are used",
        "space on the disk": "C:\\ has 90000 of 200000 MB free",
        "row versions": "snapshot isolation on, read committed snapshot off",
    }


def test_a_server_whose_state_is_hidden_is_skipped() -> None:
    assert [found.level for found in judge_server(Server())] == [Level.SKIPPED]


def log(waits_for: str, used: int, limit: int | None = None) -> LogUse:
    return LogUse(waits_for, 1000 * MB, used * MB, limit and limit * MB)


def disk(free_mb: int) -> Server:
    return replace(SERVER, volumes=[Volume("C:\\", free_mb, 9999)])


@pytest.mark.parametrize(
    ("found", "level", "what", "action"),
    [
        (replace(SERVER, log=log("REPLICATION", 100)), Level.WARNING, "waits to be captured", "90_capture_off.sql"),
        (
            replace(SERVER, log=log("REPLICATION", 800, 1000)),
            Level.ERROR,
            "of 1000 MB that it may",
            "90_capture_off.sql",
        ),
        (replace(SERVER, log=log("REPLICATION", 950)), Level.ERROR, "950 of 1000 MB", "90_capture_off.sql"),
        (replace(SERVER, log=log("LOG_BACKUP", 800, 1000)), Level.ERROR, "no till can sell (9002)", "BACKUP LOG"),
        (server(data_mb=950, data_limit_mb=1000), Level.ERROR, "cannot grow further", "MODIFY FILE"),
        (disk(5119), Level.WARNING, "C:\\ has 5119 of 9999 MB free", "enlarge it"),
        (disk(1023), Level.ERROR, "no till can sell", "enlarge it"),
        (server(windows_only=1), Level.WARNING, "Windows alone", "SQL Server and Windows Authentication mode"),
        (server(agent_sessions=0), Level.ERROR, "has no session", "Start SQL Server Agent"),
        (server(owner=None), Level.ERROR, "15517", "ALTER AUTHORIZATION"),
        (server(published=1), Level.WARNING, "publishes this database", "Log Reader Agent"),
        (server(updateability="READ_ONLY"), Level.ERROR, "no result can be written", "listener"),
        (
            replace(SERVER, availability=Availability(in_group=True, replicas_behind=1)),
            Level.WARNING,
            "1 replicas of the availability group do not receive the log",
            "resume or remove",
        ),
        (
            replace(SERVER, availability=Availability(mirroring="SUSPENDED")),
            Level.WARNING,
            "is SUSPENDED",
            "SET PARTNER RESUME",
        ),
    ],
)
def test_each_fault_of_a_server_is_reported_with_its_action(
    found: Server, level: Level, what: str, action: str
) -> None:
    [finding] = bad(judge_server(found))
    assert finding.level is level
    assert what in finding.what
    assert action in finding.action


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (EXPRESS, "CAPTURE=polling alone"),
        ({"edition": "Web Edition (64-bit)"}, "CAPTURE=polling alone"),
        ({"version": "12.0.6024.0"}, "CAPTURE=polling alone"),
        ({"version": "13.0.1601.5"}, "CAPTURE=polling alone"),
        ({"version": "13.0.4001.0"}, "CAPTURE=polling and CAPTURE=cdc"),
        ({"version": "12.0.2000.8", "engine": 8}, "CAPTURE=polling and CAPTURE=cdc"),
        ({"version": "11.0.7001.0", "edition": "Enterprise Edition", "engine": 3}, "CAPTURE=polling alone"),
        (OLD, "CAPTURE=polling alone"),
    ],
)
def test_doctor_says_which_capture_a_version_and_edition_serve(changed: dict[str, Any], says: str) -> None:
    """With CAPTURE=cdc a server that serves polling alone is a warning, with CAPTURE=polling it is none."""
    found = judge_server(server(**changed))
    assert [each.what.partition("serves ")[2] for each in found if each.about.endswith("version and edition")] == [says]
    is_refused = says.endswith("alone")
    assert [each.about for each in bad(found)] == ["SQL Server: change data capture"] * is_refused
    assert bad(judge_server(server(**changed), polls=True)) == []


def test_a_version_before_2008_r2_is_an_error_with_either_capture() -> None:
    for polls in (True, False):
        [found] = bad(judge_server(server(**OLD | {"version": "10.0.5500.0"}), polls=polls))
        assert found.level is Level.ERROR
        assert "older than SQL Server 2008 R2" in found.what


def test_what_capture_needs_is_not_missed_where_workers_poll() -> None:
    polled = server(**EXPRESS, owner=None, published=1, agent_sessions=0)
    assert bad(judge_server(polled, polls=True)) == []


def test_an_express_database_near_its_limit_is_an_error() -> None:
    [found] = bad(judge_server(server(**EXPRESS, data_mb=9500), polls=True))
    assert found.what.startswith("9500 of the 10240 MB of Express are used")
    assert found.action


@pytest.mark.parametrize(
    ("found", "about", "what"),
    [
        (Availability(in_group=True), "Always On", "run 10, 20 and 40 of connectors/sql on every replica"),
        (Availability(in_group=True, replicas_behind=0), "Always On", "belongs to an availability group"),
        (Availability(mirroring="SYNCHRONIZED"), "mirroring", "is SYNCHRONIZED"),
    ],
)
def test_working_replicas_are_named(found: Availability, about: str, what: str) -> None:
    [finding] = [each for each in judge_server(replace(SERVER, availability=found)) if each.about.endswith(about)]
    assert finding.level is Level.OK
    assert what in finding.what


def test_a_log_and_files_that_the_login_may_not_see_are_skipped() -> None:
    found = judge_server(Server(replace(STATE, data_mb=None)))
    assert [each.about for each in found if each.level is Level.SKIPPED] == [
        "SQL Server: transaction log",
        "SQL Server: space for the data",
        "SQL Server: space on the disk",
    ]


def test_the_query_returns_the_fields_in_their_order() -> None:
    query = DIALECTS["Microsoft SQL Server"].catalogue.server
    assert query is not None
    tree = sqlglot.parse_one(query, read="tsql")
    assert isinstance(tree, exp.Select)
    assert [column.alias for column in tree.expressions] == [field.name for field in fields(State)]
