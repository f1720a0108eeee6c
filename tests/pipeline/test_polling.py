"""The whole pipeline without change data capture: the worker asks the point of sale's table for new sales."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from streams.local.processes import Process
from streams.local.stack import LocalStack
from tests.pipeline.pipeline import Pipeline


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20, capture="polling") as stack:
        yield stack


@pytest.fixture
async def pipeline(stack: LocalStack) -> AsyncIterator[Pipeline]:
    async with Pipeline(stack, fault_share=0.3) as pipeline:
        yield pipeline


async def calls(pipeline: Pipeline, document_code: str) -> list[str]:
    return [seen.call for seen in await pipeline.control.requests(document_code)]


async def sell_over_a_cut_over(pipeline: Pipeline) -> None:
    """Sell before, at and after the cut-over, to two workers of which one is killed while it polls."""
    assert not hasattr(pipeline.stack, "feed"), "nothing captures changes"
    before = pipeline.seller.sell(40)
    first = pipeline.start_worker("first")
    await pipeline.until(lambda: "polling.cut_over" in first.output(), "the first poll sets the mark")
    workers = [first, pipeline.start_worker("second")]
    after = pipeline.seller.sell(80)

    def announcing() -> list[Process]:
        """Return the workers that have announced sales: one of the two holds the lock under which it is done."""
        return [worker for worker in workers if "polling.announced" in worker.output()]

    await pipeline.until(lambda: bool(announcing()), "new sales are announced")
    announcing()[0].kill()
    after += pipeline.seller.sell(40)
    waiting = {sale.id for sale in [*before, *after] if sale.expected == "WAITS"}
    await pipeline.until(
        lambda: {i for i, row in pipeline.rows().items() if row.status == "PENDING_SYNC"} == waiting,
        "only those wait whose shop has no good account",
        seconds=120,
    )
    await pipeline.mend()
    await pipeline.until_decided(120)
    await pipeline.assert_both_sides_agree()
    rows = pipeline.rows()
    for sale in [*before, *after]:
        assert rows[sale.id].status == ("SYNC_SUCCESS" if sale.expected == "WAITS" else sale.expected), sale
    flawless = [sale for sale in before if sale.fault is None]
    assert {(await calls(pipeline, sale.local_invoice_id))[0] for sale in flawless} == {"look_up"}


async def test_sales_of_before_and_after_the_cut_over_get_the_end_that_is_right_for_each(pipeline: Pipeline) -> None:
    """Two workers, one of them killed while it polls. Only what was there before is looked up before it is sent."""
    await sell_over_a_cut_over(pipeline)


async def test_a_new_sale_is_created_without_a_look_up(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker("alone")
    await pipeline.until(lambda: "worker.ready" in worker.output(), "the worker is up")
    sales = [sale for sale in pipeline.seller.sell(30) if sale.fault is None]
    await pipeline.until(
        lambda: all(pipeline.rows()[sale.id].status == "SYNC_SUCCESS" for sale in sales), "all are accepted"
    )
    assert [await calls(pipeline, sale.local_invoice_id) for sale in sales] == [["create"]] * len(sales)


async def test_a_sale_that_is_requested_again_is_replaced(pipeline: Pipeline) -> None:
    pipeline.start_worker("again")
    sale = next(sale for sale in pipeline.seller.sell(10) if sale.fault is None)
    await pipeline.until(lambda: pipeline.rows()[sale.id].status == "SYNC_SUCCESS", "it is accepted")
    pipeline.execute("UPDATE SalesInvoiceDetails SET dosage = 'Ngày 2 viên' WHERE sales_invoice_id = ?", sale.id)
    pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC' WHERE id = ?", sale.id)
    await pipeline.until(lambda: pipeline.rows()[sale.id].status == "SYNC_SUCCESS", "it is accepted again")

    async def replaced() -> bool:
        return (await calls(pipeline, sale.local_invoice_id))[-1] == "replace"

    await pipeline.until(replaced, "the new version has replaced the old one")
    assert (await calls(pipeline, sale.local_invoice_id)).count("create") == 1
