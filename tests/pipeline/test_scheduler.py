"""Tests that the scheduler finds documents that no change event brings, and sends nothing without knowing its past."""

from __future__ import annotations

from streams.local.simulator import presets
from tests.pipeline.pipeline import Pipeline


async def test_sales_from_before_the_connector_and_sales_with_lost_events_are_found(pipeline: Pipeline) -> None:
    """Promise 1. Broken by: pending rows whose change event was lost are not enrolled, so nobody ever brings them."""
    before = pipeline.seller.sell(20)
    pipeline.without_events(sale.id for sale in before)
    pipeline.start_worker()
    await pipeline.until_decided()
    assert pipeline.counts() == {"SYNC_SUCCESS": 20}
    await pipeline.assert_both_sides_agree()
    unsent = [sale for sale in before if not await pipeline.control.requests(sale.local_invoice_id)]
    assert unsent == []


async def test_a_failed_sale_that_is_corrected_and_requested_again_succeeds(pipeline: Pipeline) -> None:
    pipeline.start_worker()
    [sale] = pipeline.seller.sell(1)
    await pipeline.until_decided()
    pipeline.execute("UPDATE SalesInvoiceDetails SET dosage = '' WHERE sales_invoice_id = ?", sale.id)
    pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC' WHERE id = ?", sale.id)
    await pipeline.until(lambda: pipeline.rows()[sale.id].status == "SYNC_FAILED", "it breaks a rule now")
    row = pipeline.rows()[sale.id]
    assert "lieu_dung" in (row.message or "")
    assert row.national_id, "the version that was accepted before is still held"
    pipeline.execute("UPDATE SalesInvoiceDetails SET dosage = 'Ngày 2 viên' WHERE sales_invoice_id = ?", sale.id)
    pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC' WHERE id = ?", sale.id)
    await pipeline.until(lambda: pipeline.rows()[sale.id].status == "SYNC_SUCCESS", "it goes out again")
    calls = [seen.call for seen in await pipeline.control.requests(sale.local_invoice_id)]
    assert calls == ["create", "look_up", "replace"], "replaced, never created twice"
    statuses = [s.status for s in sorted(await pipeline.statuses(), key=lambda s: s.attempt)]
    assert statuses == ["SYNC_SUCCESS", "SYNC_FAILED", "SYNC_SUCCESS"]
    await pipeline.assert_both_sides_agree()


async def test_every_sale_is_sent_after_an_outage(pipeline: Pipeline) -> None:
    rule = await pipeline.control.add_rule(presets.status(503, "bảo trì"))
    worker = pipeline.start_worker(GATE_LONGEST_PAUSE="2")
    pipeline.seller.sell(80)
    await pipeline.until(lambda: "gate.closed" in worker.log.read_text(), "the gate closes")
    during = sum((await pipeline.control.counts()).values())
    await pipeline.control.clear_rules(rule)
    await pipeline.until_decided(150)
    assert "gate.opened" in worker.log.read_text()
    assert pipeline.counts() == {"SYNC_SUCCESS": 80}
    assert during < 80, "most of them were never tried in vain"
    assert await pipeline.records("sale-dead-letter") == []
    await pipeline.assert_both_sides_agree()
