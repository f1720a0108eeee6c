"""A whole worker with the settings for an API that is picky: what it sends instead, and in which order."""

from __future__ import annotations

from collections import defaultdict

from streams.documents import DOCUMENT_TYPES, GOODS_ISSUE, PURCHASE_RECEIPT, SALE
from streams.documents.document import DocumentType
from streams.domain.reasons import Code
from tests.pipeline.pipeline import Pipeline


def statuses(pipeline: Pipeline, kind: DocumentType) -> dict[str, int]:
    rows = pipeline.database.execute(f"SELECT status, COUNT(*) FROM {kind.table} GROUP BY status")  # noqa: S608
    return {status: int(count) for status, count in rows.fetchall()}


def sell_in_one_shop(pipeline: Pipeline, sales: int) -> None:
    """Commit sales, a receipt and an issue of one shop and day, as a point of sale does that sends once a day."""
    pipeline.seller.sell(sales)
    pipeline.seller.commit(PURCHASE_RECEIPT, 1)
    pipeline.seller.commit(GOODS_ISSUE, 1)
    place = pipeline.database.execute("SELECT pharmacy_code, shop_pharmacy_code FROM PurchaseReceipts").fetchone()
    for kind in DOCUMENT_TYPES:
        pipeline.execute(
            f"UPDATE {kind.table} SET pharmacy_code = ?, shop_pharmacy_code = ?, "  # noqa: S608
            f"{kind.day_column} = '2026-11-23 09:00:00.000'",
            *place,
        )


async def test_receipts_are_sent_before_sales_and_both_before_issues(pipeline: Pipeline) -> None:
    sell_in_one_shop(pipeline, 8)
    pipeline.start_worker(DOCUMENT_ORDER_WAIT="300")
    await pipeline.until(lambda: statuses(pipeline, GOODS_ISSUE) == {"SYNC_SUCCESS": 1}, "the last one is accepted")
    accepted: dict[str, list[int]] = defaultdict(list)
    for entry in await pipeline.control.ledger():
        accepted[entry.kind].append(entry.seq)
    assert {kind: len(numbers) for kind, numbers in accepted.items()} == {
        "purchase_receipt": 1,
        "sale": 8,
        "goods_issue": 1,
    }
    assert max(accepted["purchase_receipt"]) < min(accepted["sale"])
    assert max(accepted["sale"]) < min(accepted["goods_issue"])
    await pipeline.until_decided()
    await pipeline.until(lambda: statuses(pipeline, SALE) == {"SYNC_SUCCESS": 8}, "all sales are written back")


async def test_a_receipt_that_is_never_sent_holds_its_sales_up_for_a_limited_time(pipeline: Pipeline) -> None:
    """It waits for lines that nobody enters. Deadlock is not possible: nothing waits longer than the setting says."""
    sell_in_one_shop(pipeline, 3)
    pipeline.execute("DELETE FROM PurchaseReceiptDetails")
    pipeline.start_worker(DOCUMENT_ORDER_WAIT="4", LINES_TIMEOUT="3600")
    await pipeline.until(
        lambda: any("phải gửi trước" in (row.message or "") for row in pipeline.rows().values()),
        "a sale says what it waits for",
    )
    await pipeline.until(lambda: statuses(pipeline, SALE) == {"SYNC_SUCCESS": 3}, "the sales are sent all the same")
    await pipeline.until(lambda: statuses(pipeline, GOODS_ISSUE) == {"SYNC_SUCCESS": 1}, "and the issue is")
    assert statuses(pipeline, PURCHASE_RECEIPT) == {"PENDING_SYNC": 1}
    waited = {status.document for status in await pipeline.statuses() if _has(status.reason, Code.EARLIER_DOCUMENTS)}
    assert waited == {"sale", "goods_issue"}


def _has(reason: object, code: Code) -> bool:
    return getattr(reason, "code", None) == code


async def test_without_the_setting_nothing_waits_for_a_receipt(pipeline: Pipeline) -> None:
    sell_in_one_shop(pipeline, 3)
    pipeline.execute("DELETE FROM PurchaseReceiptDetails")
    pipeline.start_worker(LINES_TIMEOUT="3600")
    await pipeline.until(lambda: statuses(pipeline, SALE) == {"SYNC_SUCCESS": 3}, "the sales are sent")
    assert not [status for status in await pipeline.statuses() if _has(status.reason, Code.EARLIER_DOCUMENTS)]


async def test_what_the_settings_replace_or_refuse_is_said_and_decided_once(pipeline: Pipeline) -> None:
    """Write-back makes bodies too, to find what was edited meanwhile: by other rules it would have all sent again.

    Promise 3. Broken by: a sale with a replaced dosage counts as edited when its acceptance is written back.
    """
    await pipeline.control.change_behaviour(refused_values=["fractions", "zeros"])
    replaced, refused, *whole = pipeline.seller.sell(6)
    pipeline.execute("UPDATE SalesInvoiceDetails SET quantity = '2.00'")
    pipeline.execute("UPDATE SalesInvoiceDetails SET dosage = '' WHERE sales_invoice_id = ?", replaced.id)
    pipeline.execute("UPDATE SalesInvoiceDetails SET quantity = '0.50' WHERE sales_invoice_id = ?", refused.id)
    pipeline.start_worker(EMPTY_DOSAGE="0", FRACTIONAL_QUANTITIES="refuse")
    await pipeline.until_decided()
    rows = pipeline.rows()
    assert rows[replaced.id].status == "SYNC_SUCCESS"
    assert 'liều dùng (lieu_dung) để trống, được gửi là "0"' in (rows[replaced.id].message or "")
    assert rows[refused.id].status == "SYNC_FAILED"
    assert "số lượng (so_luong) phải là số nguyên" in (rows[refused.id].message or "")
    assert {(rows[sale.id].status, rows[sale.id].message) for sale in whole} == {("SYNC_SUCCESS", None)}
    assert await pipeline.control.requests(refused.local_invoice_id) == []
    await pipeline.assert_both_sides_agree()
    published = {status.id: status for status in await pipeline.statuses()}
    assert len(published) == len(await pipeline.statuses()) == 6, "each sale was decided once"
    reason = published[replaced.id].reason
    assert reason is not None
    assert (reason.code, {detail.rule for detail in reason.details}) == ("values_replaced", {"sent_as:0"})
    await pipeline.until(lambda: len(pipeline.journal("task_logs")) == 6, "the journal has them")
    [entry] = [
        entry for entry in pipeline.journal("task_logs") if entry["local_invoice_id"] == replaced.local_invoice_id
    ]
    assert entry["reason"]["code"] == "values_replaced"
