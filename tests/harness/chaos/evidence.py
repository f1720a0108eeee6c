"""Reads what the judge needs from every store and topic, directly, once everything has come to rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo import MongoClient

from streams.documents import DOCUMENT_TYPES, SALE
from streams.documents.document import BrokenRules, DocumentType
from streams.domain.sale_status import SaleStatus
from streams.local.feed import CapturedSchema
from streams.local.simulator.control import Control
from streams.local.simulator.ledger import Standing
from streams.local.stack import CHANGE_TOPIC
from streams.settings import Settings
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows
from tests.harness.chaos.judge import Row
from tests.harness.chaos.world import ChaosStack

GROUP = "pharmacy-sale-streams"
CHANGES = {kind.name: CapturedSchema.of_topic(CHANGE_TOPIC).topic(kind.table) for kind in DOCUMENT_TYPES}
"""Document type -> its change topic."""
READ = {
    **dict.fromkeys(CHANGES.values(), (GROUP,)),
    "sale-retry": (GROUP,),
    "sale-status": (GROUP, f"{GROUP}-journal"),
}
"""Topics, and the groups that have to work through them."""
_AT_ONCE = 100


def partitions(stack: ChaosStack, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, n) for n in range(int(stack.environment["TOPIC_PARTITIONS"]))]


async def records(stack: ChaosStack, topic: str) -> list[Any]:
    """All of a topic so far, in the order of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        parts = partitions(stack, topic)
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        found: list[Any] = []
        while [part for part in parts if await consumer.position(part) < ends[part]]:
            for some in (await consumer.getmany(timeout_ms=200)).values():
                found += some
        return found
    finally:
        await consumer.stop()


async def unacknowledged(stack: ChaosStack) -> dict[str, int]:
    """Return, by topic and group, the events that the group has not committed."""
    behind: dict[str, int] = {}
    for group in sorted({group for groups in READ.values() for group in groups}):
        consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka.address, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            for topic in [topic for topic, groups in READ.items() if group in groups]:
                parts = partitions(stack, topic)
                ends = await consumer.end_offsets(parts)
                left = [ends[part] - (await consumer.committed(part) or 0) for part in parts]
                behind[f"{topic} ({group})"] = sum(left)
        finally:
            await consumer.stop()
    return behind


def uncaptured(of_topic: Sequence[Any], rows: Mapping[int, Row]) -> list[int]:
    """Return documents whose last change event has another status than their row; `of_topic` are the change topic's
    records.
    """
    last: dict[int, str] = {}
    for record in of_topic:
        if (record.key or b"").startswith(b"junk-") or record.value is None:
            continue
        if after := json.loads(record.value)["after"]:
            last[after["id"]] = after["status"]
    return [id_ for id_, row in rows.items() if last.get(id_) != row.status]


def published(of_topic: Sequence[Any]) -> list[SaleStatus]:
    """Junk left out."""
    return [
        SaleStatus.model_validate_json(record.value)
        for record in of_topic
        if not (record.key or b"").startswith(b"junk-")
    ]


def rows(stack: ChaosStack, kind: DocumentType = SALE) -> dict[int, Row]:
    with closing(stack.database.connect()) as database:
        found = database.execute(
            f"SELECT id, {kind.document_code_column}, pharmacy_code, status, {kind.national_id_column}, "  # noqa: S608
            f"sync_response_message FROM {kind.table}"
        ).fetchall()
    return {row[0]: Row(*row) for row in found}


async def stored(control: Control, document_type: DocumentType) -> Mapping[tuple[str, str], Standing]:
    standing = await control.standing()
    return {(each.ma_co_so, each.code): each for each in standing if each.kind == document_type.name}


def journal(stack: ChaosStack, collection: str) -> list[dict[str, Any]]:
    with MongoClient[dict[str, Any]](stack.environment["MONGO_URL"]) as client:
        return list(client[stack.environment["MONGO_DATABASE"]][collection].find())


async def bodies(stack: ChaosStack, kind: DocumentType, ids: Sequence[int]) -> dict[int, str | None]:
    """Return SHA-256 of the body that each row makes now; None where it makes none."""
    settings = Settings.model_validate({name.lower(): value for name, value in stack.environment.items()})
    db = SalesDb(settings)
    await db.open()
    try:
        today = datetime.fromtimestamp(await db.now_ms() / 1000, UTC).astimezone(settings.zone).date()
        found: dict[int, str | None] = {}
        for first in range(0, len(ids), _AT_ONCE):
            part = ids[first : first + _AT_ONCE]
            for id_, document in zip(part, await SourceRows(db).read(kind, part), strict=True):
                if document is None:
                    continue
                try:
                    found[id_] = kind.transform(document.header, document.lines, today).hash
                except BrokenRules:
                    found[id_] = None
        return found
    finally:
        await db.close()


def letters(of_topic: Sequence[Any]) -> list[tuple[str, str]]:
    """Return key and reader of each dead letter."""
    return [
        ((record.key or b"").decode(errors="replace"), dict(record.headers)["reader"].decode()) for record in of_topic
    ]


def leaks(stack: ChaosStack, texts: Mapping[str, bytes], tokens: set[str]) -> list[str]:
    """Name the secrets and personal data of the sales database in `texts`; never the texts themselves."""
    with closing(stack.database.connect()) as database:
        accounts = database.execute("SELECT DISTINCT password FROM AccountShop").fetchall()
        people = database.execute("SELECT DISTINCT customer_name, seller_name FROM SalesInvoices").fetchall()
        drugs = database.execute("SELECT DISTINCT drug_name FROM SalesInvoiceDetails").fetchall()
    private = {
        "a password of a shop": {row[0] for row in accounts},
        "a password of a server": {stack.postgres.password(role) for role in ("worker", "mongo")},
        "a person's name": {name for row in people for name in row if name},
        "a drug": {row[0] for row in drugs},
        "a token": {"bearer", "Bearer", *tokens},
    }
    return [
        f"{what} in {where}"
        for where, text in texts.items()
        for what, words in private.items()
        if any(word.encode() in text for word in words)
    ]
