"""One document between a till and a simulated API over HTTP, attempt by attempt, with the real sender and stores.

No worker and no Kafka: a decision is written back at once. Time passes when a test says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import HttpUrl

from streams.documents.document import Body, DocumentType, Endpoint
from streams.documents.sale import SALE
from streams.domain.account import Account
from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import Outcome, Reason, TryLater
from streams.domain.sale_status import Version
from streams.domain.status_message import read_status
from streams.local.processes import free_port
from streams.local.simulator import presets
from streams.local.simulator.accounts import Accounts
from streams.local.simulator.api import NationalApi as Simulated
from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.control import Control
from streams.local.simulator.ledger import Ledger
from streams.local.simulator.server import serving
from streams.national_api.answers import LookUp
from streams.national_api.client import NationalApi
from streams.national_api.token_cache import TokenCache
from streams.pipeline.outage_gate import Admission, OutageGate
from streams.pipeline.retry_policy import Decision
from streams.pipeline.sender import Sender
from streams.pipeline.status_publisher import StatusPublisher
from streams.pipeline.submission import Replaced
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from streams.stores.sync_state import Claim
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import Till
from tests.support.decided_sales import ZONE, body_of

ID, CODE = 1, "HD-1"
REFUSED_DRUG = "REFUSED"
CALL_DEADLINE = 0.25


class Died(BaseException):
    """kill -9: nobody catches it."""


@dataclass
class Mortal:
    """The API of a worker that dies once an answer has come, before anything is made of it."""

    api: NationalApi
    dies_after: str | None = None

    def _or_die(self, call: str) -> None:
        if self.dies_after == call:
            self.dies_after = None
            raise Died

    async def token_ready(self, account: Account) -> TryLater | None:
        return await self.api.token_ready(account)

    async def create(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Outcome:
        outcome = await self.api.create(account, endpoint, body, until=until)
        self._or_die("create")
        return outcome

    async def replace(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Replaced:
        outcome = await self.api.replace(account, endpoint, body, until=until)
        self._or_die("replace")
        return outcome

    async def look_up(
        self, account: Account, endpoint: Endpoint, facility_code: str, document_code: str, *, until: float
    ) -> LookUp:
        found = await self.api.look_up(account, endpoint, facility_code, document_code, until=until)
        self._or_die("look_up")
        return found


@dataclass
class World:
    till: Till
    control: Control
    control_url: str
    simulated: Simulated
    api: Mortal
    sender: Sender
    another: Sender
    """Another worker's, on the same database."""
    schedule: Schedule
    decisions: list[Decision]
    gate: OutageGate
    """Of the first sender."""
    _seen: int = 0

    async def ask(
        self,
        origin: Origin,
        attempt: int | None = None,
        *,
        shop: str = "SHOP-1",
        captured_at_ms: int | None = None,
        id_: int = ID,
    ) -> None:
        """One attempt, to its end or to the death of its worker. `captured_at_ms`: what the event says of its time."""
        at = await self.till.db.now_ms() if captured_at_ms is None else captured_at_ms
        ask = SendRequest(self.till.kind.name, "chain", id_, f"HD-{id_}", "79-1", shop, origin, at, attempt)
        try:
            await self.sender.send(ask)
        except Died:
            return

    async def requested_again(self) -> None:
        await self.till.set_status(ID, "DRAFT")
        await self.till.set_status(ID, "PENDING_SYNC")
        await self.ask(Origin.REQUESTED_AGAIN)

    async def in_flight(self) -> asyncio.Task[None]:
        """The first attempt, with the sale at the API already, and its answer on its way."""
        await self.control.add_rule(presets.slow_to_answer(CALL_DEADLINE / 2), "create", times=1)
        asking = asyncio.create_task(self.ask(Origin.INSERTED))
        await self.until(self.accepted_posts)
        return asking

    async def is_due(self) -> bool:
        return bool(await self.schedule.due(1, 2**62))

    async def time_passes(self) -> None:
        """Until lease and delay are over: then the scheduler brings it."""
        await self.till.run("UPDATE dbo.SaleSync SET lease_until = 0, next_attempt_at = 1")
        (due,) = await self.schedule.due(1, 2**62)
        await self.ask(Origin.DUE, due.attempt)

    async def days_pass(self) -> None:
        """It was first seen long ago, and the API has been answering others since."""
        await self.till.run("UPDATE dbo.SaleSync SET attempts_since = 1")
        self.gate.answers_since = float("-inf")

    def reason(self) -> Reason | None:
        """Of the last decision."""
        return self.decisions[-1].reason

    async def row_body(self) -> Body:
        return await body_of(self.till)

    async def edit(self, **columns: Any) -> None:
        for column, value in columns.items():
            await self.till.run(f"UPDATE dbo.{self.till.kind.lines_table} SET {column} = ?", value)  # noqa: S608

    async def status(self) -> str:
        return str((await self.till.row(ID))["status"])

    async def calls(self) -> list[str]:
        """Since the last time that this was asked."""
        seen = [str(seen.call) for seen in self.simulated.seen.of(CODE)]
        new, self._seen = seen[self._seen :], len(seen)
        return new

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    def accepted_posts(self) -> int:
        return sum(entry.call == "create" for entry in self.simulated.ledger.entries(CODE))

    async def assert_agreed(self) -> None:
        """What is held, once, is what the row says; nothing was sent while it was held."""
        row, held = await self.till.row(ID), list(self.simulated.ledger.standing(CODE))
        if row["status"] == "SYNC_SUCCESS":
            (standing,) = held
            assert row[self.till.kind.national_id_column] in (standing.national_ids[0], None)
            assert len(standing.national_ids) == 1
        elif row["status"] == "SYNC_FAILED":
            older = (await self.till.state(ID))["reason_code"] == "older_version_stored"
            assert len(held) == older
        assert self.simulated.ledger.summary().twice == 0


