"""The points at which traces are made. `Untraced` makes none: it returns everything as it came.

`streams.pipeline.otel_tracing` makes them with OpenTelemetry, and is imported only where TRACING_ENDPOINT is set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from streams.domain.change_event import SendRequest
from streams.national_api.observer import Observer
from streams.pipeline.sender import PublishStatus
from streams.pipeline.status_publisher import Publish


class Send(Protocol):
    async def __call__(self, request: SendRequest, /, *, overdue: bool = False) -> None: ...


class Untraced:
    def attempt(self, request: SendRequest, headers: Mapping[str, bytes], send: Send) -> Send:
        """`send`, within the span of this attempt. `headers`: of the event that brought it."""
        return send

    def observing(self, observer: Observer) -> Observer:
        """`observer`, and a span for each call."""
        return observer

    def recording(self, publish: PublishStatus) -> PublishStatus:
        """`publish`, with the decision noted on the attempt's span."""
        return publish

    def passing_on(self, publish: Publish) -> Publish:
        """`publish`, with the attempt's trace in the headers."""
        return publish

    def of_retry(self, document_type: str, database: str, id_: int) -> Mapping[str, bytes]:
        """Headers for `sale-retry`: the trace that the document's next attempt belongs to."""
        return {}

    async def close(self) -> None:
        """Sends what is not sent yet, for a few seconds at most."""
