"""A sales database on SQL Server with which `doctor` finds nothing wrong, for tests that break it in one place."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from streams.documents.sale import SALE
from streams.operators.checks import Finding, Level
from streams.operators.checks.database import Database
from streams.operators.checks.server_space import Volume
from streams.operators.checks.server_state import Server, State
from streams.operators.checks.waiting import Waiting
from streams.operators.desk.figures import CurrentFigures, FinalCount
from streams.stores import schema
from streams.stores.capture_setup import Capture, CapturedColumn
from streams.stores.capture_state import LogUse
from streams.stores.pending_ages import PendingAges
from streams.stores.schema import Table
from streams.stores.triggers import Triggers

MB = 1024 * 1024
EXPRESS: dict[str, Any] = {"edition": "Express Edition (64-bit)", "engine": 4}
INSTANCE = "dbo_SalesInvoices_1"
CAPTURED = [
    CapturedColumn(INSTANCE, "SalesInvoices", name, is_ours=True, is_outdated=False)
    for name in ("id", "local_invoice_id", "pharmacy_code", "shop_pharmacy_code", "status")
]
CAPTURE = Capture(database=True, snapshots=True, table=True, job=True, kept_days=14, columns=CAPTURED)
NO_CAPTURE = Capture(database=False, snapshots=False, table=False, job=None, kept_days=None)
STATE = State(
    version="16.0.4105.2",
    edition="Standard Edition (64-bit)",
    engine=2,
    windows_only=0,
    agent_sessions=3,
    updateability="READ_WRITE",
    owner="sa",
    recovery_model="FULL",
    snapshot_isolation="ON",
    read_committed_snapshot=0,
    published=0,
    data_mb=4000,
    data_limit_mb=None,
)
LOG = LogUse("NOTHING", 1000 * MB, 100 * MB, None)
SERVER = Server(STATE, LOG, [Volume("C:\\", 90_000, 200_000)])


def waiting(**ages: int) -> Waiting:
    now = CurrentFigures(0, date(2026, 11, 23), FinalCount(datetime(2026, 11, 23)), {}, {}, 0.0, None)  # noqa: DTZ001
    return Waiting(now, PendingAges(**ages))


SOUND = Database(
    ahead_s=0.1,
    tables=dict.fromkeys(schema.tables(SALE), Table()),
    rights=dict.fromkeys(schema.rights(SALE), True),
    indexes={(table.lower(), columns) for table, columns in schema.indexes(SALE)},
    capture=CAPTURE,
    waiting=waiting(),
    triggers=Triggers(),
    rows_per_update=128,
    server=SERVER,
)


def bad(findings: list[Finding]) -> list[Finding]:
    return [found for found in findings if found.level in (Level.WARNING, Level.ERROR)]
