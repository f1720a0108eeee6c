"""Decode messages of `sale-status`, value and headers. This is the one place that decides what is undecodable.

Numbers and texts are checked against the bounds of the columns that they are written to: a value out of bounds would
make the store refuse a whole batch, or worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from streams.domain.document_status import Operation, is_pending, operation_of
from streams.domain.sale_status import SaleStatus, Version
from streams.domain.undecodable import Undecodable, broken_rules
from streams.runtime.frozen import frozen


@frozen
class StatusMessage:
    """A decision as it was read from `sale-status`."""

    status: SaleStatus
    version: Version | None = None
    """The version that an accepted attempt sent; None for other decisions."""

    @property
    def operation(self) -> Operation:
        """What the decision is about."""
        return operation_of(self.status.status)

    @property
    def is_final(self) -> bool:
        return not is_pending(self.status.status)


_INT = 2**31
_BIGINT = 2**63
_CODE = 50
_NATIONAL_ID = 100
_HASH = 64
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""The range of timestamps that every store accepts in every time zone."""


def read_status(value: bytes | None, headers: Mapping[str, bytes]) -> StatusMessage:
    """Decode a message of `sale-status`. Raises `Undecodable`."""
    if value is None:
        raise Undecodable("empty message")
    try:
        status = SaleStatus.model_validate_json(value)
    except ValidationError as error:
        raise Undecodable(broken_rules(error, whole="message")) from None
    if fields := _out_of_bounds(status):
        raise Undecodable("; ".join(f"{name}: out of bounds" for name in fields))
    try:
        version = Version.of(headers)
    except UnicodeDecodeError:
        raise Undecodable("headers: not UTF-8") from None
    if version and (len(version.body) > _HASH or len(version.rows or "") > _HASH):
        raise Undecodable("headers: too long")
    return StatusMessage(status, version)


def _out_of_bounds(status: SaleStatus) -> list[str]:
    """Return the names of the fields whose values no column can store."""
    reason = status.reason
    numbers = {"attempt": (status.attempt, 1)}
    if reason is not None and reason.http_status is not None:
        numbers["reason.http_status"] = (reason.http_status, 0)
    texts = {
        "document": (status.document, 20),
        "local_invoice_id": (status.local_invoice_id, _CODE),
        "pharmacy_code": (status.pharmacy_code, _CODE),
        "shop_pharmacy_code": (status.shop_pharmacy_code, _CODE),
        "national_invoice_id": (status.national_invoice_id or "", _NATIONAL_ID),
        "reason.code": (reason.code if reason else "", _CODE),
    }
    timestamps = {
        "next_attempt_at": status.next_attempt_at or _EARLIEST,
        "captured_at": status.captured_at,
        "decided_at": status.decided_at,
    }
    return [
        *(["id"] if not -_BIGINT <= status.id < _BIGINT else []),
        *(name for name, (number, minimum) in numbers.items() if not minimum <= number < _INT),
        *(name for name, (text, max_length) in texts.items() if len(text) > max_length),
        *(name for name, timestamp in timestamps.items() if not _EARLIEST <= _aware(timestamp) <= _LATEST),
    ]


def _aware(timestamp: datetime) -> datetime:
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
