"""`sale-dead-letter`: what cannot be decoded, byte for byte, with where it came from and why.

Value and key are the raw ones; what is known stands in headers, so that it can be put back as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import structlog
from aiokafka.errors import MessageSizeTooLargeError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

log = structlog.get_logger(__name__)

SCHEMA_VERSION = "1"
LEFT_OUT = "left-out"
"""Header: so many bytes of key and value are not here. With the headers they were more than a message may have; they
lie where the message came from."""


class Record(Protocol):
    """As Faust's messages and aiokafka's records have it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


Publish = Callable[[bytes | None, bytes | None, Mapping[str, bytes]], Awaitable[None]]


class DeadLetters:
    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self.put_by_reader: Counter[str] = Counter()

    async def put(self, record: Record, why: str, *, reader: str) -> None:
        """Returns when the broker has confirmed. `why` must carry no value of the event."""
        headers = {
            "schema-version": SCHEMA_VERSION,
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "reader": reader,
            "reason": why,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }

        async def publish() -> None:
            raw = {name: text.encode() for name, text in headers.items()}
            try:
                await self._publish(record.key, record.value, raw)
            except Exception as error:
                if not _is_too_large(error):
                    raise
                left_out = str(len(record.key or b"") + len(record.value or b""))
                await self._publish(None, b"", raw | {LEFT_OUT: left_out.encode()})

        def say(state: RetryCallState) -> None:
            error = type(state.outcome.exception()).__name__ if state.outcome else None
            log.warning(
                "dead_letter.waiting",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                tries=state.attempt_number,
                error=error,
            )

        await AsyncRetrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential_jitter(multiplier=0.1, max=10, jitter=0.5),
            before_sleep=say,
        )(publish)
        self.put_by_reader[reader] += 1
        log.error(
            "dead_letter",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reader=reader,
            reason=why,
        )


def _is_too_large(error: Exception) -> bool:
    """As the producer says it, or Faust in its own words."""
    return isinstance(error, MessageSizeTooLargeError) or isinstance(error.__cause__, MessageSizeTooLargeError)
