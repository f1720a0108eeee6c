"""Tests `doctor` on a SQL Server whose answers are a table, over Microsoft's own driver: a sound one, and the same one
broken in one place each time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from streams.documents.sale import SALE
from streams.operators.checks import Finding, Level
from streams.operators.checks.database import judge_databases, probe_database
from streams.stores import schema
from tests.contract.stores.databases import settings_for
from tests.contract.tds_server import Request, error, ok, rows, tds_server
from tests.support.sound_database import CAPTURED, INSTANCE, STATE, bad

Row: TypeAlias = tuple[Any, ...]
Answers: TypeAlias = Mapping[str, Sequence[Row] | int]
"""What a statement has in it -> its rows, or the number of its error; the first that fits is the answer."""

CLOCK, STATE_OF_SERVER, LOG = "DATEDIFF", "SERVERPROPERTY", "log_reuse_wait_desc"
GROUP, REPLICAS, MIRRORING = "replica_id", "dm_hadr_database_replica_states", "database_mirroring"
TRIGGERS, HIDDEN, WITHOUT_KEY = "sys.triggers", "TableUpdateTriggerCount", "is_primary_key"
CAPTURE, CAPTURED_TABLE, JOB, CLEANUP = "is_cdc_enabled", "is_tracked_by_cdc", "sysjobactivity", "'cleanup'"
COLUMNS, INSTANCES, AGES, VOLUMES = "INFORMATION_SCHEMA", "captured_columns", "AS age", "dm_os_volume_stats"

CHANGED = "s.changed_at > 0"


def instances(*columns: Any) -> list[Row]:
    return [(c.instance, c.table, c.column, int(c.is_ours), int(c.is_outdated)) for c in columns]


SOUND: Answers = {
    STATE_OF_SERVER: [astuple(STATE)],
    LOG: [("NOTHING", 1000, 100, 0)],
    GROUP: [],
    VOLUMES: [("C:\\", 90_000, 200_000)],
    REPLICAS: 300,
    MIRRORING: [],
    TRIGGERS: [],
    HIDDEN: [(0,)],
    WITHOUT_KEY: [],
    CAPTURE: [(1, 1)],
    CAPTURED_TABLE: [(1,)],
    INSTANCES: instances(*CAPTURED),
    JOB: [(1,)],
    CLEANUP: [(20_160,)],
    COLUMNS: [("SalesInvoices", "id", "int", None, None)],
    "HAS_PERMS_BY_NAME": [(1,)],
    "sys.index_columns": [
        (table, f"IX{number}", column, place)
        for number, (table, columns) in enumerate(schema.indexes(SALE))
        for place, column in enumerate(columns, 1)
    ],
    AGES: [(0, 3)],
    CHANGED: [(0,)],
}


async def examined(driver: Path, changed: Answers, **settings: Any) -> list[Finding]:
    answers = {**SOUND, **changed}

    def answer(request: Request) -> bytes | None:
        if CLOCK in request.sql:
            return rows((int(time.time() * 1000),))
        for part, given in answers.items():
            if part in request.sql:
                return error(given) if isinstance(given, int) else rows(*given) if given else ok(request)
        return ok(request)

    async with tds_server(answer=answer) as server:
        dsn = f"Driver={driver};Server=127.0.0.1,{server.port};Database=chain;UID=sa;PWD=pwd-secret;Encrypt=no"
        found = await probe_database(settings_for(sales_db_dsn=dsn, sales_db_connections=1, **settings), [SALE])
    return judge_databases(found, [SALE], [SALE])


def of_state(**changed: Any) -> Answers:
    return {STATE_OF_SERVER: [astuple(replace(STATE, **changed))]}


async def test_doctor_finds_nothing_wrong_with_a_sound_server(driver: Path) -> None:
    found = await examined(driver, {})
    assert bad(found) == []
    said = {each.about: each.what for each in found}
    assert said["SQL Server: version and edition"].endswith("serves CAPTURE=polling and CAPTURE=cdc")
    assert said["SQL Server: transaction log"].endswith("100 of 1000 MB are used")
    assert said["sales: pending by age"].startswith("3 created within an hour")


BROKEN: dict[str, tuple[Answers, str, str]] = {
    "too old": (of_state(version="10.0.5500.0"), "SQL Server: version and edition", "older than SQL Server 2008 R2"),
    "Express": (of_state(edition="Express Edition", engine=4), "SQL Server: change data capture", "needs Standard"),
    "no Agent": (of_state(agent_sessions=0), "SQL Server: SQL Server Agent", "has no session"),
    "Windows alone": (of_state(windows_only=1), "SQL Server: log-in mode", "18456"),
    "no owner": (of_state(owner=None), "SQL Server: database owner", "15517"),
    "published": (of_state(published=1), "SQL Server: replication", "log reader captures"),
    "a secondary": (of_state(updateability="READ_ONLY"), "SQL Server: read only", "no result can be written"),
    "full files": (of_state(data_mb=95, data_limit_mb=100), "SQL Server: space for the data", "cannot grow"),
    "a full disk": ({VOLUMES: [("C:\\", 900, 9000)]}, "SQL Server: space on the disk", "900 of 9000 MB free"),
    "log not captured": ({LOG: [("REPLICATION", 1000, 100, 0)]}, "SQL Server: transaction log", "to be captured"),
    "log nearly full": ({LOG: [("LOG_BACKUP", 100, 80, 100)]}, "SQL Server: transaction log", "80 of 100 MB"),
    "a replica is behind": ({GROUP: [(1,)], REPLICAS: [(1,)]}, "SQL Server: Always On", "1 replicas"),
    "mirroring suspended": ({MIRRORING: [("SUSPENDED",)]}, "SQL Server: mirroring", "is SUSPENDED"),
    "a trigger": ({TRIGGERS: [("TR_Sales", 1)]}, "sales database: triggers on dbo.SalesInvoices", "TR_Sales"),
    "a hidden trigger": ({HIDDEN: [(1,)]}, "sales database: triggers on dbo.SalesInvoices", "1 whose names"),
    "no primary key": (
        {WITHOUT_KEY: [("SalesInvoiceDetails",)]},
        "sales database: primary key of dbo.SalesInvoiceDetails",
        "same id",
    ),
    "capture is off": ({CAPTURE: [(0, 1)]}, "change data capture", "is off in this database"),
    "no snapshots": ({CAPTURE: [(1, 0)]}, "change data capture", "snapshot isolation is not allowed"),
    "a table is not captured": ({CAPTURED_TABLE: [(0,)]}, "change data capture", "does not capture dbo.SalesInvoices"),
    "the job does not run": ({JOB: [(0,)]}, "change data capture", "its capture job does not run"),
    "kept for 3 days": ({CLEANUP: [(4320,)]}, "change data capture", "keeps changes for 3 days"),
    "an instance without its table": (
        {INSTANCES: instances(*CAPTURED, replace(CAPTURED[0], instance="dbo_Old_1", table=None))},
        "change data capture: instance dbo_Old_1",
        "is not there any more",
    ),
    "a renamed table": (
        {INSTANCES: instances(*(replace(each, table="SalesInvoices_old") for each in CAPTURED))},
        f"change data capture: instance {INSTANCE}",
        "is not there any more",
    ),
    "a column made longer": (
        {INSTANCES: instances(replace(CAPTURED[0], is_outdated=True), *CAPTURED[1:])},
        f"change data capture: instance {INSTANCE}",
        "captures id with an earlier type or length",
    ),
    "a column that is not captured": (
        {INSTANCES: instances(*CAPTURED[1:])},
        f"change data capture: instance {INSTANCE}",
        "does not capture id",
    ),
    "a key that is no number": (
        {COLUMNS: [("SalesInvoices", "id", "uniqueidentifier", None, None)]},
        "sales database: column types: dbo.SalesInvoices.id",
        "is UNIQUEIDENTIFIER",
    ),
    "no right": ({"HAS_PERMS_BY_NAME": [(0,)]}, "sales database: rights", "this login has no "),
    "old sales": ({AGES: [(3, 7)]}, "sales: pending by age", "7 longer ago"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_doctor_names_exactly_what_is_broken(driver: Path, name: str) -> None:
    changed, about, what = BROKEN[name]
    found = bad(await examined(driver, changed))
    assert {each.about for each in found} == {about}
    assert all(what in each.what and each.action for each in found)
    assert len(found) == (7 if name == "no right" else 1)


HIDDEN_FROM_THE_LOGIN: Answers = {
    **dict.fromkeys((STATE_OF_SERVER, LOG, INSTANCES, JOB, CLEANUP, TRIGGERS, REPLICAS, MIRRORING, VOLUMES), 229),
    GROUP: 207,
}


async def test_what_a_login_may_not_see_is_skipped_with_a_reason(driver: Path) -> None:
    found = await examined(driver, HIDDEN_FROM_THE_LOGIN)
    assert bad(found) == []
    assert {each.about for each in found if each.level is Level.SKIPPED} == {
        "SQL Server",
        "change data capture: job",
        "change data capture: instances",
    }


async def test_a_server_of_2008_r2_serves_polling(driver: Path) -> None:
    old = of_state(version="10.50.6000.34", edition="Express Edition", engine=4, owner=None, agent_sessions=0)
    changed = {**old, GROUP: 207, REPLICAS: 208, VOLUMES: 208, CAPTURE: [(0, 0)], "SELECT MAX(s.id)": [(1200,)]}
    found = await examined(driver, changed, capture="polling")
    assert bad(found) == []
    said = {each.about: each.what for each in found if each.level is Level.OK}
    assert said["SQL Server: version and edition"] == "10.50.6000.34, Express Edition: serves CAPTURE=polling alone"
    assert said["polling"].startswith("sales above id 1200 are new")


async def test_triggers_are_no_problem_where_one_row_is_changed_at_a_time(driver: Path) -> None:
    found = await examined(driver, {TRIGGERS: [("TR_Sales", 0)]}, write_back_rows=1)
    assert bad(found) == []
