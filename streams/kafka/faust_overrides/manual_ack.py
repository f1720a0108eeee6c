"""Topics whose events Faust neither decodes nor acknowledges by itself.

Both would commit past unfinished events (faust-streaming 0.15.3):

- Streams acknowledge more than what was processed: events that they skip because a rebalance made them stale, and the
  event at which an agent ended (``Stream._py_aiter``). An event of a `ManualAckTopic` carries one more reference than
  Faust releases, so that only `acknowledge` is final.
- A message that cannot be decoded is acknowledged on the spot (``Conductor``). ``value_type=bytes`` does not prevent
  that: unless configured otherwise Faust parses the value as JSON first. An event of a `ManualAckTopic` has the
  original bytes.

The work that Faust's streams do for this at each event, and for statistics on pages that are not served here, took a
tenth of the event loop's time; a `ManualAckStream` leaves it out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import faust
from faust.types import ChannelT, EventT, Message

_YIELD_EVERY = 10
"""Events after which the stream yields to other tasks."""


class ManualAckTopic(faust.Topic):
    """A topic whose events are acknowledged by `acknowledge` alone. Use it as ``faust.App(..., Topic=ManualAckTopic)``,
    with one agent per topic, which acknowledges for all.
    """

    def _compile_decode(self) -> None:
        """Keep `decode` as it is, instead of replacing it by one that is generated from the topic's schema."""

    async def decode(self, message: Message, *, propagate: bool = False) -> EventT[Any]:
        return self.event_of(message)

    def event_of(self, message: Message) -> EventT[Any]:
        """Return the event of a message, with the extra reference that `acknowledge` releases."""
        message.incref()
        return faust.Event(self.app, message.key, message.value, message.headers, message)


class ManualAckStream(faust.Stream[Any]):
    """A stream that acknowledges nothing. Use it as ``faust.App(..., Stream=ManualAckStream)``, and only through its
    `events`, which yields the events one by one.
    """

    async def events(self) -> AsyncIterator[EventT[Any]]:
        """Yield the events of the current assignment, one by one; events of an earlier one are dropped."""
        started_here = await self.maybe_start()
        app, channel = self.app, cast(ChannelT[Any], self.channel)
        inbound_times = app.monitor.stream_inbound_time  # Faust logs an error when these times stand still
        taken = 0
        try:
            while not self.should_stop:
                # While the queue has an event this neither waits nor lets another task run.
                event = await channel.queue.get()
                message = event.message
                if app.flow_control.is_active() and message.generation_id == app.consumer_generation_id:
                    inbound_times[message.tp] = time.monotonic()
                    yield event
                taken += 1
                if taken % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        except StopAsyncIteration:  # thrown into the queue when the worker ends
            return
        finally:
            channel.on_stop_iteration()
            if started_here:
                await self.stop()
                self.service_reset()


def acknowledge(event: EventT[Any]) -> bool:
    """Acknowledge an event of a `ManualAckTopic` for good; return whether it counts as done from now on.

    It does not if it was delivered under an earlier assignment, or during a rebalance: it will be delivered again, and
    counting it for the new assignment could commit past events that the new assignment has not finished.
    """
    app, message = event.app, event.message
    is_rebalancing = app.rebalancing and not app.flow_control.is_active()
    if is_rebalancing or message.generation_id != app.consumer_generation_id:
        return False
    return message.ack(app.consumer, n=2)  # the stream's reference and the extra one
