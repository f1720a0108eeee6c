"""Tests `resend` and `send-now` on a real PostgreSQL: each filter, more sales than one request takes, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyodbc
import pytest
from click.testing import CliRunner, Result

from streams.documents import DOCUMENT_TYPES
from streams.domain.reasons import Code
from streams.local.real.postgres import Postgres
from streams.operators.commands import commands
from streams.operators.desk.action import MAX_SALES
from streams.settings import Settings
from tests.support.repository import ROOT
from tests.support.right_settings import RIGHT

DATABASE = "requested_again"
MANY = MAX_SALES + 300
# ruff: noqa: S608 - the numbers are of this file
_MANY = f"""
INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, created_at,
    updated_at)
SELECT n, 'HD-' || n, 'P', 'S', at, '%s', at, at
FROM (SELECT n, timestamp '2026-11-01' + n / 50 * interval '1 second' AS at FROM generate_series(1, {MANY}) n) s;
INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, ever_accepted, reason_code,
    next_attempt_at)
SELECT 'sale', id, 1, 1, NULL, 0, '{Code.UNREACHABLE}', 4000000000000 FROM dbo.SalesInvoices
"""


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Postgres:
    postgres.create_sales_database(DATABASE)
    return postgres


@pytest.fixture
def owner(server: Postgres) -> Iterator[pyodbc.Connection]:
    server.empty_sales_database(DATABASE)
    with closing(server.connect(DATABASE)) as connection:
        yield connection


def environment(server: Postgres) -> dict[str, str]:
    return RIGHT | {"SALES_DB_DSN": server.dsn("worker", DATABASE), "SALES_DB_TIMEZONE": "UTC"}


def faust(server: Postgres, name: str, *arguments: str) -> Result:
    settings = Settings(_env_file=None, **{key.lower(): value for key, value in environment(server).items()})  # type: ignore[arg-type]
    command = next(command for command in commands(settings, DOCUMENT_TYPES) if command.name == name)
    return CliRunner().invoke(command, [*map(str, arguments), "--json"])


def shown(server: Postgres, *arguments: str) -> Any:
    ended = faust(server, *arguments)
    assert (ended.exit_code, ended.stderr) == (0, ""), ended
    return json.loads(ended.stdout)


def pending(owner: pyodbc.Connection) -> set[int]:
    rows = owner.execute("SELECT id FROM dbo.SalesInvoices WHERE status = 'PENDING_SYNC'").fetchall()
    return {id_ for (id_,) in rows}


def recorded(owner: pyodbc.Connection) -> list[tuple[str, int]]:
    """Return who requested it, and for how many sales, request by request."""
    rows = owner.execute("SELECT actor, COUNT(*) FROM dbo.SaleAction GROUP BY request, actor ORDER BY 2 DESC")
    return [(actor, int(count)) for actor, count in rows.fetchall()]


SALES = [
    # id, pharmacy, shop, updated_at, reason
    (1, "P1", "A", "2026-11-20 08:00", Code.RULES_BROKEN),
    (2, "P1", "B", "2026-11-20 09:00", Code.API_REFUSED),
    (3, "P2", "A", "2026-11-21 08:00", Code.API_REFUSED),
    (4, "P2", "B", "2026-11-22 08:00", Code.NO_LINES),
]


@pytest.mark.parametrize(
    ("which", "ids"),
    [
        (("--invoice", "HD-2"), {2}),
        (("--invoice", "HD-2", "--invoice", "HD-4"), {2, 4}),
        (("--invoice", "HD-1", "--pharmacy", "P1"), {1}),
        (("--shop", "A"), {1, 3}),
        (("--reason", Code.API_REFUSED), {2, 3}),
        (("--day", "2026-11-20"), {1, 2}),
        (("--since", "2026-11-20T08:30"), {2, 3, 4}),
        (("--shop", "B", "--reason", Code.API_REFUSED, "--since", "2026-11-20"), {2}),
        (("--all",), {1, 2, 3, 4}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_filter_is_counted_first_and_then_applied_to_exactly_its_sales(
    server: Postgres, owner: pyodbc.Connection, which: tuple[str, ...], ids: set[int]
) -> None:
    for id_, pharmacy, shop, at, reason in SALES:
        owner.execute(
            "INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status,"
            " created_at, updated_at) VALUES (?, ?, ?, ?, '2026-11-20', 'SYNC_FAILED', '2026-11-20', ?)",
            *(id_, f"HD-{id_}", pharmacy, shop, at),
        )
        owner.execute(
            "INSERT INTO dbo.SaleSync (document_type, id, reason_code) VALUES ('sale', ?, ?)", id_, reason.value
        )
    dry = shown(server, "resend", *which)
    assert (dry["dry_run"], dry["would"]) == (True, len(ids))
    assert dry["by_reason"] == Counter(reason for id_, _, _, _, reason in SALES if id_ in ids)
    assert pending(owner) == set()
    done = shown(server, "resend", *which, "--yes", "--as", "Lan")
    assert (set(done["done"]), done["passed_over"], done["stopped"], done["left"]) == (ids, [], False, 0)
    assert pending(owner) == ids
    assert recorded(owner) == [("Lan", len(ids))]
    assert shown(server, "resend", *which)["would"] == 0, "they have not failed any more"


@pytest.mark.parametrize(("name", "status"), [("resend", "SYNC_FAILED"), ("send-now", "PENDING_SYNC")])
def test_more_sales_than_one_request_takes_are_all_sent_again(
    server: Postgres, owner: pyodbc.Connection, name: str, status: str
) -> None:
    """It needs requests of 10,000, transactions of 128, and little memory."""
    owner.execute(_MANY % status)
    shown(server, name, "--shop", "nobody", "--yes")  # what is loaded once is not counted
    tracemalloc.start()
    try:
        done = shown(server, name, "--all", "--yes", "--as", "Lan")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sorted(done["done"]) == list(range(1, MANY + 1))
    assert (done["passed_over"], done["left"]) == ([], 0)
    assert recorded(owner) == [("Lan", MAX_SALES), ("Lan", MANY - MAX_SALES)]
    assert peak < 30_000_000
    if name == "send-now":
        rows = owner.execute("SELECT COUNT(*) FROM dbo.SaleSync WHERE next_attempt_at = 4000000000000").fetchone()
        assert int(rows[0]) == 0


def test_ctrl_c_keeps_and_reports_finished_work_and_a_second_run_continues(
    server: Postgres, owner: pyodbc.Connection, tmp_path: Path
) -> None:
    owner.execute(_MANY % "SYNC_FAILED")
    with closing(server.connect(DATABASE)) as point_of_sale:
        point_of_sale.autocommit = False
        point_of_sale.execute(
            "UPDATE dbo.SalesInvoices SET customer_name = 'x' WHERE id = 2000"
        )  # in the sixteenth batch
        asking = subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "streams.app", "resend", "--all", "--yes", "--as", "Lan"],
            cwd=tmp_path,
            env=environment(server) | {"PATH": "", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _until_somebody_waits(owner)
            asking.send_signal(signal.SIGINT)
            assert asking.stderr is not None
            assert asking.stderr.readline().startswith("Stopping after the current work.")
            point_of_sale.commit()
            out, err = asking.communicate(timeout=30)
        finally:
            asking.kill()
            asking.communicate()
    assert (asking.returncode, err) == (130, "")
    turned = pending(owner)
    assert turned == set(range(1, 16 * 128 + 1))
    assert out.splitlines() == [
        f"{len(turned)} requested again. `lookup` and `tail` show their progress.",
        f"Stopped: {MANY - len(turned)} were not processed. Run it again to continue.",
    ]
    assert recorded(owner) == [("Lan", len(turned))]
    assert len(shown(server, "resend", "--all", "--yes")["done"]) == MANY - len(turned)


def _until_somebody_waits(owner: pyodbc.Connection) -> None:
    waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'worker'"
    for _ in range(600):
        if int(owner.execute(waits).fetchone()[0]):
            return
        owner.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("nobody meets the lock")
