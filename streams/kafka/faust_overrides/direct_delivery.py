"""Puts a fetched message directly into the queue of the agent that reads its topic.

Faust delivers each message in a coroutine (``Conductor``): it takes a lock, waits for flow control and for its
producer's buffer (which is never filled here, see `streams.kafka.producer`), decodes, and puts the event into the
queue; the consumer awaits that together with three events that never happen, in four tasks. Nearly always there is
nothing to wait for, and the event is in its queue before the consumer has anything to await. Where there is something
to wait for, Faust's own handler takes over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, MutableSet
from typing import Any

from faust.transport.conductor import Conductor
from faust.types import TP, AppT, ConsumerCallback, Message

from streams.kafka.faust_overrides.manual_ack import ManualAckTopic


class _Delivered(Awaitable[None]):
    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


DELIVERED = _Delivered()
"""Returned in place of a coroutine where there is nothing left to await."""


class _Partition:
    """Handles the messages of one partition. `faust_handler`: Faust's own handler for them."""

    def __init__(self, app: AppT, tp: TP, channels: MutableSet[Any], faust_handler: ConsumerCallback) -> None:
        self._app = app
        self._tp = tp
        self._channels = channels
        self._faust_handler = faust_handler

    def __call__(self, message: Message) -> Awaitable[Any]:
        return self._faust_handler(message)

    def deliver_now(self, message: Message) -> bool:
        """Put `message` into the queue of the only topic that reads this partition, and return True; return False where
        that would have to wait.
        """
        if len(self._channels) != 1:
            return False
        [topic] = self._channels
        if not isinstance(topic, ManualAckTopic):
            return False
        queue: Any = topic.queue  # Faust's `FlowControlQueue`, which the app creates
        if queue.full():
            return False
        message.incref()  # the reference that the agent's stream releases
        queue.put_nowait_enhanced(
            topic.event_of(message), on_pressure_high=self._pressure_high, on_pressure_drop=self._pressure_dropped
        )
        return True

    def _pressure_high(self) -> None:
        self._app.sensors.on_topic_buffer_full(self._tp)
        self._app.consumer.on_buffer_full(self._tp)

    def _pressure_dropped(self) -> None:
        self._app.consumer.on_buffer_drop(self._tp)


class DirectDelivery(Conductor):
    """A conductor that delivers without a coroutine where it can."""

    def _build_handler(self, tp: TP, channels: MutableSet[Any]) -> ConsumerCallback:
        return _Partition(self.app, tp, channels, super()._build_handler(tp, channels))

    def _compile_message_handler(self) -> ConsumerCallback:
        partitions, changing = self._tp_to_callback, self._tp_to_callback_lock
        faust_handler = super()._compile_message_handler()

        def on_message(message: Message) -> Awaitable[Any]:
            if not changing.locked() and self.app.flow_control.is_active():
                partition = partitions.get(message.tp)
                if isinstance(partition, _Partition) and partition.deliver_now(message):
                    return DELIVERED
            return faust_handler(message)

        return on_message
