"""Tests what points of sale, operators and failing servers do while sales are at the national API.

There is one stack and one worker for all; in the end both sides agree on every sale.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest
import pytest_asyncio
import redis

from streams.local.samples import Sale
from streams.local.simulator import presets
from streams.local.stack import LocalStack
from tests.contract.simulator.shop import Shop, plain_http
from tests.pipeline.pipeline import Pipeline

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(stack: LocalStack) -> AsyncIterator[Pipeline]:
    async with Pipeline(stack) as pipeline:
        pipeline.start_worker()
        yield pipeline


def said(pipeline: Pipeline, event: str) -> int:
    return pipeline.workers[0].log.read_text().count(event)


async def in_flight(pipeline: Pipeline, seconds: float = 1.5) -> Sale:
    """Yield a sale that the API has accepted, whose answer comes after so many seconds."""
    await pipeline.control.add_rule(presets.slow_to_answer(seconds), "create", times=1)
    [sale] = pipeline.seller.sell(1)

    async def taken() -> bool:
        return bool(await pipeline.control.ledger(sale.local_invoice_id))

    await pipeline.until(taken, "it is taken")
    return sale


async def ended(pipeline: Pipeline, *sales: Sale, status: str = "SYNC_SUCCESS") -> None:
    await pipeline.until(
        lambda: all(pipeline.rows()[sale.id].status == status for sale in sales), f"all are {status}", 60
    )


async def calls(pipeline: Pipeline, sale: Sale) -> list[str]:
    return [seen.call for seen in await pipeline.control.requests(sale.local_invoice_id)]


@pytest.mark.parametrize("requests_again", [False, True])
async def test_a_sale_edited_during_its_attempt_is_sent_again_in_its_new_version(
    pipeline: Pipeline, requests_again: bool
) -> None:
    sale = await in_flight(pipeline)
    pipeline.execute("UPDATE SalesInvoices SET customer_name = 'Lê Văn Mới' WHERE id = ?", sale.id)
    if requests_again:
        pipeline.execute("UPDATE SalesInvoices SET status = 'DRAFT' WHERE id = ?", sale.id)
        pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC' WHERE id = ?", sale.id)

    async def replaced() -> bool:
        return await calls(pipeline, sale) == ["create", "replace"]

    await pipeline.until(replaced, "today's version is sent too")
    await ended(pipeline, sale)


async def test_a_sale_requested_again_while_its_retry_waits_is_sent_once(pipeline: Pipeline) -> None:
    await pipeline.control.add_rule(presets.status(401), "create", times=2)
    [sale] = pipeline.seller.sell(1)
    await pipeline.until(lambda: bool(pipeline.rows()[sale.id].message), "it waits, and says why")
    pipeline.execute("UPDATE SalesInvoices SET status = 'DRAFT' WHERE id = ?", sale.id)
    pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC' WHERE id = ?", sale.id)
    await ended(pipeline, sale)
    assert [entry.call for entry in await pipeline.control.ledger(sale.local_invoice_id)][:1] == ["create"]


async def test_a_deleted_sale_leaves_the_schedule(pipeline: Pipeline) -> None:
    sale = await in_flight(pipeline)
    pipeline.execute("DELETE FROM SalesInvoiceDetails WHERE sales_invoice_id = ?", sale.id)
    pipeline.execute("DELETE FROM SalesInvoices WHERE id = ?", sale.id)

    def over() -> bool:
        [(published_attempt, next_attempt)] = pipeline.database.execute(
            "SELECT published_attempt, next_attempt_at FROM SaleSync WHERE id = ?", (sale.id,)
        ).fetchall()
        return published_attempt == 1 and next_attempt is None

    await pipeline.until(over, "its history says how it ended, and nothing waits")
    await withdraw_by_hand(pipeline, sale)


async def withdraw_by_hand(pipeline: Pipeline, sale: Sale) -> None:
    """Withdraw in the portal what no row names any more."""
    [shop] = [shop for shop in pipeline.seller.shops if shop.code == sale.shop]
    async with plain_http(pipeline.stack.simulator_url) as http:
        point_of_sale = await Shop(http, shop.account, shop.password).log_in()
        await point_of_sale.withdraw(sale.local_invoice_id, sale.pharmacy_code)


async def test_sales_are_sent_when_redis_is_emptied_and_goes_away(pipeline: Pipeline, stack: LocalStack) -> None:
    sale = await in_flight(pipeline)
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        client.flushall()
    stack.valkey.process.kill()
    await ended(pipeline, sale, *pipeline.seller.sell(10))
    await asyncio.to_thread(stack.valkey.start)
    await ended(pipeline, *pipeline.seller.sell(5))


async def test_the_journal_gets_every_decision_made_while_mongodb_was_away(
    pipeline: Pipeline, stack: LocalStack
) -> None:
    stack.mongo.process.kill()
    sales = pipeline.seller.sell(10)
    await ended(pipeline, *sales)
    await pipeline.until(lambda: said(pipeline, "journal.waiting") > 0, "it is said")
    await asyncio.to_thread(stack.mongo.start)
    ids = {sale.id for sale in sales}
    await pipeline.until(
        lambda: ids <= {entry["id"] for entry in pipeline.journal("task_logs")}, "the journal has all of them", 90
    )


async def test_a_row_that_a_trigger_refuses_is_quarantined_alone(pipeline: Pipeline) -> None:
    last = max(pipeline.rows())
    pipeline.execute(
        f"CREATE TRIGGER refuse BEFORE UPDATE ON SalesInvoices WHEN NEW.id = {last + 1} "
        "BEGIN SELECT RAISE(ABORT, 'refused by the till'); END"
    )
    refused, *others = pipeline.seller.sell(20)
    await ended(pipeline, *others)
    await pipeline.until(lambda: said(pipeline, "write_back.quarantined") > 0, "it is said")
    assert pipeline.rows()[refused.id].status == "PENDING_SYNC"
    pipeline.execute("DROP TRIGGER refuse")
    await ended(pipeline, refused)


async def test_sales_are_decided_after_a_lock_on_the_database(pipeline: Pipeline) -> None:
    sale = await in_flight(pipeline)
    waited = said(pipeline, "service.part_failed")
    with closing(sqlite3.connect(pipeline.stack.environment["SALES_DB_ATTACH"], isolation_level=None)) as point_of_sale:
        point_of_sale.execute("BEGIN IMMEDIATE")
        deadline = asyncio.get_running_loop().time() + 60
        while said(pipeline, "service.part_failed") < waited + 1:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.1)
        point_of_sale.execute("ROLLBACK")
    await ended(pipeline, sale, *pipeline.seller.sell(5))


async def test_the_database_and_the_national_system_agree_on_every_sale(pipeline: Pipeline) -> None:
    await pipeline.until_decided()
    rows = pipeline.rows()
    stored = {document.code: document for document in await pipeline.control.standing()}
    assert stored.keys() == {row.local_invoice_id for row in rows.values()}
    assert {row.local_invoice_id: [row.national_id] for row in rows.values()} == {
        code: document.national_ids for code, document in stored.items()
    }
    assert (await pipeline.control.summary()).twice == 0
    assert await pipeline.records("sale-dead-letter") == []
