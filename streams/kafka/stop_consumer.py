"""Stopping a consumer while its broker is away.

aiokafka 0.14 lets the cancellation of its own fetches out of `stop`, as if whoever stops it were cancelled: a service
that only renews its consumer would end for ever, silently.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

from streams.runtime.cancellation import is_cancelled


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Whatever the broker does. Raises `CancelledError` only where the caller is cancelled."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        await consumer._client.close()  # what `stop` did not come to
