"""Tests that connectors/sql/00_check.sql and `doctor` name the same findings.

Each finding of the script has a name. Listed here under it is a database that is broken so, and what `doctor` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from streams.documents.sale import SALE
from streams.operators.checks import Level
from streams.operators.checks.availability import Availability
from streams.operators.checks.database import Database, judge_database
from streams.operators.checks.polling import Poll
from streams.operators.checks.server_space import Volume
from streams.stores.capture_state import LogUse
from streams.stores.column_types import Column
from streams.stores.schema import Table
from streams.stores.triggers import Trigger, Triggers
from tests.support.connector_files import script
from tests.support.sound_database import CAPTURED, INSTANCE, MB, SERVER, SOUND, STATE, bad, waiting


@dataclass(frozen=True)
class Twin:
    """How `doctor` says the same."""

    broken: Database
    about: str
    what: str
    level: Level | None = None
    """None: both say it of a sound database, too."""


def of_state(**changed: Any) -> Database:
    return replace(SOUND, server=replace(SERVER, state=replace(STATE, **changed)))


def of_capture(**changed: Any) -> Database:
    assert SOUND.capture is not None
    return replace(SOUND, capture=replace(SOUND.capture, **changed))


def of_column(table: str, name: str, column: Column) -> Database:
    return replace(SOUND, columns={(table.lower(), name): column})


def of_table(name: str, table: Table) -> Database:
    return replace(SOUND, tables={**SOUND.tables, name: table})


_TYPE = "sales database: column types: dbo."
TWINS = {
    "version and edition": Twin(SOUND, "SQL Server: version and edition", "serves CAPTURE=polling and CAPTURE=cdc"),
    "change data capture": Twin(
        of_state(edition="Web Edition"), "SQL Server: change data capture", "needs Standard edition", Level.WARNING
    ),
    "SQL Server Agent": Twin(of_state(agent_sessions=0), "SQL Server: SQL Server Agent", "has no session", Level.ERROR),
    "log-in mode": Twin(of_state(windows_only=1), "SQL Server: log-in mode", "18456", Level.WARNING),
    "read only": Twin(of_state(updateability="READ_ONLY"), "SQL Server: read only", "secondary", Level.ERROR),
    "mirroring": Twin(
        replace(SOUND, server=replace(SERVER, availability=Availability(mirroring="DISCONNECTED"))),
        "SQL Server: mirroring",
        "is DISCONNECTED",
        Level.WARNING,
    ),
    "Always On": Twin(
        replace(SOUND, server=replace(SERVER, availability=Availability(in_group=True, replicas_behind=2))),
        "SQL Server: Always On",
        "2 replicas",
        Level.WARNING,
    ),
    "database owner": Twin(of_state(owner=None), "SQL Server: database owner", "15517 or 22830", Level.ERROR),
    "transaction log": Twin(SOUND, "SQL Server: transaction log", "recovery model FULL, waits for NOTHING"),
    "space for the log": Twin(
        replace(SOUND, server=replace(SERVER, log=LogUse("LOG_BACKUP", 100 * MB, 80 * MB, 100 * MB))),
        "SQL Server: transaction log",
        "80 of 100 MB are used",
        Level.ERROR,
    ),
    "space for the data": Twin(
        of_state(data_mb=95, data_limit_mb=100), "SQL Server: space for the data", "cannot grow further", Level.ERROR
    ),
    "space on the disk": Twin(
        replace(SOUND, server=replace(SERVER, volumes=[Volume("D:\\", 900, 9000)])),
        "SQL Server: space on the disk",
        "D:\\ has 900 of 9000 MB free",
        Level.ERROR,
    ),
    "10 GB limit of Express": Twin(
        of_state(engine=4, data_mb=9300), "SQL Server: space for the data", "10240 MB of Express", Level.ERROR
    ),
    "row versions": Twin(SOUND, "SQL Server: row versions", "snapshot isolation on, read committed snapshot off"),
    "snapshot isolation": Twin(
        of_capture(snapshots=False), "change data capture", "snapshot isolation is not allowed", Level.WARNING
    ),
    "replication": Twin(of_state(published=1), "SQL Server: replication", "log reader captures", Level.WARNING),
    "missing table": Twin(
        of_table("AccountShop", Table(is_there=False)),
        "sales database: table dbo.AccountShop",
        "is missing",
        Level.ERROR,
    ),
    "missing column": Twin(
        of_table("AccountShop", Table(missing=["status"])),
        "sales database: table dbo.AccountShop",
        "has no column status",
        Level.ERROR,
    ),
    "unusable column type": Twin(
        of_column("SalesInvoices", "id", Column("uniqueidentifier")),
        f"{_TYPE}SalesInvoices.id",
        "is UNIQUEIDENTIFIER",
        Level.ERROR,
    ),
    "short status": Twin(
        of_column("SalesInvoices", "status", Column("nvarchar", 10)),
        f"{_TYPE}SalesInvoices.status",
        "too short for PENDING_SYNC",
        Level.ERROR,
    ),
    "lossy column type": Twin(
        of_column("SalesInvoices", "national_invoice_id", Column("nvarchar", 50)),
        f"{_TYPE}SalesInvoices.national_invoice_id",
        "would stay PENDING_SYNC",
        Level.WARNING,
    ),
    "narrow id of our own tables": Twin(
        replace(SOUND, columns={("salesync", "id"): Column("int"), ("salesinvoices", "id"): Column("bigint")}),
        f"{_TYPE}SaleSync.id",
        "narrower than dbo.SalesInvoices.id",
        Level.ERROR,
    ),
    "primary key": Twin(
        replace(SOUND, without_key={"salesinvoices"}),
        "sales database: primary key of dbo.SalesInvoices",
        "two rows may have the same id",
        Level.WARNING,
    ),
    "trigger": Twin(
        replace(SOUND, triggers=Triggers([Trigger("TR_Sales", reaches_out=True)])),
        "sales database: triggers on dbo.SalesInvoices",
        "TR_Sales may use another database",
        Level.WARNING,
    ),
    "capture instance without its table": Twin(
        of_capture(columns=[replace(column, table=None) for column in CAPTURED]),
        f"change data capture: instance {INSTANCE}",
        "captures a table that is not there any more: it was renamed or made again",
        Level.ERROR,
    ),
    "capture instance out of date": Twin(
        of_capture(columns=[*CAPTURED[:-1], replace(CAPTURED[-1], is_outdated=True)]),
        f"change data capture: instance {INSTANCE}",
        "captures status with an earlier type or length",
        Level.ERROR,
    ),
    "capture instance without a column": Twin(
        of_capture(columns=CAPTURED[:-1]),
        f"change data capture: instance {INSTANCE}",
        "does not capture status",
        Level.ERROR,
    ),
    "TRUNCATE TABLE": Twin(SOUND, "change data capture", "TRUNCATE TABLE is refused for it (4711)"),
    "pending by age": Twin(
        replace(SOUND, waiting=waiting(older=7)), "sales: pending by age", "7 longer ago", Level.WARNING
    ),
}
ALONE = {"examined": "the first lines of doctor name the server and the database that it is connected to"}
"""Findings of the script without a twin, and why."""


def test_every_finding_of_the_script_has_a_name() -> None:
    marks = re.findall(r"(?m)^ *-- (name): |INSERT INTO (#found)", script("00_check.sql"))
    assert marks == [("name", ""), ("", "#found")] * (len(marks) // 2)


def test_every_finding_of_the_script_has_a_twin_or_a_reason_to_be_alone() -> None:
    names = set(re.findall(r"-- name: (.+)", script("00_check.sql")))
    assert names == TWINS.keys() | ALONE.keys()
    assert not TWINS.keys() & ALONE.keys()


def test_doctor_finds_nothing_wrong_with_the_sound_database() -> None:
    assert bad(judge_database(SOUND, SALE)) == []


@pytest.mark.parametrize("name", TWINS)
def test_doctor_says_what_the_script_says(name: str) -> None:
    twin = TWINS[name]
    [found] = [
        each for each in judge_database(twin.broken, SALE) if each.about == twin.about and twin.what in each.what
    ]
    assert found.level is (twin.level or Level.OK)
    assert bool(found.action) == (twin.level is not None)
    if twin.level is not None:
        assert found not in judge_database(SOUND, SALE)


def test_with_polling_doctor_says_what_the_script_says_of_all_but_capture() -> None:
    about_capture = {name for name, twin in TWINS.items() if twin.about.startswith("change data capture")}
    about_capture |= {"change data capture", "SQL Server Agent", "database owner", "replication"}
    for name in TWINS.keys() - about_capture:
        twin = TWINS[name]
        polled = replace(twin.broken, polls=True, poll=Poll(0.001, 1))
        assert [each for each in judge_database(polled, SALE) if each.about == twin.about and twin.what in each.what]
