"""Tests end to end that one bad row or message is decided or becomes a dead letter, and affects no other."""

from __future__ import annotations

import json
import time
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.local.processes import free_port
from streams.local.stack import CHANGE_TOPIC
from tests.page.visitor import visitor_of
from tests.pipeline.pipeline import QUICK, Pipeline
from tests.pipeline.test_commands import shown
from tests.support.page_requests import TOKEN

HALF_AN_EMOJI = "CAST(X'4B68C3A16368EDA0BC' AS TEXT)"


async def put(pipeline: Pipeline, topic: str, value: bytes, headers: list[tuple[str, bytes]] | None = None) -> None:
    """Write as somebody else's producer does, which may send all that a broker accepts."""
    producer = AIOKafkaProducer(bootstrap_servers=pipeline.stack.broker.address, max_request_size=1_048_588)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, key=b"poison", headers=headers or [])
    finally:
        await producer.stop()


async def letters(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [
        {name: text.decode() for name, text in record.headers} | {"value": record.value}
        for record in await pipeline.records("sale-dead-letter")
    ]


async def test_half_an_emoji_in_three_places_affects_only_three_sales(pipeline: Pipeline) -> None:
    sales = pipeline.seller.sell(40)
    name, drug, code = (sale.id for sale in sales[10:13])
    pipeline.execute(f"UPDATE SalesInvoices SET customer_name = {HALF_AN_EMOJI} WHERE id = ?", name)  # noqa: S608
    pipeline.execute(
        f"UPDATE SalesInvoiceDetails SET drug_name = {HALF_AN_EMOJI} WHERE sales_invoice_id = ?",  # noqa: S608
        drug,
    )
    pipeline.execute(f"UPDATE SalesInvoices SET local_invoice_id = {HALF_AN_EMOJI} WHERE id = ?", code)  # noqa: S608
    pipeline.start_worker()
    await pipeline.until_decided()
    rows = pipeline.rows()
    assert {id_ for id_, row in rows.items() if row.status == "SYNC_FAILED"} == {name, drug, code}
    for id_, field in ((name, "ho_ten_khach_hang"), (drug, "ten_thuoc"), (code, "ma_hoa_don")):
        assert field in (rows[id_].message or "")


async def test_of_sixty_sales_three_are_poison_and_the_others_are_decided_within_ten_seconds(
    pipeline: Pipeline,
) -> None:
    """Each of the three is bad from its first moment, and each in another way. Meanwhile the page, the commands and
    the scheduler work.
    """
    port = free_port()
    pipeline.workers.append(
        pipeline.stack.start_worker("worker", QUICK | {"PAGE_TOKEN": TOKEN, "SWEEP_AFTER": "1"}, web_port=port)
    )
    [first] = pipeline.seller.sell(1)
    await pipeline.until_decided()
    name, day, number = poison = (first.id + 10, first.id + 25, first.id + 50)
    for id_, table, key, column, value in (
        (name, "SalesInvoices", "id", "customer_name", HALF_AN_EMOJI),
        (day, "SalesInvoiceDetails", "sales_invoice_id", "expiry_date", "'0000-05-05'"),
        (number, "SalesInvoiceDetails", "sales_invoice_id", "quantity", "9e999"),
    ):
        pipeline.execute(
            f"CREATE TRIGGER poison_{id_} AFTER INSERT ON {table} WHEN NEW.{key} = {id_} "  # noqa: S608
            f"BEGIN UPDATE {table} SET {column} = {value} WHERE id = NEW.id; END"
        )
    sold = pipeline.seller.sell(60)
    assert {sale.id for sale in sold} >= set(poison)
    [lost] = pipeline.seller.sell(1)
    pipeline.without_events([lost.id])
    began = time.monotonic()

    def all_have_theirs() -> bool:
        rows = pipeline.rows()
        return sum(rows[sale.id].status == "SYNC_SUCCESS" for sale in sold) == 57 and all(
            rows[id_].message for id_ in poison
        )

    async with visitor_of(f"http://127.0.0.1:{port}") as visitor:
        await visitor.sign_in(token=TOKEN)
        while not all_have_theirs():
            assert time.monotonic() - began < 10, (pipeline.counts(), pipeline.workers[0].tail())
            pipeline.seller.pump()
            for screen in ("", "failures", "waiting"):
                assert (await visitor.get(screen))[0].status == 200
        assert time.monotonic() - began < 10
        await pipeline.until(lambda: pipeline.rows()[lost.id].status == "SYNC_SUCCESS", "the scheduler finds it")
        rows = pipeline.rows()
        for id_, status, says in (
            (name, "SYNC_FAILED", "ho_ten_khach_hang"),
            (day, "PENDING_SYNC", "cannot be read"),
            (number, "SYNC_FAILED", "so_luong"),
        ):
            assert (rows[id_].status, says in (rows[id_].message or "")) == (status, True)
            answer, text = await visitor.get(f"sale/{id_}")
            if id_ == day:
                assert (answer.status, "Không đọc được dữ liệu này" in text) == (422, True)
            else:
                assert (answer.status, rows[id_].local_invoice_id in text) == (200, True)
    status = await shown(pipeline, "status", "--worker", f"http://127.0.0.1:{port}")
    assert status["failed"] == {"total": 2, "by_reason": {"rules_broken": 2}}
    ages = {"under_an_hour": 1, "under_a_day": 0, "under_3_days": 0, "older": 0}
    assert status["waiting"] == {"total": 1, "by_reason": {"row_unreadable": 1}, "by_age": ages}
    assert {sale["id"] for sale in (await shown(pipeline, "failures"))["sales"]} == {name, number}
    await pipeline.assert_both_sides_agree()


async def test_unreadable_messages_stop_no_reader(pipeline: Pipeline) -> None:
    """Broken by: what is too large to bury is tried forever, and one header kills the journal and the write-back.

    Promise 2. Broken by: what another house's connector or worker says is taken for our own.
    """
    pipeline.start_worker()
    [first] = pipeline.seller.sell(1)
    await pipeline.until_decided()
    [published] = await pipeline.statuses()
    value = json.loads(published.model_dump_json())
    await put(pipeline, CHANGE_TOPIC, b"x" * 1_020_000)
    await put(pipeline, "sale-status", json.dumps(value).encode(), [("sent-hash", b"\xff\xfe")])
    for number in (2**70, 2**63):
        await put(pipeline, "sale-status", json.dumps(value | {"id": number, "event_id": str(number)}).encode())
    forged = {"source_database": "other", "event_id": "other", "attempt": 2, "status": "SYNC_FAILED"}
    await put(pipeline, "sale-status", json.dumps(value | forged).encode())
    await put(pipeline, "sale-status", json.dumps(value | {"attempt": 9, "status": "SYNC_FAILED"}).encode())
    row = {"id": first.id, "local_invoice_id": "HD", "pharmacy_code": "1", "shop_pharmacy_code": "1"}
    source = {"db": "other", "table": "SalesInvoices", "ts_ms": 1}
    event = {"op": "c", "source": source, "after": row | {"status": "PENDING_SYNC"}}
    await put(pipeline, CHANGE_TOPIC, json.dumps(event).encode())
    retry = {"document": "sale", "source_database": "chain", "id": 2**70, "attempt": 1, "since_ms": 1}
    retry |= {"local_invoice_id": "HD", "pharmacy_code": "1", "shop_pharmacy_code": "1"}
    await put(pipeline, "sale-retry", json.dumps(retry).encode())

    async def buried() -> bool:
        return len(await letters(pipeline)) == 8

    await pipeline.until(buried, "each is buried, by each of its readers")
    pipeline.seller.sell(20)
    await pipeline.until_decided()

    async def finished() -> bool:
        return not any((await pipeline.unfinished_offsets()).values())

    await pipeline.until(finished, "every partition goes on")
    await pipeline.until(lambda: len(pipeline.journal("task_logs")) == 21, "the journal goes on")
    [large] = [letter for letter in await letters(pipeline) if "left-out" in letter]
    assert (large["topic"], large["left-out"], large["value"]) == (CHANGE_TOPIC, "value", None)
    assert int(large["size"]) == 1_020_006
    assert pipeline.rows()[first.id].status == "SYNC_SUCCESS"
    said = pipeline.workers[0].log.read_text()
    assert said.count("message.of_another_database") == 2, "of each topic once"
    assert said.count("write_back.never_claimed") == 1
