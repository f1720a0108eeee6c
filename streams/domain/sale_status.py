"""The message on `sale-status`, the public contract: it is changed only by adding fields.

`streams.operators.reference.sale_status_contract` generates its JSON Schema and AsyncAPI files.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from streams.domain.document_status import Status
from streams.domain.nouns import Nouns
from streams.domain.outcome import Reason
from streams.domain.reasons import ANSWER_TEXTS, REMARK_TEXTS, RULE_TEXTS, TLS_FIELDS, TLS_RULE_TEXTS, Code
from streams.domain.withdrawal_reasons import reason_text
from streams.runtime.frozen import frozen

_BODY_HEADER = "sent-hash"
_ROWS_HEADER = "sent-rows"

_EVENT_IDS = uuid.UUID("5d6f3c1e-2f0b-5a0e-9a55-0d6a9c0f7d11")

Moment = Annotated[
    datetime,
    PlainSerializer(
        lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), str, when_used="json"
    ),
    Field(description="RFC 3339, UTC, milliseconds"),
]


@frozen
class Version:
    """The version of a document that an accepted attempt sent.

    Write-back needs it. It travels in Kafka headers of the decision, which are not part of the public contract.
    """

    body: str
    """SHA-256 of the body."""
    rows: str | None = None
    """Digest of the rows that the body was made of, see `streams.stores.row_digests`; None without digests."""

    def headers(self) -> dict[str, bytes]:
        headers = {_BODY_HEADER: self.body.encode()}
        return headers if self.rows is None else headers | {_ROWS_HEADER: self.rows.encode()}

    @classmethod
    def of(cls, headers: Mapping[str, bytes]) -> Version | None:
        body, rows = headers.get(_BODY_HEADER), headers.get(_ROWS_HEADER)
        return cls(body.decode(), rows.decode() if rows else None) if body else None


class Detail(BaseModel):
    """One broken rule, or a remark about a field."""

    field: str = Field(
        description="Wire field, lines counted from 1: hoa_don_chi_tiet[2].so_lo. With the codes certificate "
        "and tls_failed: certificate or tls"
    )
    rule: str = Field(description="Stable, with its limit if it has one: required, max_length:50")


class Message(BaseModel):
    """Our text, made from the code. The API's own text may name a customer, so it is stored in the database only."""

    vi: str
    en: str


class StatusReason(BaseModel):
    code: str = Field(description="Stable, snake_case")
    message: Message
    http_status: int | None = Field(None, description="Of the national API's answer, if there was one")
    details: list[Detail] = Field(default_factory=list)


class SaleStatus(BaseModel):
    """One decision about one document."""

    model_config = ConfigDict(title="SaleStatus")

    schema_version: Literal[1] = 1
    event_id: str = Field(
        description="The same whenever the same decision is published again: use it to drop duplicates"
    )
    document: str = Field(
        description="Document type: sale, purchase_receipt or goods_issue. Codes are unique within a document type only"
    )
    source_database: str
    id: int = Field(description="Primary key of the row")
    attempt: int = Field(description="Of two decisions about a document, the one with the higher number is the later")
    local_invoice_id: str = Field(description="The pharmacy's own code of the document")
    pharmacy_code: str
    shop_pharmacy_code: str
    status: Status = Field(
        description="PENDING_SYNC while it waits for another attempt at sending; PENDING_CANCEL, at withdrawing"
    )
    national_invoice_id: str | None = Field(description="The national system's id of the document")
    reason: StatusReason | None
    next_attempt_at: Moment | None = Field(description="While it waits. RFC 3339, UTC, milliseconds")
    captured_at: Moment
    decided_at: Moment

    @property
    def key(self) -> bytes:
        return message_key(self.pharmacy_code, self.local_invoice_id)


def message_key(pharmacy_code: str, document_code: str) -> bytes:
    """Return the key of `sale-status` and `sale-retry`; it keeps all messages about one document in order."""
    return f"{pharmacy_code}/{document_code}".encode()