@asynccontextmanager
async def world(folder: Path, kind: DocumentType = SALE, **changed: Any) -> AsyncIterator[World]:
    """One whole document, pending, of a shop that can log in. `changed`: settings of the worker."""
    async with AsyncExitStack() as opened:
        simulated = Simulated(Accounts([], time.time), Ledger(time.time), time.time, Behaviour(latency_ms=0))
        url = await opened.enter_async_context(serving(simulated))
        control = await opened.enter_async_context(Control(url))
        await control.set_account("usr", "pwd")
        await control.change_behaviour(refused_drugs=[REFUSED_DRUG])
        settings = Sqlite(folder).settings(
            **{
                "national_api_url": HttpUrl(url),
                "api_call_deadline": CALL_DEADLINE,
                "redis_url": f"redis://127.0.0.1:{free_port()}",
                "lines_timeout": 0,
                "settle_after_outage": 0,
                "read_batch_wait": 0,
                "not_stored_phrases": ("Không tìm thấy chứng từ để cập nhật",),
            }
            | changed
        )
        db = SalesDb(settings)
        await db.open()
        opened.push_async_callback(db.close)
        till = Till(db, kind)
        await till.sell(ID)
        await till.add_lines(ID, "DRUG-1")
        await till.open_account("SHOP-1", "usr", "pwd")
        api = NationalApi(settings, TokenCache(settings.redis_url, "doubt"))
        opened.push_async_callback(api.aclose)
        mortal, ends = Mortal(api), DecisionWriter(db, {kind.name: kind}, ZONE)
        decisions: list[Decision] = []

        async def publish(_: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
            await ends.apply(kind.name, [read_status(value, headers)])

        publisher = StatusPublisher(publish, {kind.name: kind}, db.last_known_now_ms)

        async def tell(ask: SendRequest, claim: Claim, decision: Decision, version: Version | None) -> None:
            decisions.append(decision)
            await publisher.publish(ask, claim, decision, version)

        gate = OutageGate(1000, 60)
        one, another = (
            Sender(kind, settings, db, mortal, Admission(each), tell) for each in (gate, OutageGate(1000, 60))
        )
        yield World(till, control, url, simulated, mortal, one, another, Schedule(db, kind), decisions, gate)
