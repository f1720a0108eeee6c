"""Faust's Kafka transport, for a broker that may go away at any moment. In Faust's own transport
(faust-streaming 0.15.3)

- the worker exits when the broker goes away while the worker starts;
- a cancelled fetch (`streams.kafka.stop_consumer`) ends the consumer's thread without notifying the worker, which then
  waits for it forever;
- a commit is retried until a broker answers, even by a worker that is shutting down;
- fetched records are taken partition by partition, each until it is empty: behind a backlog of sales their decisions
  were written back only once the whole backlog was sent (with 14,000 sales, none for 22 s);
- a partition from which nothing was read yet looks as if the record at the committed offset had been read
  (`NextToRead`);
- records below the last offset that was read are dropped silently. Where a topic was deleted and created again, or a
  broker lost its end, that is every record until the old offset is reached: the scheduler would find the sales, but
  decisions would not be written back. Here it is logged, and the partition is read from its beginning; what is read
  twice is recognized.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from types import CoroutineType
from typing import Any, ClassVar, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faust.transport.consumer import RecordMap
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer, Transport
from faust.types import TP
from faust.types.transports import ConductorT, ConsumerT, ProducerT
from mode.services import WaitArgT, WaitResults

from streams.kafka.faust_overrides.direct_delivery import DELIVERED, DirectDelivery
from streams.kafka.stop_consumer import stop_consumer
from streams.kafka.unpacking import UNREADABLE
from streams.runtime.cancellation import is_cancelled
from streams.runtime.retrying import Backoff, retry

log = structlog.get_logger(__name__)

_FINAL_COMMIT_TIMEOUT = 5.0
"""Seconds for the last commit of a worker that shuts down. What is not committed by then is delivered again."""

_END_OFFSETS_TIMEOUT = 10.0
_NOTHING_COUNTS = 2**62
"""As the committed offset of a partition: no acknowledgement is beyond it."""

_NOTHING_LEFT = WaitResults([], [], stopped=False)


class NextToRead(int):
    """The committed offset, in the place where Faust keeps the last offset that it read. While nothing was read, Faust
    stores the committed offset there, which is the next one to read. Without this class that would look the same as if
    exactly one record had been read since.
    """


async def _until_broker_answers(start: Callable[[], Awaitable[None]]) -> None:
    await retry(start, (KafkaError, OSError), Backoff(1, 10), _log_retry)


def _log_retry(error: Exception, tries: int) -> None:
    log.warning("kafka.waiting", tries=tries, error=type(error).__name__, action="none, if the broker was restarted")


class _Thread(AIOKafkaConsumerThread):
    async def on_start(self) -> None:
        async def start() -> None:
            if self._consumer is not None:
                await stop_consumer(self._consumer)
            await AIOKafkaConsumerThread.on_start(self)

        await _until_broker_answers(start)

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is Faust's
        max_records: int | None = None,
    ) -> RecordMap:
        """Return up to `max_records` records of each topic, whatever is ready of the others."""
        assigned, active_partitions = active_partitions, set(UNREADABLE.ready(active_partitions))
        if assigned and not active_partitions:  # an empty set would mean all of them
            await asyncio.sleep(timeout or 0)
            return {}
        topics: defaultdict[str, set[TP]] = defaultdict(set)
        for partition in active_partitions:
            topics[partition.topic].add(partition)
        found: dict[TP, list[Any]] = {}
        for partitions in topics.values():
            found.update(await super()._fetch_records(consumer, partitions, 0, max_records))
        waited_for = set(UNREADABLE.ready(active_partitions)) or active_partitions
        return found or await super()._fetch_records(consumer, waited_for, timeout, max_records)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit `offsets`. Return False only when the worker is shutting down: Faust does not retry a commit that
        it knows has failed.
        """
        committing = asyncio.ensure_future(super()._commit(offsets))
        try:
            while not (await asyncio.wait([committing], timeout=_FINAL_COMMIT_TIMEOUT))[0]:
                if self.consumer.should_stop:
                    return False
            return committing.result()
        finally:
            committing.cancel()

    async def rejoin_group(self) -> None:
        """Leave and join the group, so that all partitions are assigned again. aiokafka has no public way to do so."""

        async def rejoin() -> None:
            self._ensure_consumer()._coordinator.request_rejoin()

        await self.call_thread(rejoin)

    async def on_thread_stop(self) -> None:
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            if is_cancelled():
                raise


