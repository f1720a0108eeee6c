"""Stops a consumer even while its broker is unavailable.

In aiokafka 0.14 `stop` lets the cancellation of its own fetch tasks escape, as if the caller were cancelled: a service
that only wanted to replace its consumer would end forever, silently.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

from streams.runtime.cancellation import is_cancelled


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop `consumer`, whatever state its broker is in. Raises `CancelledError` only when the caller itself is
    cancelled.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        await consumer._client.close()  # `stop` did not get as far as closing the client
