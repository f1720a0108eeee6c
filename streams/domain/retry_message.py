"""Messages of the topic `sale-retry`: documents that are due, enqueued by the scheduler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from streams.domain.change_event import YEAR_10000_MS, Origin, SendRequest
from streams.domain.undecodable import Undecodable, broken_rules


class RetryMessage(BaseModel):
    """One message of `sale-retry`. Messages outlive an upgrade of the workers, so they carry a schema version."""

    schema_version: Literal[1] = 1
    document: str
    source_database: str
    id: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    attempt: Annotated[int, Field(ge=0, lt=2**31 - 1)]
    """Bounded, as `id` is, to what the columns can store, the next attempt included: documents are read and claimed in
    batches, and one out of range would fail the whole statement."""
    local_invoice_id: str
    pharmacy_code: str
    shop_pharmacy_code: str
    since_ms: Annotated[int, Field(ge=0, lt=YEAR_10000_MS)]
    """When the document was captured or first seen pending, UTC milliseconds."""


def read_retry(value: bytes | None) -> SendRequest:
    """Decode a message of `sale-retry`. Raises `Undecodable`."""
    try:
        message = RetryMessage.model_validate_json(value or b"")
    except ValidationError as error:
        raise Undecodable(broken_rules(error, whole="message")) from None
    return SendRequest(
        document_type=message.document,
        database=message.source_database,
        id=message.id,
        document_code=message.local_invoice_id,
        pharmacy_code=message.pharmacy_code,
        shop=message.shop_pharmacy_code,
        origin=Origin.DUE,
        captured_at_ms=message.since_ms,
        attempt=message.attempt,
    )
