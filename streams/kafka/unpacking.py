"""What a consumer fetched and cannot unpack is the trouble of one partition, and of no worker.

A broken disk, a codec that is not known here, a producer that wrote rubbish: aiokafka (0.14.0) raises that to whoever
reads, together with what lies ready of all other partitions, which is then lost to him; Faust's worker ends, and so
does the next one. Here such a batch ends what was fetched, as if no more were there: what lies before it is handed on,
its partition is asked anew every few seconds, and it is said where it lies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from streams.kafka.bounded_unpacking import unpack_within_bounds
from streams.runtime.outages import OUTAGES, VALID_FOR, Outage

log = structlog.get_logger(__name__)

_AGAIN = 10.0
"""Seconds until the partition is asked anew: another broker may have the batch whole."""
_SAID_EVERY = 600.0
_FORGOTTEN_AFTER = 6 * _AGAIN
"""Seconds: nobody here has asked for it since, so another worker has the partition."""
_REMEDY = "see to the broker's disks and to who writes there; docs/operations.md says how to pass over it"

P = TypeVar("P", bound=tuple[str, int])


@dataclass(frozen=True, slots=True)
class UnreadableOffset:
    offset: int
    """Of the batch, or of a record in it: nothing was read from there on."""
    error: str
    since: float
    seen: float
    said: float
    by_broker: bool = False
    """Who could not read it."""

    def where(self, partition: tuple[str, int]) -> str:
        topic, number = partition
        return f"{topic}, partition {number}, offset {self.offset} ({self.error})"


class Unreadable:
    """Of all consumers of this process, by partition."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._troubles: dict[tuple[str, int], UnreadableOffset] = {}

    def note(self, partition: tuple[str, int], offset: int, error: Exception, *, by_broker: bool = False) -> None:
        now = self._clock()
        document_type = type(error).__name__
        known = self._troubles.get(partition)
        if known is None or known.offset != offset:
            known = UnreadableOffset(
                offset, document_type, since=now, seen=now, said=float("-inf"), by_broker=by_broker
            )
        if now - known.said >= _SAID_EVERY:
            known = replace(known, said=now)
            log.error(
                "kafka.unreadable",
                topic=partition[0],
                partition=partition[1],
                offset=offset,
                error=document_type,
                for_s=round(now - known.since),
                action=_REMEDY,
            )
        self._troubles[partition] = replace(known, seen=now)

    def passed(self, partition: tuple[str, int], offset: int) -> None:
        """It is read from this offset on."""
        known = self._troubles.get(partition)
        if known is not None and offset > known.offset:
            self._forget(partition, offset)

    def given(self, partition: tuple[str, int]) -> None:
        """The broker could read it; what it gave is another question."""
        known = self._troubles.get(partition)
        if known is not None and known.by_broker:
            self._forget(partition, known.offset)

    def _forget(self, partition: tuple[str, int], offset: int) -> None:
        self._troubles.pop(partition, None)
        log.info("kafka.readable_again", topic=partition[0], partition=partition[1], offset=offset)

    def of(self, partition: tuple[str, int]) -> UnreadableOffset | None:
        return self._troubles.get(partition)

    def ready(self, partitions: Set[P]) -> Set[P]:
        """Without those that are not to be asked yet."""
        if not self._troubles:
            return partitions
        now = self._clock()
        aside = {partition for partition, known in self._current() if now - known.seen < _AGAIN}
        return {partition for partition in partitions if partition not in aside}

    def declared(self) -> Outage | None:
        """For `streams.runtime.outages`."""
        current = self._current()
        if not current:
            return None
        what = "; ".join(known.where(partition) for partition, known in current[:3])
        more = f" and {len(current) - 3} more" if len(current) > 3 else ""
        since = min(known.since for _, known in current)
        until = max(known.seen for _, known in current) + VALID_FOR
        return Outage("kafka", f"cannot be unpacked: {what}{more}", _REMEDY, since, until, holds_up_sales=False)

    def _current(self) -> list[tuple[tuple[str, int], UnreadableOffset]]:
        """A consumer's own thread may add to them meanwhile."""
        now = self._clock()
        return [(p, known) for p, known in list(self._troubles.items()) if now - known.seen < _FORGOTTEN_AFTER]


UNREADABLE = Unreadable()
OUTAGES.ask(UNREADABLE.declared)


class OffsetBeyondBatch(CorruptRecordException):  # type: ignore[misc]
    """A broker sees to the offsets of a batch, and lets each producer say those of the records in it. Two thousand
    million further on, one record would hide all that come after it, and that place would be committed."""


class _Batches:
    """Of a partition, as aiokafka goes through them. Remembers where the one ends that it is in."""

    def __init__(self, records: Any) -> None:
        self.has_next = records.has_next
        self._next_batch = records.next_batch
        self.end = 0
        """The offset after it."""

    def next_batch(self) -> Any:
        batch = self._next_batch()
        self.end = batch.next_offset
        return batch


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched from one partition."""

    def __init__(
        self, tp: TopicPartition, records: Any, aborted_transactions: Any, fetch_offset: int, *others: Any
    ) -> None:
        self._batches = _Batches(records)
        self.next_fetch_offset: int
        super().__init__(tp, self._batches, aborted_transactions, fetch_offset, *others)
        UNREADABLE.passed(tp, fetch_offset)

    def __next__(self) -> Any:
        reached = self.next_fetch_offset
        try:
            record = super().__next__()
            if record.offset < self._batches.end:
                return record
            error: Exception = OffsetBeyondBatch()
        except StopIteration:
            raise
        except Exception as failed:
            reached, error = self.next_fetch_offset, failed
        self.next_fetch_offset = reached
        self._records_iterator = iter(())
        UNREADABLE.note(self._tp, reached, error)
        raise StopIteration


def pass_over_what_cannot_be_unpacked() -> None:
    """For all consumers of this process. aiokafka makes these objects itself, and offers no other way."""
    fetcher.PartitionRecords = _Records
    unpack_within_bounds()
