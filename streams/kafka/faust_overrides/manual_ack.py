"""Topics whose events Faust neither decodes nor acknowledges by itself.

Both would commit past unfinished events (faust-streaming 0.15.3):

- Streams acknowledge more than what was worked on: what they skip because a rebalance made it stale, and the event at
  which an agent ended (``Stream._py_aiter``). An event of a `HeldTopic` carries one more reference than Faust gives
  back, so that only `acknowledge` is final.
- What cannot be decoded is acknowledged on the spot (``Conductor``). ``value_type=bytes`` is no protection: unless told
  otherwise Faust parses it as JSON first. An event of a `ManualAckTopic` has the bytes that Kafka had.

What Faust's streams do at each event for that, and to count it for pages that are not ours, took a tenth of the event
loop: a `ManualAckStream` leaves it out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import faust
from faust.types import ChannelT, EventT, Message

_AT_ONCE = 10
"""Events between two looks at what else there is to do."""


class ManualAckTopic(faust.Topic):
    """Use it through ``faust.App(..., Topic=ManualAckTopic)``. One agent per topic: it acknowledges for all."""

    def _compile_decode(self) -> None:
        """Do not replace `decode` by one made from the topic's schema."""

    async def decode(self, message: Message, *, propagate: bool = False) -> EventT[Any]:
        return self.hold(message)

    def hold(self, message: Message) -> EventT[Any]:
        """The event of a message, with the reference that is ours."""
        message.incref()
        return faust.Event(self.app, message.key, message.value, message.headers, message)


class ManualAckStream(faust.Stream[Any]):
    """Use it through ``faust.App(..., Stream=ManualAckStream)``, and its `events` alone: they come one by one, and none
    is acknowledged."""

    async def events(self) -> AsyncIterator[EventT[Any]]:
        started_here = await self.maybe_start()
        app, channel = self.app, cast(ChannelT[Any], self.channel)
        came_at = app.monitor.stream_inbound_time  # Faust logs an error where this stands still
        given = 0
        try:
            while not self.should_stop:
                event = await channel.queue.get()  # does not wait, and lets nobody else go on, where there is one
                message = event.message
                if app.flow_control.is_active() and message.generation_id == app.consumer_generation_id:
                    came_at[message.tp] = time.monotonic()
                    yield event
                given += 1
                if given % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        except StopAsyncIteration:  # thrown into the queue as the worker ends
            return
        finally:
            channel.on_stop_iteration()
            if started_here:
                await self.stop()
                self.service_reset()


def acknowledge(event: EventT[Any]) -> bool:
    """Finally acknowledge an event of a `ManualAckTopic`; returns whether it counts as done from now on.

    It does not if it was delivered under an earlier assignment, or while partitions change hands: it is delivered
    again, and counting it for the new assignment could commit past what that has not finished.
    """
    app, message = event.app, event.message
    changing_hands = app.rebalancing and not app.flow_control.is_active()
    if changing_hands or message.generation_id != app.consumer_generation_id:
        return False
    return message.ack(app.consumer, n=2)  # the stream's reference and ours
