"""Tests that a worker for each database carries its own sales alone, although all share Kafka, Redis and MongoDB.

Both databases have sales with the same ids and codes; the national system makes a document of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from streams.local.processes import free_port
from streams.local.real.stack import RealStack
from streams.runtime.process_exit import WRONG_SETTINGS
from tests.pipeline.pipeline import Pipeline
from tests.pipeline.test_metrics import scrape
from tests.support.several_databases import AddedDatabase, add_database

SALES = 40


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    folder = tmp_path_factory.mktemp("stack")
    with RealStack(folder, latency_ms=20, capture="polling", captured=False, partitions=2) as stack:
        yield stack


def pipeline_of(stack: RealStack, added: AddedDatabase) -> Pipeline:
    return Pipeline(stack, database=added.sales, settings=added.settings)


async def test_databases_with_the_same_name_ids_and_codes_are_kept_apart_by_their_prefixes(stack: RealStack) -> None:
    """One server has no two databases of one name; but of two that differ in case the program sees one name. So what
    keeps them apart is TOPIC_PREFIX alone.

    Promise 2. Broken by: TOPIC_PREFIX does not keep two databases with the same name and ids apart.
    """
    north, south = (
        add_database(stack, name, f"{prefix}.store.dbo", TOPIC_PREFIX=prefix)
        for prefix, name in (("north", "store"), ("south", "Store"))
    )
    async with pipeline_of(stack, north) as one, pipeline_of(stack, south) as other:
        both = {"north": one, "south": other}
        for name, pipeline in both.items():
            worker = pipeline.start_worker(name)
            await pipeline.until(lambda worker=worker: "polling.cut_over" in worker.output(), "the first poll is made")  # type: ignore[misc]
        for pipeline in both.values():
            await asyncio.to_thread(pipeline.seller.sell, SALES)
        for pipeline in both.values():
            await pipeline.until_decided()
            assert pipeline.counts() == {"SYNC_SUCCESS": SALES}
        assert sale_codes(one) == sale_codes(other)
        assert not set(national_ids(one).values()) & set(national_ids(other).values())
        stored = {document.code: document.national_ids for document in await one.control.standing()}
        for id_, code in sale_codes(one).items():
            assert len(stored[code]) == 2
            assert set(stored[code]) == {national_ids(one)[id_], national_ids(other)[id_]}
        for name, pipeline in both.items():
            own = national_ids(pipeline)
            assert {status.id: status.national_invoice_id for status in await pipeline.statuses()} == own
            await pipeline.until(lambda p=pipeline: len(p.journal("task_logs")) == SALES, f"{name}'s journal has them")  # type: ignore[misc]
            assert {each["id"]: each["national_invoice_id"] for each in pipeline.journal("task_logs")} == own
            assert "message.of_another_database" not in pipeline.workers[0].output()


async def test_without_prefixes_decisions_about_the_other_database_are_refused_counted_and_logged(
    stack: RealStack,
) -> None:
    """Each group reads all of the one `sale-status`; no row gets what was decided about the other database's."""
    east, west = (add_database(stack, name, f"pharmacy.{name}.dbo", APP_ID=name) for name in ("east", "west"))
    async with pipeline_of(stack, east) as one, pipeline_of(stack, west) as other:
        ports = [free_port(), free_port()]
        for pipeline, name, port in ((one, "east", ports[0]), (other, "west", ports[1])):
            worker = pipeline.stack.start_worker(name, pipeline.settings, web_port=port)
            pipeline.workers.append(worker)
            await pipeline.until(lambda worker=worker: "polling.cut_over" in worker.output(), "the first poll is made")  # type: ignore[misc]
        for pipeline in (one, other):
            await asyncio.to_thread(pipeline.seller.sell, SALES)
        for pipeline in (one, other):
            await pipeline.until_decided()
            assert pipeline.counts() == {"SYNC_SUCCESS": SALES}
        published = await one.statuses()
        for pipeline, name in ((one, "east"), (other, "west")):
            own = {each.id: each.national_invoice_id for each in published if each.source_database == name}
            assert national_ids(pipeline) == own
        for pipeline, port in ((one, ports[0]), (other, ports[1])):

            async def counted(port: int = port) -> bool:
                return (await scrape(port))("pharmacy_events_skipped_total", why="other_database") == SALES

            await pipeline.until(counted, "each decision about the other database is counted")
            [said] = [line for line in pipeline.workers[0].output().splitlines() if "of_another_database" in line]
            assert "topic=sale-status" in said


async def test_without_prefixes_each_database_is_polled(stack: RealStack) -> None:
    """The settings were copied, and TOPIC_PREFIX was forgotten. Then the first decision says so; a worker that waited
    for its turn would say nothing.

    Promise 1. Broken by: of two databases without TOPIC_PREFIX one is never asked for new sales.
    """
    plaza, market = (add_database(stack, name, f"pharmacy.{name}.dbo") for name in ("plaza", "market"))
    async with pipeline_of(stack, plaza) as one, pipeline_of(stack, market) as other:
        workers = [one.start_worker("plaza"), other.start_worker("market")]
        for worker in workers:
            await one.until(lambda worker=worker: "polling.cut_over" in worker.output(), "the first poll is made")  # type: ignore[misc]


async def test_a_worker_with_the_settings_of_another_database_does_not_start(stack: RealStack) -> None:
    """Settings were copied, and the database is all that was changed in them."""
    added = add_database(stack, "copied", "pharmacy.chain.dbo")
    worker = stack.start_worker("copied", added.settings)
    assert await asyncio.to_thread(worker.wait, 60) == WRONG_SETTINGS
    [said] = [line for line in worker.output().splitlines() if "worker.wrong_settings" in line]
    assert "the sales database is 'copied', and SALES_CHANGE_TOPIC names 'chain'" in said
    assert "TOPIC_PREFIX" in said


def sale_codes(pipeline: Pipeline) -> dict[int, str]:
    return {id_: row.local_invoice_id for id_, row in pipeline.rows().items()}


def national_ids(pipeline: Pipeline) -> dict[int, str | None]:
    return {id_: row.national_id for id_, row in pipeline.rows().items()}
