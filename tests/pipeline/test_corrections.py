"""Tests that a worker notices a sale that was changed after it was accepted, and that its correction is sent once."""

from __future__ import annotations

import json
from typing import Any

from tests.pipeline.pipeline import Pipeline
from tests.pipeline.test_commands import faust


async def shown(pipeline: Pipeline, *arguments: str) -> Any:
    ended = await faust(pipeline, *arguments, "--json")
    return json.loads(ended.stdout)


def marked(pipeline: Pipeline) -> list[int]:
    rows = pipeline.database.execute("SELECT id FROM SaleSync WHERE changed_at > 0 ORDER BY id")
    return [id_ for (id_,) in rows.fetchall()]


async def test_a_changed_line_is_noticed_and_its_correction_replaces_what_is_stored(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker("before")
    one, other, _ = (sale.id for sale in pipeline.seller.sell(3))
    await pipeline.until_decided()
    # Once it is written back too, nothing but a look at all accepted sales tells of it.
    pipeline.execute("UPDATE SalesInvoiceDetails SET quantity = quantity + 1 WHERE sales_invoice_id = ?", one)
    pipeline.execute("UPDATE SalesInvoices SET seller_name = seller_name WHERE id = ?", other)
    worker.terminate(30)
    pipeline.start_worker("after")
    await pipeline.until(lambda: marked(pipeline) == [one], "the changed sale is noticed")
    assert (await shown(pipeline, "status"))["changed_after_sending"] == 1
    dry = await shown(pipeline, "resend", "--changed")
    assert (dry["dry_run"], dry["would"]) == (True, 1)
    assert pipeline.rows()[one].status == "SYNC_SUCCESS", "a dry run changes nothing"
    done = await shown(pipeline, "resend", "--changed", "--as", "Lan", "--yes")
    assert (done["action"], done["done"]) == ("send_changed", [one])
    await pipeline.until(lambda: pipeline.rows()[one].status == "SYNC_SUCCESS" and not marked(pipeline), "it is sent")
    replaced = [seen.call for seen in await pipeline.control.requests(pipeline.rows()[one].local_invoice_id)]
    assert replaced.count("replace") == replaced.count("create") == 1
    await pipeline.assert_both_sides_agree()


async def test_a_changed_code_is_noticed_at_once_by_its_change_event(pipeline: Pipeline) -> None:
    pipeline.start_worker()
    [sale] = pipeline.seller.sell(1)
    await pipeline.until_decided()
    code = pipeline.rows()[sale.id].local_invoice_id
    pipeline.execute("UPDATE SalesInvoices SET local_invoice_id = ? WHERE id = ?", f"{code}-B", sale.id)
    await pipeline.until(lambda: marked(pipeline) == [sale.id], "the change is noticed")
    pipeline.execute("UPDATE SalesInvoices SET local_invoice_id = ? WHERE id = ?", code, sale.id)
    await pipeline.until(lambda: not marked(pipeline), "it was undone")
    await pipeline.assert_both_sides_agree()
