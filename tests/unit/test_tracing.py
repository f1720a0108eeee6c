"""Tests that traces are taken from Kafka's headers and passed on, with a span for each attempt and call, and that
tracing can be off.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import InDoubt, Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import Version
from streams.national_api.observer import Unobserved
from streams.national_api.own_form import Answer
from streams.pipeline.otel_tracing import Traced
from streams.pipeline.retry_policy import Decision
from streams.pipeline.tracing import Untraced
from streams.stores.sync_state import Claim

REQUEST = SendRequest("sale", "chain", 7, "HD-7", "79-1", "SHOP-1", Origin.INSERTED, 1_000_000)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
INCOMING = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01".encode()}
ACCEPTED = Decision("SYNC_SUCCESS", "QG", None, None)
WAITING = Decision("PENDING_SYNC", None, Reason(Code.TIMED_OUT), 5)


class World:
    def __init__(self, share: float = 1.0) -> None:
        self.spans = InMemorySpanExporter()
        self.tracing = Traced(SimpleSpanProcessor(self.spans), share)
        self.published: list[Mapping[str, bytes]] = []

    async def attempt(
        self, headers: Mapping[str, bytes], decision: Decision, request: SendRequest = REQUEST, number: int = 1
    ) -> None:
        """Run one event through the tracing as a worker's parts do."""

        async def publish(_: bytes, __: bytes, headers: Mapping[str, bytes]) -> None:
            self.published.append(headers)

        async def publish_status(*_: object) -> None:
            await self.tracing.passing_on(publish)(b"key", b"value", {"sent-hash": b"ab"})

        async def send(request: SendRequest, *, overdue: bool = False) -> None:
            observer = self.tracing.observing(Unobserved())
            observer.called("POST", "/api/lien_thong/hoa_don", Answer(200, b"", datetime.now(UTC)), 0.05)
            observer.called("GET", "/api/lien_thong/hoa_don/79-1/HD-7", InDoubt(Reason(Code.TIMED_OUT)), 0.02)
            await self.tracing.recording(publish_status)(request, Claim(request.id, number, 5), decision, None)

        await self.tracing.attempt(request, headers, send)(request)

    def retry(self, request: SendRequest = REQUEST) -> Mapping[str, bytes]:
        return self.tracing.of_retry(request.document_type, request.database, request.id)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name == name]


def trace_of(headers: Mapping[str, bytes]) -> str:
    return headers["traceparent"].decode().split("-")[1]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.tracing._provider.shutdown()


