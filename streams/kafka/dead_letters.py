"""Publishes to `sale-dead-letter` what cannot be decoded, byte for byte, with its origin and the reason.

Key and value are the original bytes. Headers say where the message came from, so that it can be put back as it was. A
message that is too large for that is published without its value, and a header says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import structlog
from aiokafka.errors import MessageSizeTooLargeError

from streams.runtime.outages import OUTAGES
from streams.runtime.retrying import Backoff, retry

log = structlog.get_logger(__name__)

SCHEMA_VERSION = "1"
LEFT_OUT = "left-out"
"""Header that names what was left out of key and value; the header `size` gives the size of both in bytes. The full
message is still at its origin.
"""
_MAX_REASON_LENGTH = 2_000
_MAX_KEY_LENGTH = 10_000
_ACTION = "check the broker, and whether this user may write to sale-dead-letter"
_BACKOFF = Backoff(0.2, 10)


class SourceRecord(Protocol):
    """What messages of Faust and records of aiokafka have in common."""

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
    """Publishes dead letters, and counts them by reader."""

    def __init__(self, publish: PutDeadLetter) -> None:
        self._publish = publish
        self.put_by_reader: Counter[str] = Counter()

    async def put(self, record: SourceRecord, why: str, *, reader: str) -> None:
        """Publish `record` as a dead letter, trying until the broker has confirmed it. `why` must not quote any value
        of the record. `reader`: the topic or service that could not read it.
        """
        headers = {
            "schema-version": SCHEMA_VERSION,
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "reader": reader,
            "reason": why[:_MAX_REASON_LENGTH],
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        key, value = record.key, record.value
        try:
            await self._put(record, key, value, headers)
        except MessageSizeTooLargeError:
            # Brokers accept larger messages than this producer sends, headers included. The headers still say where it
            # is.
            headers |= {LEFT_OUT: "value", "size": str(len(value or b"") + len(key or b""))}
            if key is not None and len(key) > _MAX_KEY_LENGTH:
                headers[LEFT_OUT], key = "key, value", None
            # A message with neither key nor value would not be sent.
            await self._put(record, key, None if key is not None else b"", headers)
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

    async def _put(
        self, record: SourceRecord, key: bytes | None, value: bytes | None, headers: Mapping[str, str]
    ) -> None:
        """Publish until the broker has confirmed it. Raises `MessageSizeTooLargeError`."""
        encoded = {name: text.encode(errors="replace") for name, text in headers.items()}

        def report(error: Exception, tries: int) -> None:
            outage.report(f"sale-dead-letter is not confirmed: {type(error).__name__}")
            log.warning(
                "dead_letter.waiting",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                tries=tries,
                error=type(error).__name__,
            )

        with OUTAGES.reporter("kafka", _ACTION) as outage:
            await retry(
                lambda: self._publish(key, value, encoded),
                Exception,
                _BACKOFF,
                report,
                retry_if=lambda error: not isinstance(error, MessageSizeTooLargeError),
            )
