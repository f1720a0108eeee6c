"""Tests a whole rehearsal on real servers: prepared by the command, and run while production has sales."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from streams.local.processes import Process, free_port
from streams.local.real.postgres import PostgresDatabase
from streams.local.real.stack import RealStack
from streams.local.samples import Seller
from streams.local.simulator.control import Control
from streams.runtime.process_exit import WRONG_SETTINGS
from streams.settings import Settings
from tests.support.command_line import Ended, start_faust
from tests.support.repository import ROOT

REAL = "https://api.example"
SALES = 30
COPY = "chain_rehearsal"
COUNTS = "SELECT status, COUNT(*) FROM dbo.SalesInvoices GROUP BY status"
LEFT = (
    "SELECT COUNT(*) FROM dbo.SalesInvoices i LEFT JOIN dbo.SaleSync s ON s.document_type = 'sale' AND s.id = i.id "
    "WHERE i.status = 'PENDING_SYNC' AND COALESCE(s.reason_code, '') NOT IN ('no_account', 'several_accounts')"
)
WORKER = ("faust", "-A", "streams.app", "worker")


@dataclass
class Rehearsal:
    """Production and a copy of its database, as an operator finds them."""

    stack: RealStack
    copy: PostgresDatabase
    folder: Path
    production: Path
    """The folder with production's `.env`."""
    port: int = field(default_factory=free_port)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, sql: str, database: str = COPY) -> list[tuple[object, ...]]:
        with closing(self.stack.postgres.connect(database)) as owner:
            done = owner.execute(sql)
            return [tuple(row) for row in done.fetchall()] if done.description else []

    def mark(self) -> None:
        """Do what connectors/sql/70_mark_copy.sql does on SQL Server."""
        self.run("CREATE TABLE IF NOT EXISTS dbo.SaleSyncCopy (api_url VARCHAR(400) NOT NULL)")
        self.run(f"INSERT INTO dbo.SaleSyncCopy (api_url) VALUES ('{self.api_url}')")  # noqa: S608
        self.run("GRANT SELECT ON dbo.SaleSyncCopy TO PUBLIC")
        self.run("UPDATE dbo.AccountShop SET account = 'rehearsal', password = 'rehearsal'")

    def rehearse(self, *arguments: str) -> Ended:
        dsn = self.production / "copy.dsn"
        dsn.write_text(self.stack.postgres.dsn("worker", COPY))
        options = ["--database", COPY, "--dsn-file", str(dsn), "--api-url", self.api_url]
        return start_faust(self.production, "rehearse", str(self.folder), *options, "--json", *arguments)

    @asynccontextmanager
    async def process(self, name: str, *arguments: str) -> AsyncIterator[Process]:
        """Run a program in the rehearsal's folder, with no setting but those of its `.env`."""
        clean = {key: "" for key in os.environ if key.lower() in Settings.model_fields}
        environment = {"PYTHONPATH": str(ROOT), "STACK": "production", **clean}
        command = [sys.executable, "-m", *arguments]
        log = self.folder / f"{name}.log"
        process = Process(name, command, log=log, folder=self.folder, environment=environment)
        try:
            yield process
        finally:
            await asyncio.to_thread(process.terminate, 40)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(90):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(0.2)

    def is_sent(self) -> bool:
        """Return whether only sales of shops without an account are left."""
        [(left,)] = self.run(LEFT)
        return left == 0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    folder = tmp_path_factory.mktemp("stack")
    with RealStack(folder, latency_ms=20, capture="polling", captured=False, partitions=2) as stack:
        yield stack


