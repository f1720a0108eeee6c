"""Tests `doctor` on real servers, with a healthy set-up and with the same one broken in one place each time.

All broken ones are examined at the same time, once, before the first test; each test then checks its findings.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from streams.documents import DOCUMENT_TYPES
from streams.local.real.postgres import Postgres
from streams.operators.checks import Finding, Level
from streams.operators.commands import commands
from streams.operators.commands.doctor import exit_code
from streams.settings import Settings
from tests.servers.deployment import FAILS_AT_THE_FIRST_LINE, Deployment
from tests.servers.examined import Servers, SetUp, set_up
from tests.support.command_line import start_faust

BAD = {Level.WARNING, Level.ERROR}
NOWHERE = "127.0.0.1:9"
SOLD_LONG_AGO = (
    b"""{"op": "c", "after": {}, "source": {"db": "chain", "table": "SalesInvoices", "ts_ms": 1700000000000}}"""
)


@dataclass(frozen=True)
class Broken:
    name: str
    about: str
    what: str
    action: str
    level: Level = Level.ERROR
    sql: str = ""
    """Done to a database of its own."""
    changed: tuple[str, Callable[[str], str]] | None = None
    """A setting, and what is made of its value."""
    values: tuple[bytes, ...] = ()
    """Stand in a change topic of its own."""
    connector: str = ""
    """What is done to a connector of its own."""
    shop: str | None = None


GRANTS = "40_worker_login.sql again"
BROKEN = [
    Broken(
        "the database is unreachable",
        "sales database",
        "cannot be reached",
        "correct server, database",
        changed=("SALES_DB_DSN", lambda dsn: re.sub(r"Port=\d+", "Port=9", dsn)),
    ),
    Broken(
        "its password is wrong",
        "sales database",
        "is reached, but rejects the login",
        "Correct user, password",
        changed=("SALES_DB_DSN", lambda dsn: dsn.replace("PWD=", "PWD=x")),
    ),
    Broken(
        "dbo.SaleSync is missing",
        "sales database: table dbo.SaleSync",
        "is missing",
        "Run connectors/sql/sale_sync.sql",
        sql="DROP TABLE dbo.SaleSync",
    ),
    Broken(
        "dbo.SaleAction is missing",
        "sales database: table dbo.SaleAction",
        "is missing",
        "Run connectors/sql/sale_action.sql",
        sql="DROP TABLE dbo.SaleAction",
    ),
    Broken(
        "a table of the till is missing",
        "sales database: table dbo.AccountShop",
        "is missing",
        "Set SALES_DB_DATABASE or SALES_DB_DSN",
        sql="DROP TABLE dbo.AccountShop",
    ),
    Broken(
        "a column is missing",
        "sales database: table dbo.SaleSync",
        "has no column tries",
        "Run connectors/sql/sale_sync.sql again",
        sql="ALTER TABLE dbo.SaleSync DROP COLUMN tries",
    ),
    Broken(
        "an index is missing",
        "sales database: indexes",
        "none of dbo.SalesInvoices begins with status, updated_at",
        "Run connectors/sql/30_indexes.sql",
        Level.WARNING,
        sql="DROP INDEX dbo.IX_SalesInvoices_status_updated",
    ),
    Broken(
        "a table has no primary key",
        "sales database: primary key of dbo.SalesInvoiceDetails",
        "two rows may have the same id",
        "Ask the vendor",
        Level.WARNING,
        sql="ALTER TABLE dbo.SalesInvoiceDetails DROP CONSTRAINT salesinvoicedetails_pkey",
    ),
    Broken(
        "a trigger runs once for many rows",
        "sales database: triggers on dbo.SalesInvoices",
        "tr_sales; up to 128 rows are changed by one statement",
        "WRITE_BACK_ROWS=1",
        Level.WARNING,
        sql="CREATE FUNCTION dbo.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
        "CREATE TRIGGER tr_sales AFTER UPDATE ON dbo.SalesInvoices FOR EACH STATEMENT EXECUTE FUNCTION dbo.nothing()",
    ),
    Broken(
        "a sale is pending that was sold long ago",
        "sales: pending by age",
        "1 longer ago",
        "failures --waiting",
        Level.WARNING,
        sql="""INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date,
            status, created_at, updated_at) VALUES (1, 'HD-1', 'P', 'S', now(), 'PENDING_SYNC',
            now() - interval '9 days', now());
            INSERT INTO dbo.SaleSync (document_type, id, attempt, next_attempt_at, attempts_since)
            VALUES ('sale', 1, 1, 4000000000000, extract(epoch FROM now()) * 1000)""",
    ),
    Broken(
        "an amount is a REAL",
        "sales database: column types: dbo.SalesInvoiceDetails.quantity",
        "seven digits",
        "DECIMAL(18,2)",
        Level.WARNING,
        sql="ALTER TABLE dbo.SalesInvoiceDetails ALTER COLUMN quantity TYPE REAL",
    ),
    Broken(
        "the key is a text",
        "sales database: column types: dbo.SalesInvoiceDetails.sales_invoice_id",
        "a key must be INT or BIGINT",
        "Ask the vendor",
        sql="ALTER TABLE dbo.SalesInvoiceDetails DROP CONSTRAINT salesinvoicedetails_sales_invoice_id_fkey; "
        "ALTER TABLE dbo.SalesInvoiceDetails ALTER COLUMN sales_invoice_id TYPE VARCHAR(36)",
    ),
    Broken(
        "the rows may not be written",
        "sales database: rights",
        "no UPDATE on dbo.SalesInvoices (status)",
        GRANTS,
        sql="REVOKE UPDATE (status) ON dbo.SalesInvoices FROM worker",
    ),
    Broken(
        "the claims may not be made",
        "sales database: rights",
        "no INSERT on dbo.SaleSync",
        GRANTS,
        sql="REVOKE INSERT ON dbo.SaleSync FROM worker",
    ),
    Broken(
        "the accounts may not be read",
        "sales database: table dbo.AccountShop",
        "may not read",
        GRANTS,
        sql="REVOKE SELECT ON dbo.AccountShop FROM worker",
    ),
    Broken(
        "a topic is missing",
        "Kafka topic never.chain.dbo.",
        "is missing",
        "connectors deploy",
        changed=("SALES_CHANGE_TOPIC", lambda _: "never.chain.dbo.SalesInvoices"),
    ),
    Broken(
        "topics have too few partitions",
        "Kafka topic ",
        "TOPIC_PARTITIONS says 64",
        "Set TOPIC_PARTITIONS=",
        Level.WARNING,
        changed=("TOPIC_PARTITIONS", lambda _: "64"),
    ),
    Broken(
        "the broker is unreachable",
        "Kafka",
        "no proper answer",
        "KAFKA_BOOTSTRAP_SERVERS",
        changed=("KAFKA_BOOTSTRAP_SERVERS", lambda _: NOWHERE),
    ),
    Broken(
        "the workers are behind",
        "Kafka group ",
        " events behind",
        "whether a worker is running",
        Level.WARNING,
        values=(b"{}",) * 51,
    ),
    Broken(
        "changes come late",
        "capture into ",
        "the newest change took ",
        "10_capture_on.sql",
        Level.WARNING,
        values=(SOLD_LONG_AGO,),
    ),
    Broken(
        "the connector is not deployed",
        "connector ",
        "is not deployed",
        "connectors deploy",
        connector="nothing",
    ),
    Broken(
        "the connector is paused",
        "connector ",
        "is paused",
        "/resume",
        connector="paused",
    ),
    Broken(
        "a task of the connector has failed",
        "connector ",
        "task 0: FAILED",
        "connectors restart",
        connector="failed",
    ),
    Broken(
        "Kafka Connect is unreachable",
        "Kafka Connect",
        "cannot be reached",
        "CONNECT_URL",
        changed=("CONNECT_URL", lambda _: f"http://{NOWHERE}"),
    ),
    Broken(
        "Redis is away",
        "Redis",
        "cannot be reached",
        "correct the REDIS settings",
        changed=("REDIS_URL", lambda _: f"redis://{NOWHERE}"),
    ),
    Broken(
        "Redis refuses the password",
        "Redis",
        "refuses the log-in",
        "user and password in the REDIS settings",
        changed=("REDIS_URL", lambda url: url.replace("redis://", "redis://nobody:wrong@")),
    ),
    Broken(
        "MongoDB is away",
        "MongoDB",
        "cannot be reached",
        "correct the MONGO settings",
        changed=("MONGO_URL", lambda _: f"mongodb://{NOWHERE}/?serverSelectionTimeoutMS=500"),
    ),
    Broken(
        "the national API is unreachable",
        "national API",
        "no connection to 127.0.0.1:9 (127.0.0.1): ",
        "NATIONAL_API_URL",
        changed=("NATIONAL_API_URL", lambda _: f"http://{NOWHERE}"),
    ),
    Broken(
        "a shop's log-in is refused",
        "log-in of shop SHOP-1",
        "login_refused",
        "AccountShop",
        sql="INSERT INTO dbo.AccountShop VALUES ('SHOP-1', 'P', 'nobody', 'wrong', 'Shop', 1)",
        shop="SHOP-1",
    ),
    Broken(
        "a shop has no account",
        "log-in of shop SHOP-2",
        "0 active accounts",
        "AccountShop",
        shop="SHOP-2",
    ),
    Broken(
        "shops wait for their accounts",
        "sales: log-ins",
        "1 no_account",
        "failures --waiting",
        Level.WARNING,
        sql="""INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date,
            status, created_at, updated_at) VALUES (1, 'HD-1', 'P', 'S', now(), 'PENDING_SYNC', now(), now());
            INSERT INTO dbo.SaleSync (document_type, id, reason_code, attempt, next_attempt_at, attempts_since)
            VALUES ('sale', 1, 'no_account', 1, 4000000000000, extract(epoch FROM now()) * 1000)""",
    ),
]
LETTER = Broken(
    "dead letters lie there", "Kafka sale-dead-letter", "1 messages could not be read", "replay", Level.WARNING
)


@dataclass
class Examined:
    well: SetUp
    healthy: list[Finding]
    broken: dict[str, list[Finding]]


@pytest.fixture(scope="module")
def well(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUp]:
    with set_up(servers, tmp_path_factory.mktemp("examined"), "examined") as well:
        yield well


@pytest.fixture(scope="module")
def examined(well: SetUp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examined]:
    own = {
        each.connector: Deployment(well.connector.connect_url, well.connector.bootstrap, tmp_path_factory.mktemp("c"))
        for each in BROKEN
        if each.connector
    }
    _deploy(own["paused"], {})
    _deploy(own["failed"], {field.replace("__", "."): value for field, value in FAILS_AT_THE_FIRST_LINE.items()})
    _until(own["paused"], "RUNNING")
    _put(own["paused"], "/pause")
    changes = {number: _changed(well, each, number) for number, each in enumerate(BROKEN)}
    _until(own["paused"], "PAUSED")
    _until(own["failed"], "FAILED")
    dismissed = command(well, "replay", "--dismiss", "--yes")  # what other tests have left there
    assert dismissed[0] == 0

    async def look() -> list[list[Finding]]:
        broken = [
            well.findings(each.shop, own[each.connector].name if each.connector else None, **changes[number])
            for number, each in enumerate(BROKEN)
        ]
        return await asyncio.gather(well.findings(), *broken)

    healthy, *found = asyncio.run(look())
    well.produce(LETTER.about.split()[-1], b"{}")
    letter = asyncio.run(well.findings())
    yield Examined(
        well, healthy, dict(zip([*(each.name for each in BROKEN), LETTER.name], [*found, letter], strict=True))
    )
    for deployment in own.values():
        deployment.delete()


def _changed(well: SetUp, broken: Broken, number: int) -> dict[str, str]:
    changed: dict[str, str] = {}
    if broken.changed:
        name, change = broken.changed
        changed[name] = change(well.settings.get(name, ""))
    if broken.sql:
        changed["SALES_DB_DSN"] = well.copy_of_database(f"examined_{number}", broken.sql)
    if broken.values:
        topic = f"{well.connector.name}{number}.chain.dbo.SalesInvoices"
        well.connector.make_topic(topic, 8)
        well.produce(topic, *broken.values)
        changed |= {"SALES_CHANGE_TOPIC": topic, "DOCUMENTS": "sale"}
    return changed


def _deploy(deployment: Deployment, changed: dict[str, str]) -> None:
    _put(deployment, "/config", deployment.config | changed)


def _put(deployment: Deployment, path: str, config: dict[str, str] | None = None) -> None:
    """Wait until Kafka Connect has distributed its work, and change the configuration."""
    address = f"{deployment.connect_url}/connectors/{deployment.name}{path}"
    while (answer := httpx.put(address, json=config, timeout=30, trust_env=False)).status_code == 409:
        pass
    answer.raise_for_status()


def _until(deployment: Deployment, state: str) -> None:
    """Wait until Kafka Connect has adopted a change."""
    deadline = time.monotonic() + 60
    states: list[str] = []
    while state not in states:
        assert time.monotonic() < deadline, states
        answer = deployment.get("/status")
        if answer.is_success:
            said = answer.json()
            states = [part["state"] for part in (said["connector"], *said["tasks"])]


def command(well: SetUp, name: str, *arguments: str) -> tuple[int, str]:
    """Return exit code and stdout."""
    settings = Settings(_env_file=None, **{key.lower(): value for key, value in well.settings.items()})  # type: ignore[arg-type]
    chosen = next(command for command in commands(settings, DOCUMENT_TYPES) if command.name == name)
    result = CliRunner().invoke(chosen, [*arguments, "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def test_doctor_finds_nothing_wrong_with_a_healthy_set_up(examined: Examined) -> None:
    found, connector = examined.healthy, examined.well.connector
    assert [finding for finding in found if finding.level is Level.ERROR] == []
    assert {f.about for f in found if f.level is Level.SKIPPED} == {"change data capture"}
    good = {f.about for f in found if f.level is Level.OK}
    assert good >= {"sales database", "sales database: rights", "sales database: indexes", "Kafka", "Redis", "MongoDB"}
    assert good >= {"national API", f"connector {connector.name}", f"Kafka topic {connector.change_topic}"}
    assert (exit_code(found), exit_code(found, strict=True)) == (0, 1), "no worker runs: a warning"


@pytest.mark.parametrize("broken", [*BROKEN, LETTER], ids=lambda broken: broken.name)
def test_doctor_names_exactly_what_is_broken_with_its_action(examined: Examined, broken: Broken) -> None:
    found = examined.broken[broken.name]
    known = {(f.about, f.level) for f in examined.healthy}
    new = [f for f in found if f.level in BAD and (f.about, f.level) not in known]
    assert new
    for finding in new:
        assert finding.level is broken.level
        assert finding.about.startswith(broken.about)
        assert broken.what in finding.what
        assert broken.action in finding.action
    assert exit_code(found) == (broken.level is Level.ERROR)
    assert examined.well.servers.postgres.password("worker") not in repr(found)


def test_doctor_has_the_documented_json_and_exit_codes(examined: Examined) -> None:
    """They are documented in docs/commands.md."""
    for arguments, expected in (((), 0), (("--strict",), 1), (("--log-in", "SHOP-9"), 1)):
        code, out = command(examined.well, "doctor", "--name", examined.well.connector.name, *arguments)
        said = json.loads(out)
        assert code == expected
        assert said.keys() == {"findings", "errors", "warnings"}
        assert {frozenset(finding) for finding in said["findings"]} == {frozenset({"about", "level", "what", "action"})}
        levels = [finding["level"] for finding in said["findings"]]
        assert (levels.count("error"), levels.count("warning")) == (said["errors"], said["warnings"])
        assert said["errors"] == (arguments[:1] == ("--log-in",))


SILENT = {
    *("sales database", "newest change", "Kafka", "Kafka Connect", "Redis", "MongoDB", "national API"),
    *("log-in of shop SHOP-1", "worker"),
}


def test_silent_servers_do_not_delay_doctor(postgres: Postgres, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as silent:  # nobody accepts
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": place,
            "SALES_CHANGE_TOPIC": "pharmacy.chain.dbo.SalesInvoices",
            "CONNECT_URL": f"http://{place}",
            "SALES_DB_DSN": re.sub(r"(?<=Port=)\d+", place.partition(":")[2], postgres.dsn("worker", "postgres")),
            "REDIS_URL": f"redis://{place}",
            "MONGO_URL": f"mongodb://{place}/",
            "NATIONAL_API_URL": f"http://{place}",
            "WEB_PORT": place.partition(":")[2],
        }
        began = time.monotonic()
        ended = start_faust(tmp_path, "doctor", "--json", "--timeout", "4", "--log-in", "SHOP-1", **settings)
        took = time.monotonic() - began
    assert (ended.returncode, ended.stderr) == (1, "")
    wrong = {f["about"]: f["action"] for f in json.loads(ended.stdout)["findings"] if f["level"] == "error"}
    assert wrong.keys() == SILENT
    assert all(wrong.values())
    assert took < 20
