"""Checks that the newest rows of the sales database have change events: a connector that is RUNNING may be silent, most
often because the database was restored.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.documents.document import DocumentType
from streams.domain.local_time import to_ms
from streams.kafka.topics import change_topics
from streams.operators.checks import Finding, error, ok
from streams.operators.checks.kafka import NewestChange
from streams.operators.terminal import age
from streams.settings import Settings
from streams.stores.capture_state import newest_row
from streams.stores.sales_db import SalesDb, StoreError

_PATIENCE_S = 300.0
"""Far more than capture takes, and the clocks of a till and of Kafka may differ by some of it."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest row of a table, and the newest change event of its topic."""

    topic: str
    row_id: int
    row_ms: int
    """UTC milliseconds: `created_at`, which the till has written."""
    change: NewestChange


async def probe_silence(
    settings: Settings, document_types: Sequence[DocumentType], changes: Mapping[str, NewestChange]
) -> list[Newest]:
    """Return what can be compared. `changes`: the newest of each topic. A database that does not answer is reported by
    other checks.
    """
    topics = dict(zip(change_topics(settings, document_types), document_types, strict=True))
    db = SalesDb(settings)
    try:
        await db.open()
        return await _compare(db, settings, topics, changes)
    except StoreError:
        return []
    finally:
        await db.close()


async def _compare(
    db: SalesDb, settings: Settings, topics: Mapping[str, DocumentType], changes: Mapping[str, NewestChange]
) -> list[Newest]:
    found = []
    for topic, change in changes.items():
        try:
            row = await newest_row(db, topics[topic])
        except (StoreError, ValueError):  # no such table, no such right, or a moment that is none: reported elsewhere
            continue
        if row is not None:
            found.append(Newest(topic, row.id, to_ms(row.created_at, settings.zone), change))
    return found


def judge_silence(found: Sequence[Newest], now_ms: int | None = None) -> list[Finding]:
    """Judge each topic. `now_ms`: UTC milliseconds, by default the present."""
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    return [_silence(newest, now_ms) for newest in found]


def _silence(newest: Newest, now_ms: int) -> Finding:
    about = f"newest change in {newest.topic}"
    behind_s, row_age_s = (newest.row_ms - newest.change.at_ms) / 1000, (now_ms - newest.row_ms) / 1000
    if behind_s <= _PATIENCE_S or row_age_s <= _PATIENCE_S:
        return ok(about, "is as new as the newest row of the table")
    return error(
        about,
        f"is {age(behind_s)} older than the newest row (id {newest.row_id}): the connector is silent, even if it is "
        "RUNNING",
        "See SQL Server Agent and the capture job; after the database was restored, make the connector begin at the "
        "present (connectors/README.md, When something changes). The scheduler finds the sales meanwhile.",
    )
