"""A message that the consumer has fetched -> the queue of the agent that reads its topic.

Faust hands each on in a coroutine (``Conductor``): it takes a lock, waits for flow control and for its producer's
buffer (never filled here: `streams.kafka.faust_overrides.app.Producers`), decodes, and puts the event into the queue;
the consumer awaits that beside three things that never come, in four tasks. Nearly always there is nothing to wait for,
and the event is in its queue before the consumer has anything to await. Where there is something, Faust does it as
ever."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, MutableSet
from typing import Any

from faust.transport.conductor import Conductor
from faust.types import TP, AppT, ConsumerCallback, Message

from streams.kafka.faust_overrides.manual_ack import ManualAckTopic


class _HandedOver(Awaitable[None]):
    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


HANDED_OVER = _HandedOver()
"""Given in place of a coroutine where there is nothing left to await."""


class _Partition:
    """What becomes of the messages of one partition. `waiting`: Faust's own way."""

    def __init__(self, app: AppT, tp: TP, channels: MutableSet[Any], waiting: ConsumerCallback) -> None:
        self._app = app
        self._tp = tp
        self._channels = channels
        self._waiting = waiting

    def __call__(self, message: Message) -> Awaitable[Any]:
        return self._waiting(message)

    def at_once(self, message: Message) -> bool:
        """Whether it is in the queue of the one topic that reads this partition."""
        if len(self._channels) != 1:
            return False
        [topic] = self._channels
        if not isinstance(topic, ManualAckTopic):
            return False
        queue: Any = topic.queue  # Faust's `FlowControlQueue`, as its app makes them
        if queue.full():
            return False
        message.incref()  # for the agent's stream
        queue.put_nowait_enhanced(topic.hold(message), on_pressure_high=self._high, on_pressure_drop=self._dropped)
        return True

    def _high(self) -> None:
        self._app.sensors.on_topic_buffer_full(self._tp)
        self._app.consumer.on_buffer_full(self._tp)

    def _dropped(self) -> None:
        self._app.consumer.on_buffer_drop(self._tp)


class DirectDelivery(Conductor):
    def _build_handler(self, tp: TP, channels: MutableSet[Any]) -> ConsumerCallback:
        return _Partition(self.app, tp, channels, super()._build_handler(tp, channels))

    def _compile_message_handler(self) -> ConsumerCallback:
        partitions, changing = self._tp_to_callback, self._tp_to_callback_lock
        waiting = super()._compile_message_handler()

        def on_message(message: Message) -> Awaitable[Any]:
            if not changing.locked() and self.app.flow_control.is_active():
                partition = partitions.get(message.tp)
                if isinstance(partition, _Partition) and partition.at_once(message):
                    return HANDED_OVER
            return waiting(message)

        return on_message
