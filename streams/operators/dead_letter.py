"""Reads dead letters as `streams.kafka.dead_letters` writes them. What they say about themselves is not trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from streams.kafka.dead_letters import LEFT_OUT
from streams.operators.original_records import RecordPosition
from streams.operators.topic_reader import TopicRecord


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter: key and value are those of the original message, everything else comes from its headers."""

    partition: TopicPartition
    """Where the dead letter itself is stored."""
    offset: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    topic: str
    """The topic of the original message."""
    source: RecordPosition | None
    """The position of the original message, which two readers may have dead-lettered. None: the headers name none."""
    reader: str
    """Who could not read the message: a topic's agent, or ``journal``."""
    reason: str
    at: str
    """When it was dead-lettered, as an RFC 3339 time in UTC."""
    is_complete: bool = True
    """Whether key and value are included; a message that is too large is dead-lettered without them."""
    headers: Sequence[tuple[str, bytes]] = ()
    """The headers of the original message."""


def read_dead_letter(record: TopicRecord) -> DeadLetter:
    """Return the dead letter in a record of sale-dead-letter; a missing header gives an empty text."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        TopicPartition(record.topic, record.partition),
        record.offset,
        record.key,
        record.value,
        headers.get("topic", ""),
        _source(headers),
        headers.get("reader", ""),
        headers.get("reason", ""),
        headers.get("at", ""),
        LEFT_OUT not in headers,
    )


def _source(headers: Mapping[str, str]) -> RecordPosition | None:
    numbers = [headers.get(name, "") for name in ("partition", "offset")]
    if not all(re.fullmatch("[0-9]{1,18}", number) for number in numbers):
        return None
    return headers.get("topic", ""), int(numbers[0]), int(numbers[1])
