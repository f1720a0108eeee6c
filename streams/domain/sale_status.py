"""The message on `sale-status`: the public contract. It is changed only by adding.

`streams.operators.reference.sale_status_contract` writes its JSON Schema and AsyncAPI files.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from streams.domain.outcome import Reason
from streams.domain.reasons import ANSWER_TEXTS, REASON_TEXTS, RULE_TEXTS, TLS_FIELDS, TLS_RULE_TEXTS, Code
from streams.runtime.frozen import frozen

Status = Literal["SYNC_SUCCESS", "SYNC_FAILED", "PENDING_SYNC"]

_BODY_HEADER = "sent-hash"
_ROWS_HEADER = "sent-rows"

_EVENT_IDS = uuid.UUID("5d6f3c1e-2f0b-5a0e-9a55-0d6a9c0f7d11").bytes

Moment = Annotated[
    datetime,
    PlainSerializer(
        lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), str, when_used="json"
    ),
    Field(description="RFC 3339, UTC, milliseconds"),
]


@frozen
class Version:
    """What an accepted attempt sent, for the write-back. It goes with the decision in Kafka headers, ours alone."""

    body: str
    """SHA-256 of the body."""
    rows: str | None = None
    """`streams.stores.row_digests` of the rows that it was made of, where the server has them."""

    def headers(self) -> dict[str, bytes]:
        headers = {_BODY_HEADER: self.body.encode()}
        return headers if self.rows is None else headers | {_ROWS_HEADER: self.rows.encode()}

    @classmethod
    def of(cls, headers: Mapping[str, bytes]) -> Version | None:
        body, rows = headers.get(_BODY_HEADER), headers.get(_ROWS_HEADER)
        return cls(body.decode(), rows.decode() if rows else None) if body else None


class Detail(BaseModel):
    """One broken rule."""

    field: str = Field(
        description="Wire field, lines counted from 1: hoa_don_chi_tiet[2].so_lo. Of the codes certificate "
        "and tls_failed it is certificate or tls"
    )
    rule: str = Field(description="Stable, with its limit if it has one: required, max_length:50")


class Message(BaseModel):
    """Our words, made from the code. The API's own words stand in the database alone: they may name a customer."""

    vi: str
    en: str


class StatusReason(BaseModel):
    code: str = Field(description="Stable, snake_case")
    message: Message
    http_status: int | None = Field(None, description="Of the national API's answer, where there was one")
    details: list[Detail] = Field(default_factory=list)


class SaleStatus(BaseModel):
    """One decision about one document."""

    model_config = ConfigDict(title="SaleStatus")

    schema_version: Literal[1] = 1
    event_id: str = Field(description="The same for the same decision, also when it is told again: drop repeats by it")
    document: str = Field(description="sale; later purchase_receipt, goods_issue")
    source_database: str
    id: int = Field(description="Primary key of the row")
    attempt: int = Field(description="Of two decisions about a document, the one with the higher number is the later")
    local_invoice_id: str
    pharmacy_code: str
    shop_pharmacy_code: str
    status: Status = Field(description="PENDING_SYNC while it waits for another attempt")
    national_invoice_id: str | None
    reason: StatusReason | None
    next_attempt_at: Moment | None = Field(description="While it waits. RFC 3339, UTC, milliseconds")
    captured_at: Moment
    decided_at: Moment

    @property
    def key(self) -> bytes:
        return message_key(self.pharmacy_code, self.local_invoice_id)


def message_key(pharmacy_code: str, document_code: str) -> bytes:
    """Of `sale-status` and `sale-retry`: all that is said of one document stays in order."""
    return f"{pharmacy_code}/{document_code}".encode()


def event_id(document: str, database: str, id_: int, attempt: int, status: Status) -> str:
    """Derived, never random, so that telling again is recognised."""
    # As `uuid.uuid5` derives and writes it, in less time.
    name = f"{document}/{database}/{id_}/{attempt}/{status}".encode()
    h = hashlib.sha1(_EVENT_IDS + name, usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:32]}"


def at_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def as_text(reason: Reason, labels: Mapping[str, tuple[str, str]] | None = None) -> StatusReason:
    """`labels`: wire field -> its name, Vietnamese and English."""
    words, wrong = REASON_TEXTS[reason.code], what_is_wrong(reason, labels)
    return StatusReason(
        code=reason.code.value,
        message=Message(vi=f"{wrong.vi} {words.action_vi}", en=f"{wrong.en} {words.action_en}"),
        http_status=reason.http_status,
        details=[Detail(field=broken.field, rule=broken.rule) for broken in reason.details],
    )


def what_is_wrong(reason: Reason, labels: Mapping[str, tuple[str, str]] | None = None) -> Message:
    """As `as_text`, without the remedy."""
    words = REASON_TEXTS[reason.code]
    labels = TLS_FIELDS | dict(labels or {})
    vi, en = [words.vi], [words.en]
    if reason.code in _NAME_THEIR_ANSWER and reason.http_status is not None:
        answer_vi, answer_en = _answer_in_words(reason.http_status)
        vi.append(f"Trả lời: {answer_vi}.")
        en.append(f"The answer: {answer_en}.")
    for broken in reason.details:
        rule, _, limit = broken.rule.partition(":")
        rule_vi, rule_en = (RULE_TEXTS | TLS_RULE_TEXTS)[rule]
        name_vi, name_en = _field_in_words(broken.field, labels)
        vi.append(f"{name_vi} {rule_vi.format(limit=limit)};")
        en.append(f"{name_en} {rule_en.format(limit=limit)};")
    return Message(vi=" ".join(vi), en=" ".join(en))


_NAME_THEIR_ANSWER = {Code.UNCLEAR_ANSWER, Code.NOT_TAKEN, Code.NEVER_TAKEN}


def _answer_in_words(http_status: int) -> tuple[str, str]:
    vi, en = ANSWER_TEXTS.get(http_status, ("", ""))
    return f"HTTP {http_status}{f', {vi}' if vi else ''}", f"HTTP {http_status}{f', {en}' if en else ''}"


def _field_in_words(path: str, labels: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """``hoa_don_chi_tiet[2].so_lo`` -> ``Dòng 2, số lô (so_lo)``."""
    where, _, field = path.rpartition(".")
    name_vi, name_en = labels.get(field, (field, field))
    if "[" not in where:
        return f"{name_vi} ({field})", f"{name_en} ({field})"
    line = where[where.index("[") + 1 : where.index("]")]
    return f"dòng {line}, {name_vi} ({field})", f"line {line}, {name_en} ({field})"
