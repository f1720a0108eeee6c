"""Tests that one worker decides sales with every known fault rightly."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from aiokafka import AIOKafkaConsumer

from streams.local.samples.sales import SALE_FAULTS
from streams.local.stack import LocalStack
from tests.pipeline.pipeline import Pipeline

SCHEMA = Path(__file__).parents[2] / "docs/contract/sale-status.schema.json"


async def test_every_sale_gets_the_right_final_decision(stack: LocalStack) -> None:
    async with Pipeline(stack, fault_share=0.5) as pipeline:
        await pipeline.produce(b"\xff no event", key=b"junk")
        worker = pipeline.start_worker()
        sales = pipeline.seller.sell(160)
        assert {sale.fault for sale in sales} == {None, *SALE_FAULTS}, "the seed is to give every fault"
        waiting = {sale.id for sale in sales if sale.expected == "WAITS"}
        await pipeline.until(
            lambda: {i for i, r in pipeline.rows().items() if r.status == "PENDING_SYNC"} == waiting,
            "only those wait whose shop has no good account",
        )
        await pipeline.until(
            lambda: all(pipeline.rows()[i].message for i in waiting), "each waiting sale says why it waits"
        )
        await pipeline.mend()
        await pipeline.until_decided()
        await pipeline.assert_both_sides_agree()
        rows = pipeline.rows()
        for sale in sales:
            expected = "SYNC_SUCCESS" if sale.expected == "WAITS" else sale.expected
            assert rows[sale.id].status == expected, sale
            if expected == "SYNC_FAILED":
                assert rows[sale.id].message, sale

        await _a_consumer_written_from_the_readme_sees_every_decision(pipeline)
        await _the_journal_has_every_decision(pipeline)
        await _junk_is_a_dead_letter(pipeline)
        await _nothing_leaks(pipeline, worker.log)

        async def all_committed() -> bool:
            return not any((await pipeline.unfinished_offsets()).values())

        await pipeline.until(all_committed, "every event is acknowledged")


async def _a_consumer_written_from_the_readme_sees_every_decision(pipeline: Pipeline) -> None:
    schema = json.loads(SCHEMA.read_text())
    consumer = AIOKafkaConsumer(
        "sale-status",
        bootstrap_servers=pipeline.stack.broker.address,
        group_id="my-own-group",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    latest: dict[str, dict[str, object]] = {}
    seen: set[str] = set()
    try:
        while {str(s["local_invoice_id"]) for s in latest.values() if s["status"] != "PENDING_SYNC"} != {
            row.local_invoice_id for row in pipeline.rows().values()
        }:
            record = await consumer.getone()
            status = json.loads(record.value)
            jsonschema.validate(status, schema)
            assert record.key.decode() == f"{status['pharmacy_code']}/{status['local_invoice_id']}"
            if status["event_id"] in seen:
                continue
            seen.add(status["event_id"])
            latest[record.key.decode()] = status
    finally:
        await consumer.stop()
    for row in pipeline.rows().values():
        status = latest[f"{row.pharmacy_code}/{row.local_invoice_id}"]
        assert (status["status"], status["national_invoice_id"]) == (row.status, row.national_id)


async def _the_journal_has_every_decision(pipeline: Pipeline) -> None:
    published = {status.event_id: status for status in await pipeline.statuses()}
    await pipeline.until(lambda: len(pipeline.journal("task_logs")) >= len(published), "the journal has all")
    assert {entry["_id"] for entry in pipeline.journal("task_logs")} == published.keys()
    failures = {entry["_id"]: entry for entry in pipeline.journal("sync_failures")}
    assert failures.keys() == {event_id for event_id, status in published.items() if status.status == "SYNC_FAILED"}
    refused = [entry for entry in failures.values() if entry["reason"]["code"] == "api_refused"]
    assert refused
    for entry in refused:
        assert json.loads(entry["payload"])["ma_hoa_don"] == entry["local_invoice_id"]
        assert entry["api_words"]


async def _junk_is_a_dead_letter(pipeline: Pipeline) -> None:
    [letter] = await pipeline.records("sale-dead-letter")
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"junk", b"\xff no event")
    assert (headers["topic"], headers["reason"]) == (b"pharmacy.chain.dbo.SalesInvoices", b"not JSON")


async def _nothing_leaks(pipeline: Pipeline, log: Path) -> None:
    secrets = [a["pwd"] for a in pipeline.seller.accounts] + [
        row[0] for row in pipeline.database.execute("SELECT password FROM AccountShop").fetchall()
    ]
    names = {
        name
        for row in pipeline.database.execute("SELECT customer_name, seller_name FROM SalesInvoices").fetchall()
        for name in row
        if name
    }
    drugs = {row[0] for row in pipeline.database.execute("SELECT drug_name FROM SalesInvoiceDetails").fetchall()}
    everything = log.read_text()
    for topic in ("pharmacy.chain.dbo.SalesInvoices", "sale-retry", "sale-status"):
        for record in await pipeline.records(topic):
            everything += (record.value or b"").decode(errors="replace")
    assert "attempt" in everything
    for private in (*secrets, *names, *drugs):
        assert private not in everything
    assert "bearer" not in everything.lower()
