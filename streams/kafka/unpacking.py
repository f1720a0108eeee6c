"""Keeps a batch that cannot be unpacked from stopping more than its own partition.

The cause may be a broken disk, a compression codec that is not installed, or a producer that wrote garbage. aiokafka
(0.14.0) raises the error to its caller, and the records that are ready from all other partitions are lost with it; a
Faust worker ends, and so does the next one. Here such a batch ends the fetched data as if no more records had been
fetched: records before it are delivered, its partition is fetched again every few seconds, and its position is logged
and reported as an outage.
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

_RETRY_AFTER = 10.0
"""Seconds until the partition is fetched again: another broker may have an intact copy of the batch."""
_LOG_EVERY = 600.0
"""Seconds between two log lines about the same batch."""
_FORGET_AFTER = 6 * _RETRY_AFTER
"""Seconds after which a batch is forgotten: this worker has not fetched it since, so another one has its partition."""
_ACTION = "check the broker's disks and the producers of this topic; docs/operations.md says how to skip the batch"

P = TypeVar("P", bound=tuple[str, int])


@dataclass(frozen=True, slots=True)
class UnreadableOffset:
    """A batch that cannot be unpacked. Times are in seconds of a monotonic clock."""

    offset: int
    """The offset of the batch, or of a record in it. Nothing was read from there on."""
    error: str
    since: float
    seen_at: float
    logged_at: float
    by_broker: bool = False
    """True: the broker itself could not read the batch. False: this process could not unpack it."""

    def where(self, partition: tuple[str, int]) -> str:
        """Return the position in words, for the log and for operators."""
        topic, number = partition
        return f"{topic}, partition {number}, offset {self.offset} ({self.error})"


class Unreadable:
    """What cannot be unpacked, by partition, for all consumers of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._problems: dict[tuple[str, int], UnreadableOffset] = {}

    def note(self, partition: tuple[str, int], offset: int, error: Exception, *, by_broker: bool = False) -> None:
        """Record that `partition` cannot be read from `offset` on, and log it from time to time. `by_broker`: it is the
        broker that cannot read it."""
        now = self._clock()
        error_type = type(error).__name__
        known = self._problems.get(partition)
        if known is None or known.offset != offset:
            known = UnreadableOffset(
                offset, error_type, since=now, seen_at=now, logged_at=float("-inf"), by_broker=by_broker
            )
        if now - known.logged_at >= _LOG_EVERY:
            known = replace(known, logged_at=now)
            log.error(
                "kafka.unreadable",
                topic=partition[0],
                partition=partition[1],
                offset=offset,
                error=error_type,
                for_s=round(now - known.since),
                action=_ACTION,
            )
        self._problems[partition] = replace(known, seen_at=now)

    def passed(self, partition: tuple[str, int], offset: int) -> None:
        """Note that `partition` is being read from `offset` on; a problem that lies before it is over."""
        known = self._problems.get(partition)
        if known is not None and offset > known.offset:
            self._forget(partition, offset)

    def given(self, partition: tuple[str, int]) -> None:
        """Note that the broker could read `partition`; whether its batch can be unpacked is another question."""
        known = self._problems.get(partition)
        if known is not None and known.by_broker:
            self._forget(partition, known.offset)

    def _forget(self, partition: tuple[str, int], offset: int) -> None:
        self._problems.pop(partition, None)
        log.info("kafka.readable_again", topic=partition[0], partition=partition[1], offset=offset)

    def of(self, partition: tuple[str, int]) -> UnreadableOffset | None:
        """Return what is unreadable in `partition`; None if nothing is known to be."""
        return self._problems.get(partition)

    def ready(self, partitions: Set[P]) -> Set[P]:
        """Return `partitions` without those that are not to be fetched again yet."""
        if not self._problems:
            return partitions
        now = self._clock()
        paused = {partition for partition, known in self._current() if now - known.seen_at < _RETRY_AFTER}
        return {partition for partition in partitions if partition not in paused}

    def current_outage(self) -> Outage | None:
        """Return the unreadable batches as an outage, for `streams.runtime.outages`; None if there are none."""
        current = self._current()
        if not current:
            return None
        what = "; ".join(known.where(partition) for partition, known in current[:3])
        more = f" and {len(current) - 3} more" if len(current) > 3 else ""
        since = min(known.since for _, known in current)
        until = max(known.seen_at for _, known in current) + VALID_FOR
        return Outage("kafka", f"cannot be unpacked: {what}{more}", _ACTION, since, until, holds_up_sales=False)

    def _current(self) -> list[tuple[tuple[str, int], UnreadableOffset]]:
        """Return the problems that were seen recently. A consumer's thread may add to them meanwhile, so they are
        copied first.
        """
        now = self._clock()
        return [(p, known) for p, known in list(self._problems.items()) if now - known.seen_at < _FORGET_AFTER]


UNREADABLE = Unreadable()
OUTAGES.add_source(UNREADABLE.current_outage)


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
    """The records fetched from one partition, which end before the first one that cannot be unpacked."""

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


def skip_unreadable_batches() -> None:
    """Install `_Records` for all consumers of this process. aiokafka creates these objects itself and offers no other
    hook.
    """
    fetcher.PartitionRecords = _Records
    unpack_within_bounds()