def event_id(document: str, database: str, id_: int, attempt: int, status: Status) -> str:
    """Derive the id of a decision. It is never random, so consumers recognise a decision that is published again."""
    return str(uuid.uuid5(_EVENT_IDS, f"{document}/{database}/{id_}/{attempt}/{status}"))


def utc_from_ms(ms: int) -> datetime:
    """Convert epoch milliseconds to an aware datetime in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def status_reason(
    reason: Reason,
    labels: Mapping[str, tuple[str, str]] | None = None,
    nouns: Nouns | None = None,
    *,
    withdrawal: bool = False,
) -> StatusReason:
    """Return the reason as it is published, with the problem and what to do about it in both languages.

    `labels`: wire field -> its name for people, Vietnamese and English.
    `nouns`: what the document is called, where it is no sale. `withdrawal`: whether the document is being withdrawn.
    """
    text, problem = reason_text(reason.code, withdrawal=withdrawal), problem_text(reason, labels, withdrawal=withdrawal)
    vi, en = f"{problem.vi} {text.action_vi}", f"{problem.en} {text.action_en}"
    return StatusReason(
        code=reason.code.value,
        message=Message(vi=nouns.in_vietnamese(vi), en=nouns.in_english(en)) if nouns else Message(vi=vi, en=en),
        http_status=reason.http_status,
        details=[Detail(field=broken.field, rule=broken.rule) for broken in reason.details],
    )


def problem_text(
    reason: Reason, labels: Mapping[str, tuple[str, str]] | None = None, *, withdrawal: bool = False
) -> Message:
    """Return what is wrong, in both languages, without what to do about it.

    `labels`: wire field -> its name for people, Vietnamese and English. `withdrawal`: whether the document is being
    withdrawn.
    """
    text = reason_text(reason.code, withdrawal=withdrawal)
    labels = TLS_FIELDS | dict(labels or {})
    vi, en = [text.vi], [text.en]
    if reason.code in CODES_THAT_QUOTE_THE_STATUS and reason.http_status is not None:
        answer = answer_text(reason.http_status)
        vi.append(answer.vi)
        en.append(answer.en)
    for broken in reason.details:
        _, _, field = broken.field.rpartition(".")
        name, rule = field_name(broken.field, labels), rule_text(broken.rule)
        vi.append(f"{name.vi} ({field}) {rule.vi};")
        en.append(f"{name.en} ({field}) {rule.en};")
    return Message(vi=" ".join(vi), en=" ".join(en))


CODES_THAT_QUOTE_THE_STATUS = frozenset({Code.UNCLEAR_ANSWER, Code.NOT_TAKEN, Code.NEVER_TAKEN})


def answer_text(http_status: int) -> Message:
    """Return the sentence that quotes the HTTP status of an answer, in both languages."""
    vi, en = ANSWER_TEXTS.get(http_status, ("", ""))
    return Message(
        vi=f"Trả lời: HTTP {http_status}{f', {vi}' if vi else ''}.",
        en=f"The answer: HTTP {http_status}{f', {en}' if en else ''}.",
    )


def rule_text(rule: str) -> Message:
    """Return what is wrong with a field that breaks this rule, to follow the field's name."""
    name, _, limit = rule.partition(":")
    vi, en = (RULE_TEXTS | REMARK_TEXTS | TLS_RULE_TEXTS)[name]
    return Message(vi=vi.format(limit=limit), en=en.format(limit=limit))


def field_name(path: str, labels: Mapping[str, tuple[str, str]]) -> Message:
    """Return a field's name for people: ``hoa_don_chi_tiet[2].so_lo`` -> ``dòng 2, số lô`` and its English."""
    where, _, field = path.rpartition(".")
    vi, en = labels.get(field, (field, field))
    if "[" not in where:
        return Message(vi=vi, en=en)
    line = where[where.index("[") + 1 : where.index("]")]
    return Message(vi=f"dòng {line}, {vi}", en=f"line {line}, {en}")