@pytest.fixture
def rehearsal(stack: RealStack, tmp_path: Path) -> Iterator[Rehearsal]:
    copy = stack.postgres.create_sales_database(COPY)
    for database in (stack.database, copy):
        with closing(Seller(database, fault_share=0.0)) as seller:
            seller.sell(SALES)
            seller.finish()
    production = tmp_path / "production"
    production.mkdir()
    kept = {name: value for name, value in stack.environment.items() if name.lower() in Settings.model_fields}
    settings = kept | {"NATIONAL_API_URL": REAL, "STACK": "production", "NATIONAL_API_PROXY": "http://127.0.0.1:9"}
    (production / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    yield Rehearsal(stack, copy, tmp_path / "rehearsal", production)
    stack.postgres.drop(COPY)


async def test_a_rehearsal_sends_the_copy_to_the_simulator_and_leaves_production_alone(rehearsal: Rehearsal) -> None:
    before = rehearsal.run(COUNTS, "chain")
    refused = rehearsal.rehearse()
    assert refused.returncode == 1
    assert "is not marked as a copy" in refused.stderr
    assert not (rehearsal.folder / ".env").exists()

    rehearsal.mark()
    prepared = rehearsal.rehearse()
    assert (prepared.returncode, prepared.stderr) == (0, "")
    said = json.loads(prepared.stdout)
    assert said["settings"]["TOPIC_PREFIX"] == "rehearsal"
    assert "topic rehearsal-sale-status: created, 2 partitions, kept for 30 days" in said["lines"]
    assert (rehearsal.folder / ".env").stat().st_mode & 0o777 == 0o600
    assert REAL not in (rehearsal.folder / ".env").read_text()

    simulator = ("streams.local.simulator", "--port", str(rehearsal.port), "--shops", "shops.json")
    async with (
        rehearsal.process("simulator", *simulator, "--ledger", "ledger.jsonl") as api,
        Control(rehearsal.api_url) as control,
    ):
        await asyncio.to_thread(api.announced, "url")
        examined = await asyncio.to_thread(start_faust, rehearsal.folder, "doctor", "--json")
        findings = {each["about"]: each for each in json.loads(examined.stdout)["findings"]}
        assert [each for each in findings.values() if each["level"] == "error"] == []
        assert findings["sales database: copy"]["level"] == "ok"
        assert rehearsal.api_url in findings["sales database: copy"]["what"]
        async with rehearsal.process("worker", *WORKER):
            await rehearsal.until(rehearsal.is_sent)
        summary = await control.summary()
        [(accepted,)] = rehearsal.run("SELECT COUNT(*) FROM dbo.SalesInvoices WHERE status = 'SYNC_SUCCESS'")
        assert (summary.accepted, summary.twice) == (accepted, 0)
        assert accepted
    assert rehearsal.run(COUNTS, "chain") == before == [("PENDING_SYNC", SALES)]


async def test_a_copy_that_was_restored_again_or_is_production_by_mistake_is_not_carried(rehearsal: Rehearsal) -> None:
    rehearsal.mark()
    assert rehearsal.rehearse().returncode == 0
    rehearsal.run("DROP TABLE dbo.SaleSyncCopy")
    async with rehearsal.process("restored", *WORKER) as worker:
        assert await asyncio.to_thread(worker.wait, 60) == WRONG_SETTINGS
        assert "is not marked as a copy: it may be the production database" in worker.output()
    rehearsal.mark()
    rehearsal.run("UPDATE dbo.AccountShop SET password = 'real' WHERE shop_pharmacy_code = 'SHOP-01'")
    again = rehearsal.rehearse()
    assert again.returncode == 1
    assert "accounts of shops that are not overwritten" in again.stderr


async def test_production_that_was_made_from_a_marked_copy_says_how_to_remove_the_mark(rehearsal: Rehearsal) -> None:
    rehearsal.mark()
    (rehearsal.folder).mkdir()
    settings = (rehearsal.production / ".env").read_text().splitlines()
    changed = {"SALES_DB_DSN": rehearsal.stack.postgres.dsn("worker", COPY), "NATIONAL_API_PROXY": ""}
    changed["SALES_CHANGE_TOPIC"] = f"pharmacy.{COPY}.dbo.SalesInvoices"
    kept = [line for line in settings if line.partition("=")[0] not in changed]
    (rehearsal.folder / ".env").write_text("\n".join([*kept, *(f"{name}={value}" for name, value in changed.items())]))
    async with rehearsal.process("production", *WORKER) as worker:
        assert await asyncio.to_thread(worker.wait, 60) == WRONG_SETTINGS
        assert f"may only be sent to {rehearsal.api_url}, and NATIONAL_API_URL is {REAL}" in worker.output()
        assert "DROP TABLE dbo.SaleSyncCopy" in worker.output()
