"""`sale-dead-letter`: what cannot be decoded, byte for byte, with where it came from and why.

Value and key are the raw ones; what is known stands in headers, so that it can be put back as it was. One that is too
large for that goes without its value, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import structlog
from aiokafka.errors import MessageSizeTooLargeError
from tenacity import AsyncRetrying, RetryCallState, retry_if_not_exception_type, wait_exponential_jitter

from streams.runtime.outages import OUTAGES

log = structlog.get_logger(__name__)

SCHEMA_VERSION = "1"
LEFT_OUT = "left-out"
"""Header: what of key and value is not here; `size` says how many bytes they were. They lie where the message came
from."""
_LONGEST_REASON = 2_000
_LONGEST_KEY = 10_000


class SourceRecord(Protocol):
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


PutDeadLetter = Callable[[bytes | None, bytes | None, Mapping[str, bytes]], Awaitable[None]]


class DeadLetters:
    def __init__(self, publish: PutDeadLetter) -> None:
        self._publish = publish
        self.put_by_reader: Counter[str] = Counter()

    async def put(self, record: SourceRecord, why: str, *, reader: str) -> None:
        """Returns when the broker has confirmed. `why` must carry no value of the event."""
        headers = {
            "schema-version": SCHEMA_VERSION,
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "reader": reader,
            "reason": why[:_LONGEST_REASON],
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        key, value = record.key, record.value
        with OUTAGES.reporter(
            "kafka", "see to the broker, and to whether it lets this user write sale-dead-letter"
        ) as waiting:

            def say(state: RetryCallState) -> None:
                error = state.outcome.exception() if state.outcome else None
                waiting.report(f"sale-dead-letter is not confirmed: {type(error).__name__}")
                log.warning(
                    "dead_letter.waiting",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    tries=state.attempt_number,
                    error=type(error).__name__,
                )

            retrying = AsyncRetrying(
                retry=retry_if_not_exception_type(MessageSizeTooLargeError),
                wait=wait_exponential_jitter(multiplier=0.1, max=10, jitter=0.5),
                before_sleep=say,
                reraise=True,
            )
            try:
                await retrying(self._publish, key, value, _encoded(headers))
            except MessageSizeTooLargeError:
                # Brokers take larger messages than this producer sends, headers and all. Its place says where it is.
                headers |= {LEFT_OUT: "value", "size": str(len(value or b"") + len(key or b""))}
                if key is not None and len(key) > _LONGEST_KEY:
                    headers[LEFT_OUT], key = "key, value", None
                # A message that had neither would not be sent.
                await retrying(self._publish, key, None if key is not None else b"", _encoded(headers))
        self.put_by_reader[reader] += 1
        log.error(
            "dead_letter",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reader=reader,
            reason=headers["reason"],
            **({"left_out": headers[LEFT_OUT], "size": headers["size"]} if LEFT_OUT in headers else {}),
        )


def _encoded(headers: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text.encode(errors="replace") for name, text in headers.items()}
