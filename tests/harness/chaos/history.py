"""Shows all that is known of a sale, in the order of time, for the person who has to find the mistake."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streams.documents.document import DocumentType
from streams.local.simulator.control import Control
from tests.harness.chaos.evidence import CHANGES
from tests.harness.chaos.judge import Row
from tests.harness.chaos.world import ChaosStack


async def history(
    stack: ChaosStack,
    control: Control,
    kind: DocumentType,
    row: Row,
    topics: Mapping[str, Sequence[Any]],
    logs: Iterable[Path],
) -> list[str]:
    """`topics`: their records."""
    moments: list[tuple[datetime, str]] = []
    for topic in (CHANGES[kind.name], "sale-retry", "sale-status"):
        for record in topics[topic]:
            if _is_of(record.value, kind, row.id):
                at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                moments.append((at, f"{topic}[{record.partition}]@{record.offset}: {_short(topic, record.value)}"))
    for seen in await control.requests(row.local_invoice_id):
        at = datetime.fromtimestamp(seen.at, UTC)
        moments.append((at, f"API: {seen.call} -> {seen.status or 'no answer'}{' (a fault)' if seen.fault else ''}"))
    for entry in await control.ledger(row.local_invoice_id):
        at = datetime.fromtimestamp(entry.at, UTC)
        moments.append((at, f"ledger: {entry.call} {entry.national_id} body {entry.body_sha256[:8]}"))
    moments += _said(logs, row)
    lines = [f"{at:%H:%M:%S.%f}"[:-3] + f"  {words}" for at, words in sorted(moments, key=lambda moment: moment[0])]
    return [*lines, *_as_it_stands(stack, kind, row)]


def _is_of(value: bytes | None, kind: DocumentType, id_: int) -> bool:
    try:
        message = json.loads(value or b"")
    except (ValueError, RecursionError):
        return False
    if not isinstance(message, dict) or message.get("document", kind.name) != kind.name:
        return False
    image = message.get("after") or message.get("before") or message
    return isinstance(image, dict) and image.get("id") == id_


def _short(topic: str, value: bytes) -> str:
    message = json.loads(value)
    if topic in CHANGES.values():
        before, after = ((message.get(image) or {}).get("status") for image in ("before", "after"))
        return f"{message['op']} {before} -> {after}, committed at {message['source']['ts_ms']}"
    if topic == "sale-retry":
        return f"attempt {message['attempt']}, since {message['since_ms']}"
    reason = (message["reason"] or {}).get("code")
    return f"attempt {message['attempt']} {message['status']} {message['national_invoice_id']} {reason}"


def _said(logs: Iterable[Path], row: Row) -> Iterator[tuple[datetime, str]]:
    for log in logs:
        for line in log.read_text(errors="replace").splitlines():
            if row.local_invoice_id in line:
                when, _, rest = line.partition(" ")
                try:
                    at = datetime.fromisoformat(when)
                except ValueError:
                    continue
                yield at, f"{log.stem}: {' '.join(rest.split())}"


def _as_it_stands(stack: ChaosStack, kind: DocumentType, row: Row) -> list[str]:
    with closing(stack.database.connect()) as database:
        columns = (
            "attempt, owner, lease_until, sent_hash, ever_accepted, published_attempt, next_attempt_at, "
            "attempts_since, "
            "tries, reason_code, refused_attempt, is_withdrawal"
        )
        found = database.execute(
            f"SELECT {columns} FROM SaleSync WHERE document_type = ? AND id = ?",  # noqa: S608
            (kind.name, row.id),
        ).fetchone()
    state = dict(zip(columns.split(", "), found, strict=True)) if found else None
    return [f"row: {row.status} {row.national_id}", f"SaleSync: {state}"]
