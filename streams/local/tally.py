"""How a demo stands: what the database says of its sales, held against what the national API accepted."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tally:
    success: int
    failed: int
    pending: int
    accepted: int
    """Codes that the API holds."""
    twice: int
    """Codes for which it made more than one document, or took more than one POST."""
    unknown: int
    """Codes that it holds, of which no row says SYNC_SUCCESS with that national id."""

    @property
    def sales(self) -> int:
        return self.success + self.failed + self.pending

    @property
    def right(self) -> bool:
        """Every sale has its end, and both sides say the same."""
        return not (self.pending or self.twice or self.unknown) and self.accepted == self.success

    def lines(self) -> tuple[str, str]:
        return (
            f"{self.sales} sales: {self.success} SYNC_SUCCESS, {self.failed} SYNC_FAILED, {self.pending} PENDING_SYNC",
            f"ledger: {self.accepted} accepted, {self.twice} twice, {self.unknown} unknown to the database",
        )


def take_tally(database: sqlite3.Connection, ledger: Path) -> Tally:
    """`ledger`: the simulator's JSONL file, which need not exist yet. Sales only.

    The ledger is read before the rows: what is accepted in between is not taken for unknown.
    """
    held, posts, documents = _read_ledger(ledger)
    rows = database.execute(
        "SELECT pharmacy_code, local_invoice_id, status, national_invoice_id FROM SalesInvoices"
    ).fetchall()
    ends = Counter(status for _, _, status, _ in rows)
    known = {(place, code): national_id for place, code, status, national_id in rows if status == "SYNC_SUCCESS"}
    return Tally(
        success=ends["SYNC_SUCCESS"],
        failed=ends["SYNC_FAILED"],
        pending=ends["PENDING_SYNC"],
        accepted=len(held),
        twice=sum(1 for key in held if posts[key] > 1 or documents[key] > 1),
        unknown=sum(1 for key, national_id in held.items() if known.get(key) != national_id),
    )


Key = tuple[str, str]


def _read_ledger(ledger: Path) -> tuple[dict[Key, str], Counter[Key], Counter[Key]]:
    """By pharmacy and code: the national id that is held, POSTs accepted, documents made."""
    held: dict[Key, str] = {}
    posts: Counter[Key] = Counter()
    documents: Counter[Key] = Counter()
    text = ledger.read_text(encoding="utf-8") if ledger.exists() else ""
    for line in text[: text.rfind("\n") + 1].splitlines():  # the last line may be half written
        entry = json.loads(line)
        key = (entry["ma_co_so"], entry["code"])
        if entry["kind"] != "sale":
            continue
        if entry["call"] == "withdraw":
            for each in (held, posts, documents):
                each.pop(key, None)
            continue
        held[key] = entry["national_id"]
        posts[key] += entry["call"] == "create"
        documents[key] += bool(entry["new_document"])
    return held, posts, documents
