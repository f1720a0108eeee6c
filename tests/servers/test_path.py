"""Tests the path from a commit in PostgreSQL through Debezium's real events to the written-back row.

There is one stack and one worker for all: each test has its own sales, and in the end both sides agree on every one
of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from streams.local.real.stack import RealStack
from streams.local.samples import Sale
from streams.local.simulator import presets
from streams.local.stack import CHANGE_TOPIC
from tests.pipeline.pipeline import Pipeline

EXAMPLES = Path(__file__).parents[1] / "examples/sqlserver-changes.jsonl"
pytestmark = pytest.mark.asyncio(loop_scope="module")
CAPTURED = {"id", "local_invoice_id", "pharmacy_code", "shop_pharmacy_code", "status"}


@pytest.fixture(scope="module")
def real_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    with RealStack(tmp_path_factory.mktemp("stack"), latency_ms=20, captured=False) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(real_stack: RealStack) -> AsyncIterator[Pipeline]:
    async with Pipeline(real_stack) as pipeline:
        yield pipeline


@pytest_asyncio.fixture(loop_scope="module")
async def pipeline(shared: Pipeline, real_stack: RealStack) -> Pipeline:
    """Run a pipeline with the connector deployed and a worker."""
    if not shared.workers:
        await asyncio.to_thread(real_stack.deploy)
        shared.start_worker()
    return shared


async def sold(pipeline: Pipeline, count: int = 1) -> list[Sale]:
    return await asyncio.to_thread(pipeline.seller.sell, count)


async def events(pipeline: Pipeline, sale: Sale) -> list[dict[str, Any]]:
    """Return what was captured of a sale, in order."""
    records = [record for record in await pipeline.records(CHANGE_TOPIC) if json.loads(record.key)["id"] == sale.id]
    assert len({record.partition for record in records}) <= 1, "a sale's events keep their order"
    return [json.loads(record.value) for record in records]


async def until_ended(pipeline: Pipeline, *sales: Sale, status: str = "SYNC_SUCCESS", seconds: float = 60) -> None:
    ids = {sale.id for sale in sales}
    await pipeline.until(
        lambda: {row.status for id_, row in pipeline.rows().items() if id_ in ids} == {status},
        f"each of {len(ids)} sales is {status}",
        seconds,
    )


async def calls(pipeline: Pipeline, sale: Sale) -> list[str]:
    return [seen.call for seen in await pipeline.control.requests(sale.local_invoice_id)]


async def all_acknowledged(pipeline: Pipeline) -> None:
    async def none_left() -> bool:
        return not (await pipeline.unfinished_offsets())[CHANGE_TOPIC]

    await pipeline.until(none_left, "every change event is acknowledged")


async def test_rows_from_before_the_connector_are_sent_by_the_scheduler(
    shared: Pipeline, real_stack: RealStack
) -> None:
    before = await sold(shared, 20)
    await asyncio.to_thread(real_stack.deploy)
    shared.start_worker()
    await until_ended(shared, *before)
    for sale in before:
        captured = {event["op"] for event in await events(shared, sale)}
        assert captured <= {"u"}, "no snapshot: our own write-back at most was captured"
        assert await calls(shared, sale) == ["look_up", "create"], "its past was not known"


async def test_an_inserted_sale_is_sent_and_our_own_write_back_is_ignored(pipeline: Pipeline) -> None:
    [sale] = await sold(pipeline)
    await until_ended(pipeline, sale)

    async def come_round() -> bool:
        return [event["op"] for event in await events(pipeline, sale)] == ["c", "u"]

    await pipeline.until(come_round, "insert and write-back are captured")
    insert, write_back = await events(pipeline, sale)
    assert (insert["before"], insert["after"]["status"]) == (None, "PENDING_SYNC")
    assert (write_back["before"]["status"], write_back["after"]["status"]) == ("PENDING_SYNC", "SYNC_SUCCESS")
    await all_acknowledged(pipeline)
    assert await calls(pipeline, sale) == ["create"]


async def test_a_change_event_has_the_form_of_sql_servers_and_no_personal_data(pipeline: Pipeline) -> None:
    [sale] = await sold(pipeline)
    await until_ended(pipeline, sale)
    insert, *_ = await events(pipeline, sale)
    example = json.loads(EXAMPLES.read_text().splitlines()[0])["value"]
    assert insert.keys() == example.keys()
    assert insert["after"].keys() == example["after"].keys() == CAPTURED
    assert {type(value) for value in insert["after"].values()} == {int, str}
    for name in ("connector", "db", "name", "schema", "snapshot", "table", "ts_ms", "version"):
        assert type(insert["source"][name]) is type(example["source"][name]), name
    everything = b"".join(record.value or b"" for record in await pipeline.records(CHANGE_TOPIC)).decode()
    people = pipeline.database.execute("SELECT customer_name, seller_name FROM SalesInvoices").fetchall()
    for name in {name for row in people for name in row if name}:
        assert name not in everything


async def test_an_update_of_other_columns_makes_no_change_event(pipeline: Pipeline) -> None:
    [sale] = await sold(pipeline)
    await until_ended(pipeline, sale)
    pipeline.execute("UPDATE SalesInvoices SET customer_name = 'Lê Văn Mới' WHERE id = ?", sale.id)
    [later] = await sold(pipeline)  # once this one is through, the other's event would be there
    await until_ended(pipeline, later)
    assert [event["op"] for event in await events(pipeline, sale)][2:] == []
    assert await calls(pipeline, sale) == ["create"]


async def test_a_failed_sale_that_is_corrected_and_requested_again_succeeds(pipeline: Pipeline) -> None:
    [sale] = await sold(pipeline)
    await until_ended(pipeline, sale)
    pipeline.execute("UPDATE SalesInvoiceDetails SET dosage = '' WHERE sales_invoice_id = ?", sale.id)
    pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC' WHERE id = ?", sale.id)
    await until_ended(pipeline, sale, status="SYNC_FAILED")
    assert "lieu_dung" in (pipeline.rows()[sale.id].message or "")
    pipeline.execute("UPDATE SalesInvoiceDetails SET dosage = 'Ngày 2 viên' WHERE sales_invoice_id = ?", sale.id)
    pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC' WHERE id = ?", sale.id)
    await until_ended(pipeline, sale)
    assert await calls(pipeline, sale) == ["create", "look_up", "replace"], "replaced, never created twice"


async def test_a_sale_edited_during_its_attempt_is_sent_in_its_new_version(pipeline: Pipeline) -> None:
    """The server's digest of the rows is published with the decision, and differs when the decision is written
    back.
    """
    await pipeline.control.add_rule(presets.slow_to_answer(2), "create", times=1)
    [sale] = await sold(pipeline)

    async def is_taken() -> bool:
        return bool(await pipeline.control.ledger(sale.local_invoice_id))

    await pipeline.until(is_taken, "the API has taken it")
    pipeline.execute("UPDATE SalesInvoiceDetails SET quantity = 7 WHERE sales_invoice_id = ?", sale.id)

    async def is_replaced() -> bool:
        return await calls(pipeline, sale) == ["create", "replace"]

    await pipeline.until(is_replaced, "today's version is sent, too")
    await until_ended(pipeline, sale)
    records = await pipeline.records("sale-status")
    headers = [dict(record.headers) for record in records if json.loads(record.value)["id"] == sale.id]
    assert len({headers["sent-rows"] for headers in headers}) == len({headers["sent-hash"] for headers in headers}) == 2


async def test_a_draft_and_its_deletion_are_ignored(pipeline: Pipeline) -> None:
    [sale] = await sold(pipeline)
    await until_ended(pipeline, sale)
    columns = "pharmacy_code, shop_pharmacy_code, sale_date, created_at, updated_at"
    pipeline.execute(
        f"INSERT INTO SalesInvoices (local_invoice_id, status, {columns}) SELECT 'DRAFT-1', 'DRAFT', {columns} "  # noqa: S608
        "FROM SalesInvoices WHERE id = ?",
        sale.id,
    )
    [draft] = [row for row in pipeline.rows().values() if row.local_invoice_id == "DRAFT-1"]
    pipeline.execute("DELETE FROM SalesInvoices WHERE id = ?", draft.id)

    async def captured() -> bool:
        records = [json.loads(record.value) for record in await pipeline.records(CHANGE_TOPIC)]
        return [e["op"] for e in records if (e["after"] or e["before"])["id"] == draft.id] == ["c", "d"]

    await pipeline.until(captured, "insert and delete are captured")
    [later] = await sold(pipeline)
    await until_ended(pipeline, later)
    assert "DRAFT-1" not in {status.local_invoice_id for status in await pipeline.statuses()}
    assert not await pipeline.records("sale-dead-letter")


async def test_changes_wait_while_kafka_connect_is_down(pipeline: Pipeline, real_stack: RealStack) -> None:
    """Its death loses no event; sales that the scheduler sent meanwhile are not sent again when their events come."""
    real_stack.connect.kill()
    sales = await sold(pipeline, 30)
    await asyncio.to_thread(real_stack.connect.start)

    async def all_captured() -> bool:
        records = [json.loads(record.value) for record in await pipeline.records(CHANGE_TOPIC)]
        return {sale.id for sale in sales} <= {event["after"]["id"] for event in records if event["op"] == "c"}

    await pipeline.until(all_captured, "every insert is captured")
    await until_ended(pipeline, *sales)
    await all_acknowledged(pipeline)
    for sale in sales:
        assert await calls(pipeline, sale) in (["create"], ["look_up", "create"])


async def test_sales_whose_events_were_lost_are_found(pipeline: Pipeline, real_stack: RealStack) -> None:
    await asyncio.to_thread(real_stack.forget_changes)
    lost = await sold(pipeline, 10)
    await asyncio.to_thread(real_stack.deploy)
    await until_ended(pipeline, *lost)
    for sale in lost:
        assert "c" not in [event["op"] for event in await events(pipeline, sale)]
        assert await calls(pipeline, sale) == ["look_up", "create"], "its past was not known"


async def test_the_database_and_the_national_system_agree_on_every_sale(pipeline: Pipeline) -> None:
    sales = await sold(pipeline, 100)
    await until_ended(pipeline, *sales)
    await pipeline.assert_both_sides_agree()
