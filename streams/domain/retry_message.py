"""A message of `sale-retry`: a document that is due, brought back by the scheduler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from streams.domain.change_event import YEAR_10000_MS, Origin, SendRequest
from streams.domain.undecodable import Undecodable, broken_rules


class RetryMessage(BaseModel):
    """On `sale-retry`. It outlives an upgrade, so it has a version."""

    schema_version: Literal[1] = 1
    document: str
    source_database: str
    id: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    attempt: Annotated[int, Field(ge=0, lt=2**31 - 1)]
    """Within what the columns hold, and the next one too: it is read and claimed together with others."""
    local_invoice_id: str
    pharmacy_code: str
    shop_pharmacy_code: str
    since_ms: Annotated[int, Field(ge=0, lt=YEAR_10000_MS)]


def read_retry(value: bytes | None) -> SendRequest:
    """Raises `Undecodable`."""
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
