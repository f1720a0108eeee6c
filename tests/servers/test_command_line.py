"""Tests every command as a process of its own on real servers: its JSON can be read by programs, and has no
personal data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from streams.documents import DOCUMENT_TYPES
from streams.domain.sale_status import SaleStatus
from streams.operators.commands import commands
from tests.servers.examined import Servers, SetUp, set_up
from tests.support.command_line import Ended, leaves, start_faust
from tests.support.marked_copy import SIMULATOR
from tests.support.published_statuses import ACCEPTED, LAST
from tests.support.repository import ROOT
from tests.unit.played_connect import settings

NAME = "Lê Thị Riêng"
API_TEXT = "khách hàng không hợp lệ"
# ruff: noqa: S608 - the values are of this file
_SOLD = f"""
INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, created_at,
    updated_at, customer_name, seller_name, sync_response_message)
SELECT n, 'HD-' || n, 'P', 'S', now(), CASE n WHEN 2 THEN 'PENDING_SYNC' ELSE 'SYNC_FAILED' END, now(), now(),
    '{NAME}', '{NAME}', '{API_TEXT}' FROM generate_series(1, 3) n;
INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, reason_code, next_attempt_at,
    refused_attempt, refused_body,
    refused_text)
SELECT 'sale', n, 1, 1, 'api_refused', CASE n WHEN 2 THEN 4000000000000 END, 1, '{NAME}', '{API_TEXT}'
FROM generate_series(1, 3) n
"""
LOOKS = (
    ("doctor",),
    ("status",),
    ("failures",),
    ("failures", "--waiting"),
    ("resend", "--all"),
    ("withdraw", "--invoice", "HD-1"),
    ("send-now", "--all"),
    ("lookup", "HD-1"),
    ("tail", "--no-follow"),
    ("replay",),
    ("page",),
    ("connectors", "status"),
)
ACTS = (
    ("resend", "--invoice", "HD-1", "--yes"),
    ("send-now", "--all", "--yes"),
    ("withdraw", "--invoice", "HD-3", "--yes"),
    ("replay", "--yes"),
    ("topics", "deploy"),
    ("rehearse", "rehearsal"),
    ("connectors", "restart"),
    ("connectors", "deploy"),
    ("connectors", "remove", "--yes"),
)
"""In this order: the last one ends it."""


@pytest.fixture(scope="module")
def well(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUp]:
    with set_up(servers, tmp_path_factory.mktemp("read"), "read_by_programs") as well:
        with closing(servers.postgres.connect("read_by_programs")) as owner:
            owner.execute(_SOLD)
        well.produce("sale-status", *(statuses.model_dump_json().encode() for statuses in (ACCEPTED, LAST)))
        headers = {"topic": well.connector.change_topic, "partition": "0", "offset": "0", "reader": "r", "reason": "w"}
        well.produce("sale-dead-letter", b"{}", headers={name: text.encode() for name, text in headers.items()})
        yield well


def command_words(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a command without its arguments."""
    return arguments[: 2 if arguments[0] in ("connectors", "topics") else 1]


def form(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return the form of its JSON; afterwards these commands show something else than before."""
    done = ("--yes",) if arguments[0] in ("resend", "withdraw", "send-now") and "--yes" in arguments else ()
    return (*command_words(arguments), *done)


def documented() -> dict[tuple[str, ...], set[str]]:
    """Return the names in each command's JSON that the documentation lists."""
    section = (ROOT / "docs/commands.md").read_text(encoding="utf-8").partition("## JSON\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[1:3] for row in section.splitlines() if row.startswith("| `")]
    return {
        tuple(command.split()): set(re.findall(r"`([\w.]+)`", fields))
        for commands_, fields in rows
        for command in re.findall(r"`([^`]+)`", commands_)
    }


def test_every_command_is_tested_and_documented() -> None:
    assert {command_words(each) for each in LOOKS + ACTS} == {
        path for path, _ in leaves(commands(settings(), DOCUMENT_TYPES))
    }
    assert documented().keys() == {form(each) for each in LOOKS + ACTS}


def copy_options(well: SetUp, folder: Path) -> tuple[str, ...]:
    """Make a copy of the sales database that is marked, and return the options that lead to it."""
    name = "read_by_programs_rehearsal"
    mark = f"INSERT INTO dbo.SaleSyncCopy VALUES ('{SIMULATOR}'); GRANT SELECT ON dbo.SaleSyncCopy TO PUBLIC"
    dsn = folder / "dsn"
    dsn.write_text(well.copy_of_database(name, "CREATE TABLE dbo.SaleSyncCopy (api_url TEXT NOT NULL)", mark))
    return ("--database", name, "--dsn-file", str(dsn))


def test_json_output_is_one_value_without_personal_data(well: SetUp, tmp_path: Path) -> None:
    def run(arguments: tuple[str, ...]) -> Ended:
        named: tuple[str, ...] = ()
        if arguments[0] in ("connectors", "doctor", "status"):
            named = ("--name", well.connector.name)
        if arguments[:2] == ("connectors", "deploy"):
            named = ("--file", str(well.connector.file))
        if arguments[0] == "rehearse":  # it reads production's .env, and then a rehearsal's
            return start_faust(production, *arguments, *copy_options(well, production), "--json")
        return start_faust(tmp_path, *arguments, *named, "--json", PAGE_TOKEN=API_TEXT, **well.settings)

    production = tmp_path / "production"
    production.mkdir()
    (production / ".env").write_text("".join(f"{name}={value}\n" for name, value in well.settings.items()))
    with ThreadPoolExecutor(3) as side_by_side:
        looked = list(side_by_side.map(run, LOOKS))
    acted = [run(arguments) for arguments in ACTS]
    fields = documented() | {("tail",): set(SaleStatus.model_fields)}
    for arguments, ended in zip(LOOKS + ACTS, looked + acted, strict=True):
        assert ended.stderr == "", arguments
        assert ended.returncode == (1 if arguments[0] == "status" else 0), arguments  # no worker: no sale goes out
        values = ended.stdout.splitlines() if arguments[0] == "tail" else [ended.stdout]
        assert values
        for value in values:
            assert json.loads(value).keys() == fields[form(arguments)], arguments
        for secret in (NAME, API_TEXT, well.servers.postgres.password("worker")):
            assert secret not in ended.stdout, arguments
            assert json.dumps(secret)[1:-1] not in ended.stdout, arguments
