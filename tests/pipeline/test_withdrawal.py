"""The whole pipeline with documents that are withdrawn: at rest, while they are sent, and sent again afterwards."""

from __future__ import annotations

import asyncio
import random

import pytest

from streams.documents import DOCUMENT_TYPES, GOODS_ISSUE, PURCHASE_RECEIPT, SALE
from streams.documents.document import DocumentType
from streams.local.stack import Capture, LocalStack
from tests.pipeline.pipeline import Pipeline


def statuses(pipeline: Pipeline, document_type: DocumentType) -> dict[str, int]:
    rows = pipeline.database.execute(f"SELECT status, COUNT(*) FROM {document_type.table} GROUP BY status")  # noqa: S608
    return {status: int(count) for status, count in rows.fetchall()}


def national_ids(pipeline: Pipeline, document_type: DocumentType) -> dict[str, str]:
    """Return the national ids in the rows, by the document's own code."""
    code, national_id = document_type.document_code_column, document_type.national_id_column
    rows = pipeline.database.execute(
        f"SELECT {code}, {national_id} FROM {document_type.table} WHERE {national_id} IS NOT NULL"  # noqa: S608
    )
    return dict(rows.fetchall())


def cancel(pipeline: Pipeline, document_type: DocumentType, condition: str = "1 = 1") -> None:
    pipeline.execute(f"UPDATE {document_type.table} SET status = 'PENDING_CANCEL' WHERE {condition}")  # noqa: S608


async def until_all_are(pipeline: Pipeline, document_type: DocumentType, expected: dict[str, int]) -> None:
    await pipeline.until(
        lambda: statuses(pipeline, document_type) == expected, f"{document_type.table}: {expected}", seconds=90
    )


@pytest.mark.parametrize("capture", ["cdc", "polling"])
async def test_documents_of_every_type_are_withdrawn_and_sent_again(
    tmp_path_factory: pytest.TempPathFactory, capture: Capture
) -> None:
    counts = ((SALE, 12), (PURCHASE_RECEIPT, 6), (GOODS_ISSUE, 4))
    with LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20, capture=capture) as stack:
        async with Pipeline(stack) as pipeline:
            pipeline.start_worker()
            pipeline.seller.sell(12)
            pipeline.seller.commit(PURCHASE_RECEIPT, 6)
            pipeline.seller.commit(GOODS_ISSUE, 4)
            for document_type, count in counts:
                await until_all_are(pipeline, document_type, {"SYNC_SUCCESS": count})
                cancel(pipeline, document_type)
            for document_type, count in counts:
                await until_all_are(pipeline, document_type, {"CANCELLED": count})
            assert await pipeline.control.standing() == []
            for document_type in DOCUMENT_TYPES:
                pipeline.execute(f"UPDATE {document_type.table} SET status = 'PENDING_SYNC' WHERE id % 2 = 0")  # noqa: S608
            for document_type, count in counts:
                await until_all_are(
                    pipeline, document_type, {"CANCELLED": count - count // 2, "SYNC_SUCCESS": count // 2}
                )
            stored = {(each.kind, each.code): each.national_ids for each in await pipeline.control.standing()}
            accepted = {
                (document_type.name, code): [national_id]
                for document_type, _ in counts
                for code, national_id in national_ids(pipeline, document_type).items()
            }
            assert stored == accepted
            assert (await pipeline.control.summary()).twice == 0


async def test_sales_that_are_withdrawn_and_sent_while_both_go_on_end_as_they_were_requested_last(
    pipeline: Pipeline,
) -> None:
    """Each row is changed several times, at moments that have nothing to do with what is under way."""
    draws = random.Random(7)
    pipeline.start_worker("first")
    pipeline.start_worker("second")
    sales = pipeline.seller.sell(60)
    wanted: dict[int, str] = {}
    for _ in range(6):
        for sale in draws.sample(sales, 25):
            wanted[sale.id] = draws.choice(["PENDING_SYNC", "PENDING_CANCEL"])
            pipeline.execute("UPDATE SalesInvoices SET status = ? WHERE id = ?", wanted[sale.id], sale.id)
        await asyncio.sleep(draws.uniform(0, 0.4))  # how far the workers get in between is to differ
    await pipeline.until_decided(120)
    rows = pipeline.rows()
    for id_, status in wanted.items():
        assert rows[id_].status == ("CANCELLED" if status == "PENDING_CANCEL" else "SYNC_SUCCESS"), rows[id_]
    await pipeline.assert_both_sides_agree()
    assert not any(row.national_id for row in rows.values() if row.status == "CANCELLED")


async def test_a_worker_that_is_killed_during_withdrawals_leaves_none_undone(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker("first")
    pipeline.seller.sell(200)
    await pipeline.until_decided()
    await pipeline.control.change_behaviour(latency_ms=300)
    cancel(pipeline, SALE)

    async def some() -> bool:
        return (await pipeline.control.summary()).withdrawn >= 40

    await pipeline.until(some, "some are withdrawn, many are under way")
    worker.kill()
    pipeline.start_worker("second")
    await pipeline.until_decided(150)
    assert pipeline.counts() == {"CANCELLED": 200}
    assert (await pipeline.control.summary()).withdrawn == 200
    await pipeline.assert_both_sides_agree()
