"""Tests a sales database that was restored to an earlier moment and does not know what was accepted since."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from streams.documents import DOCUMENT_TYPES
from streams.local.stack import CHANGE_TOPIC
from tests.pipeline.pipeline import Pipeline

SCRIPT = Path(__file__).parents[2] / "connectors/sql/50_after_restore.sql"


def statements() -> list[str]:
    """Split the script into statements that every server accepts, each for all rows in one step."""
    found = re.findall(r"(?m)^ *(?:UPDATE|INSERT INTO) dbo\.SaleSync\b(?:.*\n)*?.*;$", SCRIPT.read_text())
    assert len(found) == 1 + 2 * len(DOCUMENT_TYPES)
    for variable, value in (("@type", "'sale'"), ("@from", "0"), ("@to", "2000000000")):
        found = [statement.replace(variable, value) for statement in found]
    return [re.sub(r"\bN'", "'", statement.replace("dbo.", "")) for statement in found]


async def test_sales_accepted_after_the_backup_are_not_stored_twice_after_a_restore(pipeline: Pipeline) -> None:
    """The backup has a pending sale that is not stored, and an unclaimed one whose change event comes once more.
    Both were accepted before the restore.
    """
    pipeline.execute("UPDATE AccountShop SET status = 2 WHERE status = 1")
    worker = pipeline.start_worker()
    waiting, untouched = pipeline.seller.sell(2)
    await pipeline.until(
        lambda: all("AccountShop" in (row.message or "") for row in pipeline.rows().values()), "they wait for accounts"
    )
    back_up = pipeline.database.execute(
        "SELECT attempt, published_attempt, sent_hash, ever_accepted FROM SaleSync WHERE id = ?", (waiting.id,)
    ).fetchone()
    assert tuple(back_up) == (1, 1, None, 0)
    pipeline.execute("UPDATE AccountShop SET status = 1 WHERE status = 2")
    await pipeline.until_decided()
    worker.terminate(30)
    assert pipeline.counts() == {"SYNC_SUCCESS": 2}

    with closing(pipeline.stack.database.connect()) as database:
        database.execute("BEGIN")
        database.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC', national_invoice_id = NULL")
        database.execute("DELETE FROM local_changes")  # a restore is no change that is captured
        database.execute("DELETE FROM SaleSync WHERE id = ?", (untouched.id,))
        database.execute(
            "UPDATE SaleSync SET attempt = ?, published_attempt = ?, sent_hash = ?, ever_accepted = ?, "
            "next_attempt_at = 1, lease_until = 0",
            tuple(back_up),
        )
        for statement in statements():
            database.execute(statement)
        database.execute("COMMIT")
    for record in await pipeline.records(CHANGE_TOPIC):
        if b'"op":"c"' in record.value.replace(b" ", b""):
            await pipeline.produce(record.value, key=record.key)
    pipeline.start_worker("after-the-restore")
    await pipeline.until_decided()
    for sale in (waiting, untouched):
        calls = [seen.call for seen in await pipeline.control.requests(sale.local_invoice_id)]
        assert calls == ["create", "look_up", "replace"]
        published = [status for status in await pipeline.statuses() if status.id == sale.id]
        last = max(published, key=lambda status: status.attempt)
        assert last.attempt > 1000
        assert last.status == "SYNC_SUCCESS"
    await pipeline.assert_both_sides_agree()
