"""One document in a real database, the real sender, and a simulated API over HTTP, attempt by attempt.

There is no worker and no Kafka: a decision is written back at once, and time passes when a test says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import HttpUrl

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import Body, DocumentType, Endpoint
from streams.documents.sale import SALE
from streams.domain.account import Account
from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import Outcome, Reason, TryLater
from streams.domain.sale_status import Version
from streams.domain.status_message import read_status
from streams.local.processes import free_port
from streams.local.simulator.accounts import Accounts
from streams.local.simulator.api import NationalApi as Simulated
from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.control import Control
from streams.local.simulator.ledger import Ledger
from streams.local.simulator.server import serving
from streams.national_api.answers import LookUp
from streams.national_api.client import NationalApi
from streams.national_api.token_cache import TokenCache
from streams.national_api.withdrawal_answers import WithdrawalResult
from streams.pipeline.document_order import DocumentOrder
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
from tests.contract.stores.point_of_sale import PointOfSale
from tests.support.decided_sales import ZONE, body_of

ID, CODE = 1, "HD-1"
REFUSED_DRUG = "REFUSED"
NOT_STORED_PHRASES = ("Không tìm thấy chứng từ để cập nhật", "Không tìm thấy chứng từ để hủy")
CALL_DEADLINE = 20.0
"""Seconds, as many as may be set: no ordinary call takes so long, however busy the machine is."""


class Died(BaseException):
    """Plays kill -9: nothing catches it."""


@dataclass
class Mortal:
    """The API of a worker that dies when an answer has come, before it uses the answer, or when it has recorded what
    that proves.
    """

    api: NationalApi
    dies_after: str | None = None
    patience: float | None = None
    """Seconds that a POST or a DELETE may take; None: the deadline of every call."""
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while answers to a POST or a DELETE arrive at once."""

    def __post_init__(self) -> None:
        self.answers.set()

    def or_die(self, call: str) -> None:
        if self.dies_after == call:
            self.dies_after = None
            raise Died

    async def token_ready(self, account: Account) -> TryLater | None:
        return await self.api.token_ready(account)

    def _deadline(self, until: float) -> float:
        return until if self.patience is None else min(until, asyncio.get_running_loop().time() + self.patience)

    async def create(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Outcome:
        until = self._deadline(until)
        outcome = await self.api.create(account, endpoint, body, until=until)
        await self.answers.wait()
        self.or_die("create")
        return outcome

    async def replace(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Replaced:
        outcome = await self.api.replace(account, endpoint, body, until=until)
        self.or_die("replace")
        return outcome

    async def withdraw(
        self, account: Account, endpoint: Endpoint, facility_code: str, document_code: str, *, until: float
    ) -> WithdrawalResult:
        until = self._deadline(until)
        result = await self.api.withdraw(account, endpoint, facility_code, document_code, until=until)
        await self.answers.wait()
        self.or_die("withdraw")
        return result

    async def look_up(
        self, account: Account, endpoint: Endpoint, facility_code: str, document_code: str, *, until: float
    ) -> LookUp:
        found = await self.api.look_up(account, endpoint, facility_code, document_code, until=until)
        self.or_die("look_up")
        return found


@dataclass
class World:
    point_of_sale: PointOfSale
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

    async def request(
        self,
        origin: Origin,
        attempt: int | None = None,
        *,
        shop: str = "SHOP-1",
        captured_at_ms: int | None = None,
        id_: int = ID,
    ) -> None:
        """Make one attempt, to its end or to the death of its worker; `captured_at_ms` is the time in the event."""
        at = await self.point_of_sale.db.now_ms() if captured_at_ms is None else captured_at_ms
        document_type = self.point_of_sale.document_type.name
        request = SendRequest(document_type, "chain", id_, f"HD-{id_}", "79-1", shop, origin, at, attempt)
        try:
            await self.sender.send(request)
        except Died:
            return

    async def requested_again(self) -> None:
        await self.point_of_sale.set_status(ID, "DRAFT")
        await self.point_of_sale.set_status(ID, "PENDING_SYNC")
        await self.request(Origin.REQUESTED_AGAIN)

    async def cancelled(self) -> None:
        """Request the withdrawal as a point of sale does, and make its first attempt."""
        await self.point_of_sale.set_status(ID, "PENDING_CANCEL")
        await self.request(Origin.REQUESTED_AGAIN)

    @asynccontextmanager
    async def in_flight(
        self, at_the_api: Callable[[], object] | None = None, origin: Origin = Origin.INSERTED
    ) -> AsyncIterator[None]:
        """Make an attempt. Within the block the API has the call, and its answer arrives when the block ends."""
        self.api.answers.clear()
        attempt = asyncio.create_task(self.request(origin))
        await self.until(at_the_api or self.accepted_posts)
        yield
        self.api.answers.set()
        await attempt

    async def is_due(self) -> bool:
        return bool(await self.schedule.due(1, 2**62))

    async def time_passes(self) -> None:
        """Let lease and delay end, and make the attempt of the scheduler."""
        await self.point_of_sale.run("UPDATE dbo.SaleSync SET lease_until = 0, next_attempt_at = 1")
        (due,) = await self.schedule.due(1, 2**62)
        await self.request(Origin.DUE, due.attempt)

    async def days_pass(self) -> None:
        """Make the sale old, and the API one that has been answering others since."""
        await self.point_of_sale.run("UPDATE dbo.SaleSync SET attempts_since = 1")
        self.gate.answers_since = float("-inf")

    def reason(self) -> Reason | None:
        """Return the reason of the last decision."""
        return self.decisions[-1].reason

    async def row_body(self) -> Body:
        return await body_of(self.point_of_sale)

    async def edit(self, **columns: Any) -> None:
        for column, value in columns.items():
            lines_table = self.point_of_sale.document_type.lines_table
            await self.point_of_sale.run(f"UPDATE dbo.{lines_table} SET {column} = ?", value)  # noqa: S608

    async def status(self) -> str:
        return str((await self.point_of_sale.row(ID))["status"])

    async def calls(self) -> list[str]:
        """Return the calls since the last time that this was called."""
        seen = [str(seen.call) for seen in self.simulated.seen.of(CODE)]
        new, self._seen = seen[self._seen :], len(seen)
        return new

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)

    def accepted_posts(self) -> int:
        return sum(entry.call == "create" for entry in self.simulated.ledger.entries(CODE))

    def withdrawn(self) -> int:
        """Return how many DELETEs were carried out."""
        return sum(entry.call == "withdraw" for entry in self.simulated.ledger.entries(CODE))

    async def assert_agreed(self) -> None:
        """Check that the stored document is the one that the row names, and that it was stored once."""
        row, stored = await self.point_of_sale.row(ID), list(self.simulated.ledger.standing(CODE))
        if row["status"] == "SYNC_SUCCESS":
            (document,) = stored
            national_id = row[self.point_of_sale.document_type.national_id_column]
            assert national_id in (document.national_ids[0], None)
            assert len(document.national_ids) == 1
        elif row["status"] == "SYNC_FAILED":
            older = (await self.point_of_sale.state(ID))["reason_code"] == "older_version_stored"
            assert len(stored) == older
        elif row["status"] == "CANCELLED":
            assert stored == []
            assert row[self.point_of_sale.document_type.national_id_column] is None
            state = await self.point_of_sale.state(ID)
            assert (state["sent_hash"], state["ever_accepted"], state["stored_document_code"]) == (None, 0, None)
        elif row["status"] == "CANCEL_FAILED":
            assert len(stored) == 1
        assert self.simulated.ledger.summary().twice == 0


@asynccontextmanager
async def world(folder: Path, document_type: DocumentType = SALE, **changed: Any) -> AsyncIterator[World]:
    """Yield one complete pending document of a shop that can log in; `changed` are settings of the worker."""
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
                "not_stored_phrases": NOT_STORED_PHRASES,
            }
            | changed
        )
        db = SalesDb(settings)
        await db.open()
        opened.push_async_callback(db.close)
        point_of_sale = PointOfSale(db, document_type)
        await point_of_sale.sell(ID)
        await point_of_sale.add_lines(ID, "DRUG-1")
        await point_of_sale.open_account("SHOP-1", "usr", "pwd")
        api = NationalApi(settings, TokenCache(settings.redis_url, "doubt"))
        opened.push_async_callback(api.aclose)
        mortal, writer = Mortal(api), DecisionWriter(db, {document_type.name: document_type}, ZONE)
        decisions: list[Decision] = []

        async def publish(_: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
            await writer.apply(document_type.name, [read_status(value, headers)])

        publisher = StatusPublisher(publish, {document_type.name: document_type}, db.last_known_now_ms)

        async def publish_decision(
            request: SendRequest, claim: Claim, decision: Decision, version: Version | None
        ) -> None:
            mortal.or_die("record")
            decisions.append(decision)
            await publisher.publish(request, claim, decision, version)

        gate = OutageGate(1000, 60)
        order = DocumentOrder(db, document_type, DOCUMENT_TYPES, settings.document_order_wait, batch_wait=0)
        one, another = (
            Sender(document_type, settings, db, mortal, Admission(each), publish_decision, order=order)
            for each in (gate, OutageGate(1000, 60))
        )
        schedule = Schedule(db, document_type)
        yield World(point_of_sale, control, url, simulated, mortal, one, another, schedule, decisions, gate)
