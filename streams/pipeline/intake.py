"""Where a message becomes work: it is read, and its work is admitted to a window that keeps the order of each document.

    change topic ─▶ take_change ─┐
    sale-retry   ─▶ take_retry  ─┴▶ sending ─▶ Sender
    sale-status  ─▶ take_status ──▶ writing ─▶ WriteBack

What cannot be read becomes a dead letter; what belongs to another database, or asks for nothing, is only counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from faust.types import EventT

from streams.documents.document import DocumentType
from streams.domain.change_event import Edited, SendRequest, Skip, read_change_event
from streams.domain.retry_message import read_retry
from streams.domain.status_message import StatusMessage, read_status
from streams.domain.undecodable import Undecodable
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.faust_overrides.manual_ack import acknowledge
from streams.kafka.in_order_window import Delivery, InOrderWindow
from streams.pipeline.metrics import Metrics
from streams.pipeline.outage_gate import Admission
from streams.pipeline.sender import Sender
from streams.pipeline.source_database import SourceDatabaseFilter
from streams.pipeline.tracing import Untraced
from streams.settings import Settings

log = structlog.get_logger(__name__)

_WRITES_AT_ONCE = 2_000
"""Decisions in work at once: they are written in batches, so this bounds memory and not the database."""


class Intake:
    """Receives what the agents read. Each `take_*` method returns once the message is admitted to a window."""

    def __init__(
        self,
        settings: Settings,
        document_types: Mapping[str, DocumentType],
        dead_letters: DeadLetters,
        metrics: Metrics,
        tracing: Untraced,
        admission: Admission,
    ) -> None:
        """`document_types`: by name."""
        self._known_types = document_types
        self._tables = {each.table.lower(): (each.name, each.document_code_column) for each in document_types.values()}
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._tracing = tracing
        self._admission = admission
        self._senders: Mapping[str, Sender] = {}
        self._write: Callable[[StatusMessage], Awaitable[None]]
        self._edited: Callable[[Edited], None]
        self._opened = asyncio.Event()
        self.source_database_filter = SourceDatabaseFilter(settings.source_database)
        self.skipped: dict[Skip, int] = dict.fromkeys(Skip, 0)
        self.sending = InOrderWindow(
            max_running=settings.max_in_flight,
            max_running_per_shop=settings.max_in_flight_per_shop,
            burst_below=settings.max_in_flight // 2,
            max_unacknowledged=settings.max_unacknowledged,
            start_timeout=settings.start_timeout,
        )
        self.writing = InOrderWindow(
            max_running=_WRITES_AT_ONCE,
            max_running_per_shop=_WRITES_AT_ONCE,
            max_unacknowledged=settings.max_unacknowledged,
        )

    @property
    def is_open(self) -> bool:
        return self._opened.is_set()

    def open(
        self,
        senders: Mapping[str, Sender],
        write: Callable[[StatusMessage], Awaitable[None]],
        edited: Callable[[Edited], None] = lambda _: None,
    ) -> None:
        """Let the messages through that have waited for the stores. `senders`: by the name of the document type;
        `write`: writes a decision back; `edited`: is called with edits of accepted documents."""
        self._senders = senders
        self._write = write
        self._edited = edited
        self._opened.set()

    async def take_change(self, event: EventT[bytes | None]) -> None:
        """Take a change event. Returns once it is admitted."""
        await self._take(event, lambda: read_change_event(event.message.value, self._tables), lane="new")

    async def take_retry(self, event: EventT[bytes | None]) -> None:
        """Take a message of `sale-retry`. Returns once it is admitted."""
        await self._take(event, lambda: read_retry(event.message.value), lane="due")

    async def _take(
        self, event: EventT[bytes | None], read: Callable[[], SendRequest | Edited | Skip], *, lane: str
    ) -> None:
        await self._opened.wait()
        await self._admission.wait_for_intake()
        try:
            request = read()
            if isinstance(request, SendRequest) and request.document_type not in self._known_types:
                raise Undecodable("document: no kind of that name here")
        except Undecodable as problem:
            await self._put_dead_letter(event, str(problem), self.sending, lane)
            return
        is_ours = self.source_database_filter.takes
        if not isinstance(request, Skip) and not is_ours(event.message.topic, request.database):
            request = Skip.OTHER_DATABASE
        if isinstance(request, Edited):
            self._edited(request)
            request = Skip.NOT_PENDING
        if isinstance(request, SendRequest) and request.document_type not in self._senders:
            request = Skip.NOT_CARRIED
        if isinstance(request, Skip):
            self.skipped[request] += 1
            await self.sending.admit(_delivery(event, lane, work=None))
            return
        sender = self._senders[request.document_type]
        self._metrics.captured(request, event.message.timestamp)
        send = self._tracing.attempt(request, event.headers, sender.send)
        await self.sending.admit(
            _delivery(
                event,
                lane,
                work=lambda overdue: send(request, overdue=overdue),
                order_key=(request.document_type, request.id),
                shop=request.shop,
            )
        )

    async def take_status(self, event: EventT[bytes | None]) -> None:
        """Take a decision from `sale-status`, to be written back. Returns once it is admitted."""
        await self._opened.wait()
        try:
            message = read_status(event.message.value, dict(event.headers))
        except Undecodable as problem:
            await self._put_dead_letter(event, str(problem), self.writing, "new")
            return
        if not self.source_database_filter.takes(event.message.topic, message.status.source_database):
            self.skipped[Skip.OTHER_DATABASE] += 1
            await self.writing.admit(_delivery(event, "new", work=None))
            return
        order_key = (message.status.document, message.status.id)
        write = self._write
        await self.writing.admit(_delivery(event, "new", work=lambda _: write(message), order_key=order_key))

    async def _put_dead_letter(self, event: EventT[bytes | None], why: str, window: InOrderWindow, lane: str) -> None:
        async def put(_: bool) -> None:
            await self._dead_letters.put(event.message, why, reader=event.message.topic)

        await window.admit(_delivery(event, lane, work=put))

    def revoke(self, partitions: Iterable[Any]) -> None:
        """Leave these partitions to other workers. What is in flight finishes, but is not acknowledged here."""
        revoked = list(partitions)
        self.sending.revoke(revoked)
        self.writing.revoke(revoked)


def _delivery(
    event: EventT[bytes | None],
    lane: str,
    *,
    work: Callable[[bool], Awaitable[None]] | None,
    order_key: object = None,
    shop: str | None = None,
) -> Delivery:
    message = event.message
    return Delivery(
        partition=message.tp,
        offset=message.offset,
        order_key=order_key,
        shop=shop,
        lane=lane,
        acknowledge=lambda: acknowledge(event),
        work=work,
    )
