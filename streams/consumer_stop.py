"""Stopping a consumer while its broker is away. Mistakes of the libraries (aiokafka 0.14, faust-streaming 0.15.3):

- aiokafka lets the cancellation of its own fetches out of `stop`, as if whoever stops it were cancelled: a service that
  only renews its consumer would end for ever, silently.
- In Faust's consumer thread that ends the thread without a word to the worker, which then waits for it for ever.
- A commit is tried again and again until a broker answers, also by a worker that is to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.transports import ConsumerT

_LAST_COMMIT = 5.0
"""Seconds. What is not committed then is delivered again."""


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Whatever the broker does. Raises `CancelledError` only where the caller is cancelled."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        await consumer._client.close()  # what `stop` did not come to


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Thread(AIOKafkaConsumerThread):
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
            if _is_cancelled():
                raise


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class StoppableTransport(Transport):
    """Faust's, whose consumer can be stopped at any moment."""

    Consumer: ClassVar[type[ConsumerT]] = _Consumer
