"""Traces with OpenTelemetry: a span for each attempt and for each call; W3C `traceparent` in Kafka's headers.

A document waits in the database between two attempts, where there is no room for a trace, and its next attempt may be
another worker's. So what comes without a trace gets one by its own name (kind, database, id): all its attempts are
found together, whichever worker made them. Where the change event brought a trace, the attempts of this worker stay in
that one, as long as it remembers it, and link to the other."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.sdk.trace.sampling import Decision as Decided
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streams import __version__
from streams.domain.account import LogInResult
from streams.domain.change_event import SendRequest
from streams.domain.document_status import is_pending
from streams.domain.outcome import TryLater
from streams.domain.sale_status import Version
from streams.national_api.call_result import CallResult
from streams.national_api.observer import Observer
from streams.pipeline.metrics import call_name, call_status
from streams.pipeline.retry_policy import Decision
from streams.pipeline.sender import PublishStatus
from streams.pipeline.status_publisher import Publish
from streams.pipeline.tracing import Send, Untraced
from streams.stores.sync_state import Claim

_REMEMBERED = 10_000
_FLUSH_MS = 3_000
_W3C = TraceContextTextMapPropagator()


def traced_over_http(endpoint: str, share: float) -> Traced:
    """Spans go out in batches from a thread of their own; what nobody takes is dropped."""
    return Traced(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)), share)


class Traced(Untraced):
    def __init__(self, processor: SpanProcessor, share: float = 1.0) -> None:
        resource = Resource.create({"service.name": "pharmacy-sale-streams", "service.version": __version__})
        self._provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("streams")
        self._share = TraceIdRatioBased(share)
        self._remembered: OrderedDict[tuple[str, int], Mapping[str, bytes]] = OrderedDict()
        """The traces of documents that wait, as this worker knows them."""

    def attempt(self, request: SendRequest, headers: Mapping[str, bytes], send: Send) -> Send:
        own = self._own(request.document_type, request.database, request.id)
        parent = _read(headers) or own

        async def traced(request: SendRequest, *, overdue: bool = False) -> None:
            with self._tracer.start_as_current_span(
                "attempt",
                context=_as_parent(parent),
                kind=SpanKind.CONSUMER,
                attributes={
                    "document": request.document_type,
                    "document.id": request.id,
                    "invoice": request.document_code,
                    "shop": request.shop,
                    "origin": request.origin.value,
                },
                links=[Link(own)] if parent.trace_id != own.trace_id else [],
                # An error's text may quote a row.
                record_exception=False,
                set_status_on_exception=False,
            ):
                await send(request, overdue=overdue)

        return traced

    def observing(self, observer: Observer) -> Observer:
        return _Both(observer, self._tracer)

    def recording(self, publish: PublishStatus) -> PublishStatus:
        async def recording(request: SendRequest, claim: Claim, decision: Decision, version: Version | None) -> None:
            span = trace.get_current_span()
            span.set_attribute("attempt", claim.attempt)
            span.set_attribute("status", decision.status)
            if decision.reason:
                span.set_attribute("reason", decision.reason.code.value)
            self._remember(request, decision)
            await publish(request, claim, decision, version)

        return recording

    def passing_on(self, publish: Publish) -> Publish:
        async def passing_on(key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
            await publish(key, value, {**headers, **_write()})

        return passing_on

    def of_retry(self, document_type: str, database: str, id_: int) -> Mapping[str, bytes]:
        known = self._remembered.get((document_type, id_))
        return known or _write(_as_parent(self._own(document_type, database, id_)))

    async def close(self) -> None:
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._provider.force_flush(_FLUSH_MS)
        self._provider.shutdown()

    def _remember(self, request: SendRequest, decision: Decision) -> None:
        self._remembered.pop((request.document_type, request.id), None)
        if is_pending(decision.status):
            self._remembered[request.document_type, request.id] = _write()
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)

    def _own(self, document_type: str, database: str, id_: int) -> SpanContext:
        """The trace that a document has by its name."""
        name = hashlib.sha256(f"{document_type}/{database}/{id_}".encode()).digest()
        trace_id = int.from_bytes(name[:16])
        sampled = self._share.should_sample(None, trace_id, "attempt").decision is Decided.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        return SpanContext(trace_id, int.from_bytes(name[16:24]), is_remote=True, trace_flags=flags)


class _Both:
    """Tells the other observer, and makes a span of each call once it is known what it took."""

    def __init__(self, other: Observer, tracer: trace.Tracer) -> None:
        self._other = other
        self._tracer = tracer

    def called(self, method: str, path: str, result: CallResult, seconds: float) -> None:
        self._other.called(method, path, result, seconds)
        now = time.time_ns()
        status = call_status(result)
        span = self._tracer.start_span(
            call_name(method, path),
            kind=SpanKind.CLIENT,
            start_time=now - int(seconds * 1e9),
            attributes={"http.request.method": method, "outcome": status},
        )
        if not status.isdigit() or int(status) >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)

    def logged_in(self, result: LogInResult | TryLater) -> None:
        self._other.logged_in(result)


def _as_parent(span: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def _read(headers: Mapping[str, bytes]) -> SpanContext | None:
    """None: there is no trace in them, or none that can be read."""
    carrier = {name.lower(): value.decode("ascii", "replace") for name, value in headers.items() if value is not None}
    found = trace.get_current_span(_W3C.extract(carrier, Context())).get_span_context()
    return found if found.is_valid else None


def _write(context: Context | None = None) -> Mapping[str, bytes]:
    """None: of the current span."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context)
    return {name: value.encode() for name, value in carrier.items()}
