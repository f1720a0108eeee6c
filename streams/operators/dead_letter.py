"""Dead letters as `streams.kafka.dead_letters` puts them, read again. What they say of themselves is not believed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from streams.kafka.dead_letters import LEFT_OUT
from streams.operators.original_records import Place
from streams.operators.topic_reader import TopicRecord


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """As `streams.kafka.dead_letters` puts them: key and value raw, the rest in headers."""

    place: TopicPartition
    offset: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    topic: str
    source: Place | None
    """Where it stands, as it says: two readers may have put the same message. None: it names no place."""
    reader: str
    reason: str
    at: str
    is_whole: bool = True
    """Key and value are here."""
    headers: Sequence[tuple[str, bytes]] = ()
    """Of the message that it was made of."""


def letter_of(record: TopicRecord) -> DeadLetter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        TopicPartition(record.topic, record.partition),
        record.offset,
        record.key,
        record.value,
        headers.get("topic", ""),
        _place(headers),
        headers.get("reader", ""),
        headers.get("reason", ""),
        headers.get("at", ""),
        LEFT_OUT not in headers,
    )


def _place(headers: Mapping[str, str]) -> Place | None:
    numbers = [headers.get(name, "") for name in ("partition", "offset")]
    if not all(re.fullmatch("[0-9]{1,18}", number) for number in numbers):
        return None
    return headers.get("topic", ""), int(numbers[0]), int(numbers[1])
