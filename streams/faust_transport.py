"""Faust's way to Kafka, for a broker that goes away at any moment. As it is (faust-streaming 0.15.3)

- the worker ends where the broker goes away while it starts;
- a cancelled fetch (`streams.consumer_stop`) ends the consumer's thread without a word to the worker, which then waits
  for it for ever;
- a commit is tried again and again until a broker answers, also by a worker that is to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

import structlog
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer, Transport
from faust.types import TP
from faust.types.transports import ConsumerT, ProducerT
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from streams.cancelled import is_cancelled
from streams.consumer_stop import stop_consumer

log = structlog.get_logger(__name__)

_LAST_COMMIT = 5.0
"""Seconds. What is not committed then is delivered again."""


def _until_it_answers() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type((KafkaError, OSError)),
        wait=wait_exponential_jitter(multiplier=0.5, max=10, jitter=0.5),
        before_sleep=_say,
    )


def _say(state: RetryCallState) -> None:
    error = type(state.outcome.exception()).__name__ if state.outcome else None
    log.warning("kafka.waiting", tries=state.attempt_number, error=error, remedy="none, if the broker was started anew")


class _Thread(AIOKafkaConsumerThread):
    async def on_start(self) -> None:
        async def start() -> None:
            if self._consumer is not None:
                await stop_consumer(self._consumer)
            await AIOKafkaConsumerThread.on_start(self)

        await _until_it_answers()(start)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """False only at the end: what Faust is told was not committed it does not commit again."""
        committing = asyncio.ensure_future(super()._commit(offsets))
        try:
            while not (await asyncio.wait([committing], timeout=_LAST_COMMIT))[0]:
                if self.consumer.should_stop:
                    return False
            return committing.result()
        finally:
            committing.cancel()

    async def on_thread_stop(self) -> None:
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            if is_cancelled():
                raise


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Producer(Producer):
    async def on_start(self) -> None:
        async def start() -> None:
            if self._producer is not None:
                await self._producer.stop()
            await Producer.on_start(self)

        await _until_it_answers()(start)


class PatientTransport(Transport):
    Consumer: ClassVar[type[ConsumerT]] = _Consumer
    Producer: ClassVar[type[ProducerT]] = _Producer
