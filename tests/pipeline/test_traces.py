"""Tests what a collector receives from a worker that traces, and the headers of both topics."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from streams.local.simulator import presets
from tests.pipeline.pipeline import Pipeline


class Collector:
    """Accepts spans over OTLP/HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        export = ExportTraceServiceRequest.FromString(await request.read())
        for resource in export.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            assert names["service.name"] == "pharmacy-sale-streams"
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response()

    def traces(self, name: str) -> set[str]:
        return {span.trace_id.hex() for span in self.spans if span.name == name}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    collector.url = f"http://{host}:{port}/v1/traces"
    yield collector
    await runner.cleanup()


async def test_an_attempt_and_the_next_one_are_one_trace_from_topic_to_topic(
    pipeline: Pipeline, collector: Collector
) -> None:
    rule = await pipeline.control.add_rule(presets.status(503, "bảo trì"))
    worker = pipeline.start_worker(TRACING_ENDPOINT=collector.url)
    [sale] = pipeline.seller.sell(1)

    async def was_tried() -> bool:
        return any(status.status == "PENDING_SYNC" for status in await pipeline.statuses())

    await pipeline.until(was_tried, "a first attempt fails")
    await pipeline.control.clear_rules(rule)
    await pipeline.until_decided()
    worker.terminate(30)  # what is not sent yet is sent then

    published = [dict(r.headers)["traceparent"].decode() for r in await pipeline.records("sale-status")]
    enqueued = [dict(r.headers)["traceparent"].decode() for r in await pipeline.records("sale-retry")]
    assert len(published) > 1
    assert enqueued
    (trace,) = {header.split("-")[1] for header in (*published, *enqueued)}

    assert collector.traces("attempt") == collector.traces("create") == {trace}
    attempts = [span for span in collector.spans if span.name == "attempt"]
    publishing_spans = {header.split("-")[2] for header in published}
    assert publishing_spans <= {span.span_id.hex() for span in attempts}
    calls = [span for span in collector.spans if span.name != "attempt"]
    assert {span.parent_span_id.hex() for span in calls} <= {span.span_id.hex() for span in attempts}
    seen = await pipeline.control.counts()
    assert len(calls) == sum(seen.values())
    invoices = {a.value.string_value for span in attempts for a in span.attributes if a.key == "invoice"}
    assert invoices == {sale.local_invoice_id}


async def test_a_worker_goes_on_when_no_collector_accepts_its_spans(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker(TRACING_ENDPOINT="http://127.0.0.1:9/v1/traces")
    pipeline.seller.sell(20)
    await pipeline.until_decided()
    await pipeline.assert_both_sides_agree()
    worker.terminate(30)
    assert "worker.drained" in worker.log.read_text()