def hexadecimal(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


async def test_the_trace_of_a_change_event_continues_on_sale_status(world: World) -> None:
    await world.attempt(INCOMING, ACCEPTED)
    (headers,) = world.published
    (attempt,) = world.named("attempt")
    assert headers["sent-hash"] == b"ab", "what was there stays"
    assert attempt.context is not None
    assert headers["traceparent"] == f"00-{TRACE}-{attempt.context.span_id:016x}-01".encode()
    assert attempt.parent is not None
    assert f"{attempt.parent.span_id:016x}" == "00f067aa0ba902b7"


async def test_an_attempt_and_each_of_its_calls_has_a_span(world: World) -> None:
    await world.attempt(INCOMING, WAITING, number=4)
    (attempt,), (create,), (look_up,) = world.named("attempt"), world.named("create"), world.named("look_up")
    assert attempt.attributes is not None
    expected = {"invoice": "HD-7", "shop": "SHOP-1", "attempt": 4, "status": "PENDING_SYNC", "reason": "timed_out"}
    assert expected.items() <= dict(attempt.attributes).items()
    for call in (create, look_up):
        assert call.parent == attempt.context
        assert call.start_time is not None
        assert call.end_time is not None
    assert create.end_time is not None
    assert create.start_time is not None
    assert create.end_time - create.start_time == 50_000_000
    assert (create.status.is_ok, look_up.status.is_ok) == (True, False)


async def test_the_next_attempt_of_a_pending_document_stays_in_its_trace(world: World) -> None:
    await world.attempt(INCOMING, WAITING)
    retry = world.retry()
    assert trace_of(retry) == TRACE
    await world.attempt(retry, ACCEPTED, replace(REQUEST, origin=Origin.DUE, attempt=1), number=2)
    assert [hexadecimal(span) for span in world.named("attempt")] == [TRACE, TRACE]
    first, second = world.named("attempt")
    assert second.parent is not None
    assert first.context is not None
    assert second.parent.span_id == first.context.span_id


async def test_another_worker_continues_the_trace_that_the_first_one_links_to(world: World) -> None:
    await world.attempt(INCOMING, WAITING)
    (attempt,) = world.named("attempt")
    (link,) = attempt.links
    other = World()
    assert trace_of(other.retry()) == f"{link.context.trace_id:032x}" != TRACE
    await other.attempt(other.retry(), ACCEPTED)
    (second,) = other.named("attempt")
    assert second.links == ()
    assert hexadecimal(second) == trace_of(other.retry())


async def test_a_document_without_a_trace_gets_one_derived_from_its_identity(world: World) -> None:
    await world.attempt({}, ACCEPTED)
    await world.attempt({"traceparent": b"\xff nonsense"}, ACCEPTED)
    await world.attempt({}, ACCEPTED, replace(REQUEST, id=8))
    first, second, third = (trace_of(headers) for headers in world.published)
    assert first == second == trace_of(world.retry())
    assert third != first


async def test_the_trace_of_a_finally_decided_document_is_forgotten(world: World) -> None:
    await world.attempt(INCOMING, WAITING)
    await world.attempt(INCOMING, ACCEPTED)
    assert trace_of(world.retry()) != TRACE
    assert world.tracing._remembered == {}


async def test_the_number_of_remembered_traces_is_bounded(world: World) -> None:
    world.spans.shutdown()
    for id_ in range(10_005):
        world.tracing._remember(replace(REQUEST, id=id_), WAITING)
    assert len(world.tracing._remembered) == 10_000
    assert ("sale", 0) not in world.tracing._remembered


async def test_a_share_of_the_documents_is_traced_and_an_incoming_trace_decides_for_itself() -> None:
    world = World(share=0.25)
    for id_ in range(400):
        await world.attempt({}, ACCEPTED, replace(REQUEST, id=id_))
    assert 60 < len(world.named("attempt")) < 140
    assert len(world.published) == 400
    before = len(world.named("attempt"))
    await world.attempt(INCOMING, ACCEPTED)
    not_sampled = {"traceparent": INCOMING["traceparent"][:-2] + b"00"}
    await world.attempt(not_sampled, ACCEPTED)
    assert len(world.named("attempt")) == before + 1
    assert trace_of(world.published[-1]) == TRACE


async def test_a_span_does_not_quote_an_error(world: World) -> None:
    async def send(request: SendRequest, *, overdue: bool = False) -> None:
        raise ValueError("Nguyễn Thị Ánh")

    with pytest.raises(ValueError, match="Nguyễn"):
        await world.tracing.attempt(REQUEST, {}, send)(REQUEST)
    (attempt,) = world.named("attempt")
    assert "Nguyễn" not in attempt.to_json()


async def test_tracing_that_is_off_changes_nothing() -> None:
    off = Untraced()

    async def send(request: SendRequest, *, overdue: bool = False) -> None: ...
    async def publish(_: bytes, __: bytes, ___: Mapping[str, bytes]) -> None: ...
    async def publish_status(_: SendRequest, __: Claim, ___: Decision, ____: Version | None) -> None: ...

    observer = Unobserved()
    assert off.attempt(REQUEST, INCOMING, send) is send
    assert off.passing_on(publish) is publish
    assert off.recording(publish_status) is publish_status
    assert off.observing(observer) is observer
    assert off.of_retry("sale", "chain", 7) == {}
    await off.close()


def test_tracing_that_is_off_imports_no_sdk() -> None:
    """redis-py itself imports OpenTelemetry's metrics where they are installed, but nothing of traces."""
    look = "import sys, streams.worker, streams.monitoring.exposition; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert "streams.pipeline.tracing" in modules
    makes = ("streams.pipeline.otel_tracing", "opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf")
    assert [module for module in modules if module.startswith(makes)] == []