class _Consumer(Consumer):
    async def seek_to_committed(self) -> Mapping[TP, int]:
        sought = await super().seek_to_committed()
        sought = {**sought, **await self._from_the_beginning(sought)}
        return {tp: offset if offset is None else NextToRead(offset) for tp, offset in sought.items()}

    async def _from_the_beginning(self, sought: Mapping[TP, int]) -> Mapping[TP, int]:
        """Return where partitions start whose committed offset lies beyond their end, and read them from there."""
        committed = {tp: offset for tp, offset in sought.items() if offset}
        if not committed:
            return {}
        try:
            async with asyncio.timeout(_END_OFFSETS_TIMEOUT):
                ends = await self._thread.highwaters(*committed)
        except (KafkaError, OSError, TimeoutError) as error:  # the records that are read reveal it, too
            log.warning("kafka.ends_unknown", error=type(error).__name__)
            return {}
        beyond = {tp: offset for tp, offset in committed.items() if offset > ends[tp]}
        if not beyond:
            return {}
        beginnings = await self._commit_the_beginning(beyond)
        await self._thread.seek_wait(beginnings)
        return beginnings

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:  # noqa: ASYNC109
        records = await super()._getmany(active_partitions, timeout)
        below = {
            tp: read
            for tp, found in records.items()
            if found and (read := self._read_offset[tp]) is not None and found[0].offset < read
        }
        if not below:
            return records
        if new := {tp: read for tp, read in below.items() if self._committed_offset[tp] != _NOTHING_COUNTS}:
            await self._commit_the_beginning(new)
            for tp in new:
                # Records in flight, and those that arrive before the reassignment, belong to the earlier topic.
                self._committed_offset[tp] = _NOTHING_COUNTS
            await cast(_Thread, self._thread).rejoin_group()
        return {tp: found for tp, found in records.items() if tp not in below}

    async def _commit_the_beginning(self, committed: Mapping[TP, int]) -> Mapping[TP, int]:
        """Commit the first offset of these partitions at once: if this worker died before it had read anything, no
        other worker would know."""
        beginnings = await self._thread.earliest_offsets(*committed)
        for tp, offset in committed.items():
            log.error(
                "kafka.read_from_start",
                topic=tp.topic,
                partition=tp.partition,
                committed=int(offset),
                starts_at=beginnings[tp],
                action="none, if the topic was created again; else check whether a broker has lost records",
            )
        await self._thread.commit(beginnings)
        return beginnings

    async def wait_first(self, *waits: WaitArgT, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109
        """Wait for the first of several awaitables, as Faust does for each event that it delivers; return at once where
        the event is delivered already (`streams.kafka.faust_overrides.direct_delivery`).
        """
        first, *others = waits
        if first is not DELIVERED:
            return await super().wait_first(*waits, timeout=timeout)
        for other in others:
            if isinstance(other, CoroutineType):
                other.close()
        return _NOTHING_LEFT

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Producer(Producer):
    async def on_start(self) -> None:
        async def start() -> None:
            if self._producer is not None:
                await self._producer.stop()
            await Producer.on_start(self)

        await _until_broker_answers(start)


class ResilientTransport(Transport):
    """The transport that the app and its producer use."""

    Conductor: ClassVar[type[ConductorT]] = DirectDelivery
    Consumer: ClassVar[type[ConsumerT]] = _Consumer
    Producer: ClassVar[type[ProducerT]] = _Producer
