"""Decode Debezium change events: what happened to which row, and whether it is a document to send.

Shape: the envelope of Debezium's SQL Server connector, written by JSON converters with or without schemas.
Unknown fields are ignored, so a newer connector does no harm.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, InstanceOf, StringConstraints, ValidationError
from pydantic_core import from_json

from streams.domain.document_status import PENDING, Operation, is_accepted, requested_operation
from streams.domain.undecodable import Undecodable, broken_rules
from streams.runtime.frozen import frozen

_M = TypeVar("_M", bound=BaseModel)
YEAR_10000_MS = 253_402_300_800_000
"""Epoch milliseconds of 10000-01-01: Python's dates end before it."""


class Origin(Enum):
    """Why a document is to be sent, which also says what is known of its past."""

    INSERTED = "inserted"
    REQUESTED_AGAIN = "requested_again"
    """Set back to pending by an operator or the point of sale, or to be withdrawn instead of sent: the national system
    may already store it."""
    DUE = "due"
    """Enqueued by the scheduler."""


class Skip(Enum):
    """Why an event is skipped. The value is the label under which skipped events are counted."""

    TOMBSTONE = "tombstone"
    DELETED = "deleted"
    SNAPSHOT = "snapshot"
    """Rows that were pending before the connector existed are enqueued by the scheduler, fairly over the shops."""
    NOT_PENDING = "not_pending"
    STILL_PENDING = "still_pending"
    """It asks for what it asked for before the change."""
    TRUNCATED = "truncated"
    OTHER_TABLE = "other_table"
    OTHER_DATABASE = "other_database"
    NOT_CARRIED = "not_carried"
    """This worker does not carry the document type. One that does brings the document by its scheduler."""


@frozen
class SendRequest:
    """A request to send or to withdraw one document. Its row says which, at the time of the attempt."""

    document_type: str
    database: str
    id: int
    document_code: str
    pharmacy_code: str
    shop: str
    origin: Origin
    captured_at_ms: int
    """When the change was committed (`source.ts_ms`), UTC milliseconds. For requests of the scheduler see
    `streams.domain.retry_message.RetryMessage.since_ms`."""
    attempt: int | None = None
    """Set by the scheduler: the attempt that it saw. If the document has a newer one, this request is out of date."""


@frozen
class Edited:
    """An accepted document was changed and kept its status. Our write-back is no such change: it sets the status."""

    document_type: str
    database: str
    id: int


class _Row(BaseModel):
    """The columns that every document type captures. The only other one is the document code, whose column name
    depends on the document type."""

    id: Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
    """Bounded to a BIGINT: ids are read in batches, and one out of range would fail the whole statement."""
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
    """`InstanceOf`, so that pydantic does not copy the row: only a few of its twenty-odd columns are read."""


def read_change_event(value: bytes | None, codes: dict[str, tuple[str, str]]) -> SendRequest | Edited | Skip:
    """Decode a change event into a request to send its document, an edit of an accepted one, or the reason to skip it.

    `codes`: table name in lower case -> (document type, column of the document code). Lower case is safe: none
    of our databases has two tables that differ in case only.

    Raises `Undecodable` when the bytes are no change event, or the row to be sent lacks a needed column.
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
    captured = codes.get(envelope.source.table.lower())
    if captured is None:
        return Skip.OTHER_TABLE
    row = _validated(_Row, after, "after.")
    document_type, code_column = captured
    operation = requested_operation(row.status)
    before = (envelope.before or {}).get("status")
    if operation is None:
        is_edit = envelope.op == "u" and is_accepted(before) and is_accepted(row.status)
        return Edited(document_type, envelope.source.db, row.id) if is_edit else Skip.NOT_PENDING
    if envelope.op == "u" and requested_operation(before) is operation:
        return Skip.STILL_PENDING
    document_code = after.get(code_column)
    if not isinstance(document_code, str) or not document_code:
        raise Undecodable(f"after.{code_column}: must be a non-empty string")
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


def inserted_event(
    database: str, table: str, code_column: str, *, id_: int, codes: tuple[str, str, str], found_at_ms: int
) -> tuple[bytes, bytes]:
    """Return key and value of the event that Debezium writes for a new pending row, for rows that a poll found.

    `codes`: those of the document, its facility and its shop. `found_at_ms`: UTC milliseconds of the database's clock.
    """
    document_code, pharmacy_code, shop = codes
    after = {
        **{"id": id_, code_column: document_code},
        **{"pharmacy_code": pharmacy_code, "shop_pharmacy_code": shop, "status": PENDING[Operation.SEND]},
    }
    source = {"connector": "polling", "ts_ms": found_at_ms, "db": database, "schema": "dbo", "table": table}
    event = {"before": None, "after": after, "source": source, "op": "c", "ts_ms": found_at_ms}
    return json.dumps({"id": id_}).encode(), json.dumps(event, ensure_ascii=False).encode()


def captured_at_ms(value: bytes | None) -> int | None:
    """Return when an event's change was committed, UTC milliseconds; None for tombstones and undecodable events."""
    try:
        envelope = _decode(value) if value is not None else None
    except Undecodable:
        return None
    return envelope.source.ts_ms if envelope else None


def _decode(value: bytes) -> _Envelope | None:
    try:
        document = from_json(value)
    except ValueError:
        raise Undecodable("not JSON") from None
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
