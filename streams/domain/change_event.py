"""Debezium's change event -> what happened to which row, and whether it is a document to send.

Shape: the envelope of Debezium's SQL Server connector through JSON converters, with or without schemas.
Fields that are not known are passed over, so that a newer connector does no harm.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, InstanceOf, StringConstraints, ValidationError
from pydantic_core import from_json

from streams.domain.undecodable import Undecodable, broken_rules
from streams.runtime.frozen import frozen

PENDING = "PENDING_SYNC"

_M = TypeVar("_M", bound=BaseModel)
YEAR_10000_MS = 253_402_300_800_000
"""Where dates end."""


class Origin(Enum):
    """Why a document is to be sent: it says what is known of its past."""

    INSERTED = "inserted"
    REQUESTED_AGAIN = "requested_again"
    """Turned (back) to pending by an operator or the till: it may be held."""
    DUE = "due"
    """Brought by the scheduler."""


class Skip(Enum):
    """Why an event is passed over; counted under this name."""

    TOMBSTONE = "tombstone"
    DELETED = "deleted"
    SNAPSHOT = "snapshot"
    """What was pending before the connector existed is brought by the scheduler, fairly."""
    NOT_PENDING = "not_pending"
    STILL_PENDING = "still_pending"
    TRUNCATED = "truncated"
    OTHER_TABLE = "other_table"
    OTHER_DATABASE = "other_database"


@frozen
class SendRequest:
    """A document is to be sent."""

    document_type: str
    database: str
    id: int
    document_code: str
    pharmacy_code: str
    shop: str
    origin: Origin
    captured_at_ms: int
    """When it was committed (`source.ts_ms`); for what the scheduler brings: see `streams.pipeline.scheduler`."""
    attempt: int | None = None
    """Brought by the scheduler: the attempt that it saw. Anything newer has overtaken it."""


class _Row(BaseModel):
    """Beside these columns the document's own code alone leaves the database; its column has another name in each
    kind."""

    id: Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
    """Within what a database can compare: it is read together with others, whom it must not disturb."""
    pharmacy_code: Annotated[str, StringConstraints(min_length=1)]
    shop_pharmacy_code: Annotated[str, StringConstraints(min_length=1)]
    status: str


class _Source(BaseModel):
    db: str
    table: str
    ts_ms: Annotated[int, Field(strict=True, ge=0, lt=YEAR_10000_MS)]


class _Envelope(BaseModel):
    op: Literal["c", "r", "u", "d", "t"]
    source: _Source
    before: InstanceOf[dict[str, Any]] | None = None
    after: InstanceOf[dict[str, Any]] | None = None
    """Not copied: of some twenty columns a few are looked at."""


def read_change_event(value: bytes | None, codes: dict[str, tuple[str, str]]) -> SendRequest | Skip:
    """What an event asks for. `codes`: table -> (kind, column of the document's own code).

    Tables are written there in lower case: no database of ours tells two apart by it.

    Raises `Undecodable`.
    """
    if value is None:
        return Skip.TOMBSTONE
    envelope = _decode(value)
    if envelope is None:
        return Skip.TOMBSTONE
    after = envelope.after or {}
    match envelope.op:
        case "d":
            return Skip.DELETED
        case "t":
            return Skip.TRUNCATED
        case "r":
            return Skip.SNAPSHOT
    known = codes.get(envelope.source.table.lower())
    if known is None:
        return Skip.OTHER_TABLE
    row = _validated(_Row, after, "after.")
    if row.status != PENDING:
        return Skip.NOT_PENDING
    if envelope.op == "u" and (envelope.before or {}).get("status") == PENDING:
        return Skip.STILL_PENDING
    document_type, code_column = known
    document_code = after.get(code_column)
    if not isinstance(document_code, str) or not document_code:
        raise Undecodable(f"after.{code_column}: a text is needed")
    return SendRequest(
        document_type=document_type,
        database=envelope.source.db,
        id=row.id,
        document_code=document_code,
        pharmacy_code=row.pharmacy_code,
        shop=row.shop_pharmacy_code,
        origin=Origin.INSERTED if envelope.op == "c" else Origin.REQUESTED_AGAIN,
        captured_at_ms=envelope.source.ts_ms,
    )


def captured_at_ms(value: bytes | None) -> int | None:
    """When an event's change was committed; None where it cannot be told."""
    try:
        envelope = _decode(value) if value is not None else None
    except Undecodable:
        return None
    return envelope.source.ts_ms if envelope else None


def _decode(value: bytes) -> _Envelope | None:
    try:
        document = from_json(value)
    except ValueError:
        raise Undecodable("no JSON") from None
    if isinstance(document, dict) and "payload" in document and "schema" in document:
        document = document["payload"]
    if document is None:
        return None
    envelope = _validated(_Envelope, document)
    if envelope.op in "cru" and envelope.after is None:
        raise Undecodable(f"envelope: op {envelope.op} needs an after image")
    return envelope


def _validated(model: type[_M], document: Any, where: str = "") -> _M:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise Undecodable(broken_rules(error, whole="envelope", where=where)) from None
