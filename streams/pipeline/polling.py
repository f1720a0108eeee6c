"""Announces new documents where nothing captures the changes of the sales database: the table is asked for them.

A document whose past is known is announced on its change topic, by the event that Debezium would write for it; from
there on it takes the way of every new document. Any other is left to the scheduler, which enqueues it to be looked up
first.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from streams.documents.document import DocumentType
from streams.domain.change_event import inserted_event
from streams.settings import Settings
from streams.stores.new_documents import NewDocuments
from streams.stores.schedule import DueDocument

log = structlog.get_logger(__name__)

_LARGEST_SHARE = 0.05
"""Of the time, at most this is spent asking for new documents: with a large backlog, whose rows each poll reads, the
database is asked less often."""
_LONGEST_PAUSE = 15.0
_JUDGED_BY = 5
"""Polls, of which the shortest counts: the others were slowed down by something else than their own work."""
_READ_MARK_EVERY = 60.0

PublishChange = Callable[[str, bytes, bytes, Mapping[str, bytes]], Awaitable[None]]
"""Publishes to a topic (name, key, value, headers)."""


class Polling:
    """Polls for the documents of one type. `streams.pipeline.scheduler` decides when."""

    def __init__(
        self,
        documents: NewDocuments,
        settings: Settings,
        document_type: DocumentType,
        *,
        topic: str,
        publish: PublishChange,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`topic`: the change topic. `clock`: epoch seconds."""
        self._documents = documents
        self._interval = settings.poll_interval
        self._batch = settings.due_batch
        self._document_type = document_type
        self._database = settings.source_database
        self._topic = topic
        self._publish = publish
        self._clock = clock
        self.mark: int | None = None
        """The cut-over mark, as this worker last read it; None: it has not polled yet."""
        self._mark_read_at = float("-inf")
        self._next = float("-inf")
        self.last_at: float | None = None
        """When this worker last asked for new documents and got an answer, epoch seconds; None: it has not."""
        self._took: deque[float] = deque(maxlen=_JUDGED_BY)
        self.announced_total = 0

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    @property
    def took_s(self) -> float:
        """Seconds that the last poll took in the database."""
        return self._took[-1] if self._took else 0.0

    @property
    def pause(self) -> float:
        """Seconds between two polls."""
        return max(self._interval, min(_LONGEST_PAUSE, min(self._took, default=0.0) / _LARGEST_SHARE))

    async def poll(self, reannounce_after_ms: int) -> bool:
        """Announce the new documents; return whether others are pending that nothing waits for.

        `reannounce_after_ms`: announced documents that were not claimed are due after this time.
        """
        self._next = time.monotonic() + self.pause
        mark = await self._known_mark()
        started_at = time.monotonic()
        found = await self._documents.find(self._batch, mark)
        self._took.append(time.monotonic() - started_at)
        self._next = started_at + self.pause
        self.last_at = self._clock()
        new = [id_ for id_ in found.unseen if id_ > mark]
        # As with what is due: no more lies in Kafka than is worked on soon, so that no shop gets ahead of the others.
        if new and await self._documents.announced_and_unclaimed() <= self._batch:
            documents, error = await self._documents.announce(new, reannounce_after_ms)
            await self.announce(documents)
            if len(new) == self._batch:
                self._next = started_at  # there may be more
            if error is not None:
                raise error
        return len(new) < len(found.unseen) or found.requested_again > 0

    def is_new(self, due: DueDocument) -> bool:
        """Return whether nothing of a document can be stored by the national system: nobody has ever sent it. Without
        all of its codes it cannot be announced."""
        return (
            due.attempt == 0
            and self.mark is not None
            and due.id > self.mark
            and all((due.document_code, due.pharmacy_code, due.shop))
        )

    async def announce(self, documents: Sequence[DueDocument]) -> None:
        """Publish the events of new documents. Raises the first error, once all were tried."""
        new = [each for each in documents if self.is_new(each)]
        published = await asyncio.gather(*(self.publish(each) for each in new), return_exceptions=True)
        failed = [result for result in published if result is not None]
        if new:
            log.info("polling.announced", document=self._document_type.name, documents=len(new) - len(failed))
        if failed:
            raise failed[0]

    async def publish(self, document: DueDocument) -> None:
        """Publish the event of one new document."""
        key, value = inserted_event(
            self._database,
            self._document_type.table,
            self._document_type.document_code_column,
            id_=document.id,
            codes=(document.document_code, document.pharmacy_code, document.shop),
            found_at_ms=document.since,
        )
        await self._publish(self._topic, key, value, {})
        self.announced_total += 1

    async def _known_mark(self) -> int:
        if self.mark is None or time.monotonic() - self._mark_read_at >= _READ_MARK_EVERY:
            self.mark = await self._documents.mark()
            self._mark_read_at = time.monotonic()
        return self.mark
