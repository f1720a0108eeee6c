"""Which document types a worker carries, and what becomes of those that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.documents import GOODS_ISSUE, PURCHASE_RECEIPT
from streams.documents.document import DocumentType
from streams.domain.retry_message import RetryMessage
from tests.pipeline.pipeline import Pipeline
from tests.support.command_line import start_faust
from tests.support.right_settings import RIGHT


def stands(pipeline: Pipeline, kind: DocumentType) -> dict[str, int]:
    rows = pipeline.database.execute(f"SELECT status, COUNT(*) FROM {kind.table} GROUP BY status")  # noqa: S608
    return {status: int(count) for status, count in rows.fetchall()}


async def test_purchase_receipts_and_goods_issues_are_sent_as_sales_are(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker()
    pipeline.seller.sell(10)
    pipeline.seller.commit(PURCHASE_RECEIPT, 8)
    pipeline.seller.commit(GOODS_ISSUE, 5)
    for kind, count in ((PURCHASE_RECEIPT, 8), (GOODS_ISSUE, 5)):
        await pipeline.until(
            lambda kind=kind, count=count: stands(pipeline, kind) == {"SYNC_SUCCESS": count},  # type: ignore[misc]
            f"all of {kind.table} are accepted",
        )
    await pipeline.until_decided()
    held = {(s.kind, s.code): s.national_ids for s in await pipeline.control.standing()}
    for kind in (PURCHASE_RECEIPT, GOODS_ISSUE):
        columns = f"{kind.document_code_column}, {kind.national_id_column}"
        rows = pipeline.database.execute(f"SELECT {columns} FROM {kind.table}")  # noqa: S608
        for code, national_id in rows.fetchall():
            assert held[kind.name, code] == [national_id]
    assert (await pipeline.control.summary()).twice == 0
    told = [status.document for status in await pipeline.statuses()]
    assert {name: told.count(name) for name in set(told)} == {"sale": 10, "purchase_receipt": 8, "goods_issue": 5}
    assert "documents=['sale', 'purchase_receipt', 'goods_issue'] left_out={}" in worker.log.read_text()


async def test_a_document_type_without_tables_is_not_carried_and_the_others_are(pipeline: Pipeline) -> None:
    """Promise 5. Broken by: a type without tables is carried, and its errors are everybody's."""
    pipeline.database.execute("DROP TABLE GoodsIssueSlipDetails")
    pipeline.database.execute("DROP TABLE GoodsIssueSlips")
    worker = pipeline.start_worker()
    pipeline.seller.sell(5)
    pipeline.seller.commit(PURCHASE_RECEIPT, 3)
    await pipeline.until_decided()
    await pipeline.until(lambda: stands(pipeline, PURCHASE_RECEIPT) == {"SYNC_SUCCESS": 3}, "the receipts are accepted")
    said = worker.log.read_text()
    assert "left_out={'goods_issue': 'its tables are missing'}" in said
    assert "documents=['sale', 'purchase_receipt'] " in said
    assert said.count("documents.carried") == 1
    assert "digests.refused" not in said
    assert "service.failed" not in said


async def test_a_document_type_with_a_missing_column_is_not_carried_and_warned_of(pipeline: Pipeline) -> None:
    pipeline.database.execute("ALTER TABLE GoodsIssueSlips DROP COLUMN notes")
    worker = pipeline.start_worker()
    pipeline.seller.sell(3)
    await pipeline.until_decided()
    [line] = [line for line in worker.log.read_text().splitlines() if "documents.carried" in line]
    assert "[warning" in line
    assert "dbo.GoodsIssueSlips has no column notes" in line
    assert "restart the workers" in line


