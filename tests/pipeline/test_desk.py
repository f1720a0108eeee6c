"""Tests that an operator's actions lead a sale to its decision on the path that every sale takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.documents.sale import SALE
from streams.domain.reasons import Code
from streams.local.simulator import presets
from streams.operators.desk.action import Why
from streams.operators.desk.desk import Desk
from streams.operators.desk.search import Search
from streams.settings import Settings
from streams.stores.journal import Journal
from streams.stores.sales_db import SalesDb
from tests.pipeline.pipeline import Pipeline


@asynccontextmanager
async def opened(pipeline: Pipeline) -> AsyncIterator[Desk]:
    environment = {name.lower(): value for name, value in pipeline.stack.environment.items()}
    settings = Settings(_env_file=None, **environment)  # type: ignore[arg-type]
    db, journal = SalesDb(settings), Journal(settings)
    await db.open()
    try:
        yield Desk(settings, db, SALE, journal)
    finally:
        journal.close()
        await db.close()


async def test_a_corrected_failed_sale_that_is_sent_again_succeeds(pipeline: Pipeline) -> None:
    sales = pipeline.seller.sell(3)
    pipeline.execute("UPDATE SalesInvoiceDetails SET lot_number = '' WHERE sales_invoice_id = ?", sales[0].id)
    pipeline.start_worker()
    await pipeline.until_decided()
    async with opened(pipeline) as desk:
        assert (await desk.figures.now()).failed == {Code.RULES_BROKEN: 1}
        pipeline.execute("UPDATE SalesInvoiceDetails SET lot_number = 'LO1' WHERE sales_invoice_id = ?", sales[0].id)
        report = await desk.again.apply_to_search(Search(reason=Code.RULES_BROKEN), actor="Lan")
        assert report.done == [sales[0].id]
        await pipeline.until(lambda: pipeline.counts() == {"SYNC_SUCCESS": 3}, "all are accepted")

        async def has_both_decisions() -> bool:
            card = await desk.card.read(sales[0].id)
            return bool(card and card.history and card.history[0]["status"] == "SYNC_SUCCESS")

        await pipeline.until(has_both_decisions, "its history has both decisions")
        card = await desk.card.read(sales[0].id)
        assert card is not None
        assert [decision["status"] for decision in card.history or ()] == ["SYNC_SUCCESS", "SYNC_FAILED"]
        assert [(action.action, action.actor, action.reason) for action in card.actions] == [
            ("send_again", "Lan", Code.RULES_BROKEN)
        ]
        now = await desk.figures.now()
        assert (now.of_day.sent, now.failed, now.waiting, now.oldest) == (3, {}, {}, None)
    await pipeline.assert_both_sides_agree()


async def test_a_pending_sale_is_sent_at_once_on_request(pipeline: Pipeline) -> None:
    await pipeline.control.add_rule(presets.status(503), "create", times=1)
    pipeline.start_worker(RETRY_DELAYS="[3600]")
    [sale] = pipeline.seller.sell(1)
    await pipeline.until(lambda: bool(pipeline.rows()[sale.id].message), "it waits, and says why")
    async with opened(pipeline) as desk:
        now = await desk.figures.now()
        assert now.waiting == {Code.API_ERROR: 1}
        assert now.oldest is not None
        assert (now.oldest.id, now.oldest.reason) == (sale.id, Code.API_ERROR)
        first = await desk.now.apply_to_ids([sale.id], actor="Lan")
        assert [passed.why for passed in first.passed_over] == [Why.IN_DOUBT], "it may have been accepted"

        async def moved() -> bool:
            return bool((await desk.now.apply_to_search(Search(reason=Code.API_ERROR), actor="Lan")).done)

        await pipeline.until(moved, "its lease has run out")
    await pipeline.until_decided()
    await pipeline.assert_both_sides_agree()
