"""A message of `sale-status`, value and headers -> a decision: the one place that decides what cannot be read.

Numbers and texts have the bounds of the columns that they go to: beyond them a store refuses a whole batch, or worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from streams.domain.sale_status import SaleStatus, Version
from streams.domain.undecodable import Undecodable, broken_rules
from streams.runtime.frozen import frozen


@frozen
class StatusMessage:
    """A decision as it came from `sale-status`."""

    status: SaleStatus
    version: Version | None = None
    """Of an accepted attempt: the version that the end is for."""

    @property
    def is_final(self) -> bool:
        return self.status.status != "PENDING_SYNC"


_INT = 2**31
_CODE = 50
_NATIONAL_ID = 100
_HASH = 64
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""As far as every store and every zone takes a moment."""


def read_status(value: bytes | None, headers: Mapping[str, bytes]) -> StatusMessage:
    """Raises `Undecodable`."""
    if value is None:
        raise Undecodable("an empty message")
    try:
        status = SaleStatus.model_validate_json(value)
    except ValidationError as error:
        raise Undecodable(broken_rules(error, whole="message")) from None
    if beyond := [*_beyond(status)]:
        raise Undecodable("; ".join(f"{name}: beyond its bounds" for name in beyond))
    try:
        version = Version.of(headers)
    except UnicodeDecodeError:
        raise Undecodable("headers: no UTF-8") from None
    if version and (len(version.body) > _HASH or len(version.rows or "") > _HASH):
        raise Undecodable("headers: too long")
    return StatusMessage(status, version)


def _beyond(status: SaleStatus) -> list[str]:
    reason = status.reason
    numbers = {"id": (status.id, -_INT), "attempt": (status.attempt, 1)}
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
    moments = {
        "next_attempt_at": status.next_attempt_at or _EARLIEST,
        "captured_at": status.captured_at,
        "decided_at": status.decided_at,
    }
    return [
        *(name for name, (number, least) in numbers.items() if not least <= number < _INT),
        *(name for name, (text, longest) in texts.items() if len(text) > longest),
        *(name for name, moment in moments.items() if not _EARLIEST <= _aware(moment) <= _LATEST),
    ]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
