"""The whole pipeline as tests drive it: the local stack, points of sale, and workers as processes of their own."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pymongo import MongoClient

from streams.domain.sale_status import SaleStatus
from streams.local.database import SalesDatabase
from streams.local.processes import Process
from streams.local.samples import REFUSED_DRUG_CODE, Seller
from streams.local.shops import mend_accounts
from streams.local.simulator import accounts as national
from streams.local.simulator.control import Control
from streams.local.stack import CHANGE_TOPIC, Stack

QUICK = {
    "RETRY_DELAYS": "[1, 1, 2]",
    "LINES_RETRY_DELAY": "1",
    "LINES_TIMEOUT": "5",
    "SWEEP_AFTER": "3",
    "SETTLE_AFTER_OUTAGE": "0",
    "LOGIN_RETRY_DELAY": "60",
    "ATTEMPT_DEADLINE": "5",
    "LEASE_GRACE": "3",
    "KAFKA_SESSION_TIMEOUT": "6",
    "LOG_LEVEL": "debug",
}


@dataclass(frozen=True)
class Row:
    id: int
    local_invoice_id: str
    pharmacy_code: str
    shop: str
    status: str
    national_id: str | None
    message: str | None


class Pipeline:
    """One stack with a seller of its own, which closes everything that it started."""

    def __init__(
        self,
        stack: Stack,
        *,
        fault_share: float = 0.0,
        database: SalesDatabase | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`database`: another one than the stack's. `settings`: of its workers and commands, before the stack's."""
        self.stack = stack
        self._sales_database = database or stack.database
        self.settings = dict(settings or {})
        self.environment = {**stack.environment, **self.settings}
        self.database = self._sales_database.connect()
        self.seller = Seller(self._sales_database, fault_share=fault_share)
        self._sold_before = max(self.rows(), default=0)
        self.control = Control(stack.simulator_url)
        self.workers: list[Process] = []

    async def __aenter__(self) -> Self:
        accounts = [national.Account.model_validate({"usr": a["usr"], "pwd": a["pwd"]}) for a in self.seller.accounts]
        await self.control.set_accounts(accounts)
        # The worst of what is not known about the API: a second POST of a sale makes a second document, unseen.
        await self.control.change_behaviour(
            refused_drugs=[REFUSED_DRUG_CODE], second_create="another", refusals_name_customer=True
        )
        return self

    async def __aexit__(
        self, error_class: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            await asyncio.to_thread(worker.terminate, 30)
        await self.control.close()
        self.seller.close()
        self.database.close()

    def start_worker(self, name: str = "worker", **settings: str) -> Process:
        worker = self.stack.start_worker(name, QUICK | self.settings | settings)
        self.workers.append(worker)
        return worker

    async def mend(self) -> None:
        await asyncio.to_thread(mend_accounts, self.seller, self.stack.simulator_url)

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = 60) -> None:
        """Wait until `condition` holds, or fail with the state of the pipeline after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            self.seller.pump()
            holds = condition()
            if await holds if isinstance(holds, Awaitable) else holds:
                return
            if time.monotonic() > deadline:
                logs = "\n".join(worker.tail() for worker in self.workers)
                raise AssertionError(f"not within {seconds} s: {what}; rows: {self.counts()}\n{logs}")
            await asyncio.sleep(0.1)

    async def until_decided(self, seconds: float = 60) -> None:
        def decided() -> bool:
            return not self.counts().keys() & {"PENDING_SYNC", "PENDING_CANCEL"}

        await self.until(decided, "every sale has its end", seconds)

    def rows(self) -> dict[int, Row]:
        rows = self.database.execute(
            "SELECT id, local_invoice_id, pharmacy_code, shop_pharmacy_code, status, national_invoice_id, "
            "sync_response_message FROM SalesInvoices"
        )
        return {row[0]: Row(*row) for row in rows.fetchall()}

    def counts(self) -> dict[str, int]:
        """Count sales since this pipeline started, because another may have sold on the same stack before."""
        rows = self.database.execute(
            "SELECT status, COUNT(*) FROM SalesInvoices WHERE id > ? GROUP BY status", (self._sold_before,)
        ).fetchall()
        return {status: int(count) for status, count in rows}

    def execute(self, sql: str, *parameters: object) -> None:
        """Run a statement of a point of sale or an operator."""
        with closing(self._sales_database.connect()) as database:
            database.execute(sql, parameters)

    def without_events(self, ids: Iterable[int]) -> None:
        """Lose the change events: take them from the capture table at the moment they are made."""
        for id_ in ids:
            self.execute("DELETE FROM local_changes WHERE changed_table = 'SalesInvoices' AND id = ?", id_)

    async def produce(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        topic: str = CHANGE_TOPIC,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        sent = [(name, text.encode()) for name, text in (headers or {}).items()]
        producer = AIOKafkaProducer(bootstrap_servers=self.stack.broker.address)
        await producer.start()
        try:
            await producer.send_and_wait(topic, value, key=key, headers=sent)
        finally:
            await producer.stop()

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, n) for n in range(int(self.environment["TOPIC_PARTITIONS"]))]

    async def records(self, topic: str) -> list[Any]:
        """Return all records of a topic so far, in the order of each partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.stack.broker.address, auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = self._partitions(topic)
            consumer.assign(partitions)
            end_offsets = await consumer.end_offsets(partitions)
            records: list[Any] = []
            while [p for p in partitions if await consumer.position(p) < end_offsets[p]]:
                for part in (await consumer.getmany(timeout_ms=200)).values():
                    records += part
            return records
        finally:
            await consumer.stop()

    async def statuses(self) -> list[SaleStatus]:
        """Return the published decisions without repeats."""
        records = await self.records(self.prefixed("sale-status"))
        published = [SaleStatus.model_validate_json(record.value) for record in records]
        return list({status.event_id: status for status in published}.values())

    async def unfinished_offsets(self) -> dict[str, int]:
        """Return the events of the worker's topics that its group has not committed."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.stack.broker.address, group_id="pharmacy-sale-streams")
        await consumer.start()
        try:
            lag: dict[str, int] = defaultdict(int)
            for topic in (CHANGE_TOPIC, "sale-retry", "sale-status"):
                partitions = self._partitions(topic)
                end_offsets = await consumer.end_offsets(partitions)
                for partition in partitions:
                    lag[topic] += end_offsets[partition] - (await consumer.committed(partition) or 0)
            return dict(lag)
        finally:
            await consumer.stop()

    def journal(self, collection: str) -> list[dict[str, Any]]:
        with MongoClient[dict[str, Any]](self.environment["MONGO_URL"]) as client:
            return list(client[self.prefixed(self.environment["MONGO_DATABASE"])][collection].find())

    def prefixed(self, name: str) -> str:
        prefix = self.environment.get("TOPIC_PREFIX")
        return f"{prefix}-{name}" if prefix else name

    async def assert_both_sides_agree(self) -> None:
        """Check that the national system has stored every sale that the database says, and once."""
        stored = {(s.ma_co_so, s.code): s for s in await self.control.standing()}
        succeeded = {
            (r.pharmacy_code, r.local_invoice_id): r for r in self.rows().values() if r.status == "SYNC_SUCCESS"
        }
        assert stored.keys() == succeeded.keys()
        assert {key: document.national_ids for key, document in stored.items()} == {
            key: [row.national_id] for key, row in succeeded.items()
        }
        summary = await self.control.summary()
        assert summary.twice == 0
        statuses = {s.id: s for s in sorted(await self.statuses(), key=lambda s: s.attempt)}
        assert {i: s.status for i, s in statuses.items()} == {i: r.status for i, r in self.rows().items()}