async def test_an_incomplete_document_type_named_in_documents_ends_the_worker_with_code_2(pipeline: Pipeline) -> None:
    pipeline.database.execute("ALTER TABLE GoodsIssueSlips DROP COLUMN notes")
    worker = pipeline.start_worker(DOCUMENTS="sale, goods_issue")
    await pipeline.until(lambda: not worker.running, "it ends")
    assert worker.exit_code == 2
    said = worker.log.read_text()
    assert "documents.incomplete" in said
    assert "goods_issue: dbo.GoodsIssueSlips has no column notes" in said
    assert "name it no more in DOCUMENTS" in said


async def test_a_worker_with_tables_of_an_earlier_version_ends_with_code_2(pipeline: Pipeline) -> None:
    """Each sale would fail by itself, for one script that was not run again."""
    pipeline.database.execute("ALTER TABLE SaleSync DROP COLUMN is_withdrawal")
    pipeline.seller.sell(1)
    worker = pipeline.start_worker()
    await pipeline.until(lambda: not worker.running, "it ends")
    assert worker.exit_code == 2
    said = worker.log.read_text()
    assert "dbo.SaleSync.is_withdrawal" in said
    assert "run connectors/sql/sale_sync.sql" in said
    assert pipeline.counts() == {"PENDING_SYNC": 1}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("sale,sales", "sales: no such document type; there are sale, purchase_receipt, goods_issue."),
        (" , ", "must name document types with commas between them"),
    ],
)
def test_an_unknown_name_in_documents_is_reported_before_anything_starts(tmp_path: Path, value: str, says: str) -> None:
    ended = start_faust(tmp_path, "doctor", **RIGHT | {"DOCUMENTS": value})
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("settings: DOCUMENTS: ")
    assert says in line


async def test_a_retry_of_a_document_type_that_is_not_carried_is_skipped(pipeline: Pipeline) -> None:
    """Promise 1. Broken by: a receipt that one worker does not carry becomes a dead letter there."""
    pipeline.start_worker(DOCUMENTS="sale")
    [receipt] = pipeline.seller.commit(PURCHASE_RECEIPT, 1)
    due = RetryMessage(
        document="purchase_receipt",
        source_database="chain",
        id=receipt.id,
        attempt=0,
        local_invoice_id=receipt.code,
        pharmacy_code=receipt.pharmacy_code,
        shop_pharmacy_code=receipt.shop,
        since_ms=1,
    )
    await pipeline.produce(due.model_dump_json().encode(), topic="sale-retry")
    pipeline.seller.sell(5)
    await pipeline.until_decided()
    await pipeline.until(lambda: _is_read(pipeline, "sale-retry"), "the message about the receipt is acknowledged")
    assert stands(pipeline, PURCHASE_RECEIPT) == {"PENDING_SYNC": 1}
    assert await pipeline.records("sale-dead-letter") == []
    assert {status.document for status in await pipeline.statuses()} == {"sale"}
    pipeline.start_worker("another", DOCUMENTS="sale,purchase_receipt")
    await pipeline.until(lambda: stands(pipeline, PURCHASE_RECEIPT) == {"SYNC_SUCCESS": 1}, "one that carries it came")


async def _is_read(pipeline: Pipeline, topic: str) -> bool:
    return not (await pipeline.unfinished_offsets())[topic]


async def test_every_worker_writes_back_decisions_about_every_document_type(pipeline: Pipeline) -> None:
    """Which of them reads a partition of sale-status is the group's business."""
    first = pipeline.start_worker("sales-alone", DOCUMENTS="sale")
    # The mock broker may refuse a member that joins while it brings another's group into being (InvalidRequest).
    await pipeline.until(lambda: "worker.ready" in first.output(), "the first worker is up")
    pipeline.start_worker("all")
    pipeline.seller.sell(20)
    pipeline.seller.commit(PURCHASE_RECEIPT, 20)
    await pipeline.until_decided()
    await pipeline.until(lambda: stands(pipeline, PURCHASE_RECEIPT) == {"SYNC_SUCCESS": 20}, "all are written back")
    logs = "".join(worker.log.read_text() for worker in pipeline.workers)
    assert "write_back.unknown_document_type" not in logs
    assert await pipeline.records("sale-dead-letter") == []
