"""Tests that /metrics of a running worker adds up to the sales and to the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from streams.local.processes import free_port
from streams.local.samples.sales import SALE_FAULTS
from streams.local.stack import LocalStack
from tests.pipeline.pipeline import QUICK, Pipeline


class Page:
    def __init__(self, text: str, families: list[Metric]) -> None:
        self.text = text
        self._samples = [sample for family in families for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels."""
        return sum(s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items())

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        found: dict[str, float] = defaultdict(float)
        for sample in self._samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                found[sample.labels[label]] += sample.value
        return {key: value for key, value in found.items() if value}

    @property
    def label_values(self) -> set[str]:
        return {value for sample in self._samples for value in sample.labels.values()}


async def scrape(port: int, accept: str = "") -> Page:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept}) as answer,
    ):
        text = await answer.text()
        assert answer.status == 200
        assert ("openmetrics" in answer.headers["Content-Type"]) == ("openmetrics" in accept)
    parse = openmetrics if "openmetrics" in accept else plain
    return Page(text, list(parse(text)))


async def until(port: int, holds: Callable[[Page], bool], pipeline: Pipeline, what: str) -> Page:
    page: list[Page] = []

    async def looks() -> bool:
        try:
            page[:] = [await scrape(port)]
        except aiohttp.ClientConnectionError:
            return False
        return holds(page[0])

    await pipeline.until(looks, what)
    return page[0]


async def test_the_metrics_add_up_to_the_sales(stack: LocalStack) -> None:
    async with Pipeline(stack, fault_share=0.5) as pipeline:
        port = free_port()
        await pipeline.produce(b"\xff no event", key=b"junk")
        sales = pipeline.seller.sell(120)
        assert {sale.fault for sale in sales} == {None, *SALE_FAULTS}, "the seed is to give every fault"
        before = [sale.id for sale in pipeline.seller.sell(5)]
        pipeline.without_events(before)
        worker = pipeline.stack.start_worker("worker", QUICK, web_port=port)
        pipeline.workers.append(worker)
        with_account_problems = {sale.id for sale in sales if sale.expected == "WAITS"}
        await pipeline.until(
            lambda: (
                {i for i, r in pipeline.rows().items() if r.status == "PENDING_SYNC"} == with_account_problems
                and all(pipeline.rows()[i].message for i in with_account_problems)
            ),
            "only those wait whose shop has no good account",
        )
        page = await until(
            port,
            lambda page: (
                page("pharmacy_documents_waiting") == len(with_account_problems)
                and page("pharmacy_documents_waiting", reason="none") == 0
            ),
            pipeline,
            "what waits in the database is counted, at the next asking",
        )
        _waiting_documents_are_counted(page, pipeline, with_account_problems)
        await pipeline.mend()
        await pipeline.until_decided()
        published = await pipeline.statuses()
        page = await until(
            port,
            lambda page: (
                page("pharmacy_store_batch_size_sum", writer="journal") >= len(published)
                and page("pharmacy_consumer_lag_records") == 0
            ),
            pipeline,
            "the journal has all, and nothing is behind",
        )
        _decisions_are_counted(page, pipeline, published)
        await _calls_are_counted(page, pipeline)
        assert page.by("reader", "pharmacy_dead_letters_total") == {"pharmacy.chain.dbo.SalesInvoices": 1}
        assert page("pharmacy_scheduler_enrolled_total", document="sale") >= len(before)
        assert page("pharmacy_events_skipped_total", why="not_pending") > 0, "our own write-back comes by"
        assert page("pharmacy_store_batch_size_sum", writer="write_back") >= len(published)
        assert (page("pharmacy_ready"), page("pharmacy_gate_open"), page("pharmacy_gate_closed_seconds")) == (1, 1, 0)
        assert page("pharmacy_connect_up") == 0, "there is no Kafka Connect here"
        assert page("pharmacy_event_loop_delay_seconds_count") > 0
        assert page("process_resident_memory_bytes") > 0
        await _no_label_names_anybody(page, pipeline)
        both = await scrape(port, "application/openmetrics-text; version=1.0.0")
        assert both("pharmacy_decisions_total") == page("pharmacy_decisions_total")
        _each_line_of_a_sale_says_whose(worker.log)


def _waiting_documents_are_counted(page: Page, pipeline: Pipeline, with_account_problems: set[int]) -> None:
    shops = {pipeline.rows()[i].shop for i in with_account_problems}
    assert page("pharmacy_shops_waiting") == len(shops)
    assert page.by("reason", "pharmacy_documents_waiting").keys() <= {"login_refused", "no_account", "several_accounts"}
    assert 0 < page("pharmacy_oldest_waiting_seconds", reason="login_refused") < 300


def _decisions_are_counted(page: Page, pipeline: Pipeline, published: Sequence[object]) -> None:
    assert page("pharmacy_decisions_total") == len(published), "one attempt, one decision"
    counted = page.by("status", "pharmacy_decisions_total", document="sale")
    final = {status: count for status, count in counted.items() if status != "PENDING_SYNC"}
    assert final == pipeline.counts()
    assert page("pharmacy_attempts_until_decision_count") == sum(final.values())
    assert page("pharmacy_attempts_until_decision_sum") == len(published), "all attempts led to these ends"
    assert page("pharmacy_first_decision_delay_seconds_count") > 0
    assert page("pharmacy_capture_delay_seconds_count") > 0
    assert page("pharmacy_events_in_flight") == page("pharmacy_events_unacknowledged") == 0


async def _calls_are_counted(page: Page, pipeline: Pipeline) -> None:
    seen = {str(call): count for call, count in (await pipeline.control.counts()).items()}
    counted = page.by("call", "pharmacy_api_call_duration_seconds_count")
    assert counted == {"log_in" if call == "login" else call: count for call, count in seen.items()}
    assert page("pharmacy_log_ins_total", result="token") > 0
    assert page("pharmacy_log_ins_total", result="refused") > 0


async def _no_label_names_anybody(page: Page, pipeline: Pipeline) -> None:
    rows = pipeline.rows().values()
    codes = {r.local_invoice_id for r in rows} | {r.shop for r in rows} | {r.pharmacy_code for r in rows}
    names = {
        name
        for row in pipeline.database.execute("SELECT customer_name, seller_name FROM SalesInvoices").fetchall()
        for name in row
        if name
    }
    assert not page.label_values & (codes | names)
    assert len(page.text) < 200_000


def _each_line_of_a_sale_says_whose(log: Path) -> None:
    lines = [line for line in log.read_text().splitlines() if "invoice=" in line]
    assert lines
    assert [line for line in lines if "shop=" not in line or "attempt=" not in line] == []


async def test_the_metrics_page_works_while_any_server_is_away(pipeline: Pipeline) -> None:
    port = free_port()
    await asyncio.to_thread(pipeline.stack.valkey.stop)
    pipeline.workers.append(pipeline.stack.start_worker("worker", QUICK, web_port=port))
    page = await until(port, lambda _: True, pipeline, "it answers")
    assert page("pharmacy_ready") == 0
    assert page("pharmacy_build_info") == 1
