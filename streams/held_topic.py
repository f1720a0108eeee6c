"""Topics whose events Faust cannot acknowledge by itself.

Faust's streams acknowledge more than what was worked on: events that they skip because a rebalance made them stale,
and the event at which an agent ended (faust-streaming 0.15.3, ``Stream._py_aiter``). Each such acknowledgement can
commit past an unfinished event. An event of a `HeldTopic` carries one more reference than Faust gives back, so that
only `acknowledge` is final.
"""

from __future__ import annotations

from typing import Any

import faust
from faust.types import EventT, Message


class HeldTopic(faust.Topic):
    """Use through ``faust.App(..., Topic=HeldTopic)``. One agent per topic: it acknowledges for all."""

    def _compile_decode(self) -> None:
        # Faust compiles decode per topic and per clone; the conductor calls it before the event reaches a stream.
        super()._compile_decode()
        decode = self.decode

        async def decode_and_hold(message: Message, *, propagate: bool = False) -> Any:
            event = await decode(message, propagate=propagate)
            if event is not None:
                message.incref()
            return event

        self.decode = decode_and_hold  # type: ignore[method-assign] # as Faust itself replaces it


def acknowledge(event: EventT[Any]) -> bool:
    """Finally acknowledge an event of a `HeldTopic`; whether it counts now as done.

    Not if it was delivered under an earlier assignment, or while partitions change hands: it is delivered again, and
    counting it for the new assignment could commit past what that has not finished.
    """
    app, message = event.app, event.message
    changing_hands = app.rebalancing and not app.flow_control.is_active()
    if changing_hands or message.generation_id != app.consumer_generation_id:
        return False
    return message.ack(app.consumer, n=2)  # the stream's reference and ours
