"""How the sales of a run stand: what the database says, held against what the national API accepted."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from streams.local.database import Observer

Key: TypeAlias = tuple[str, str]
"""pharmacy_code, local_invoice_id."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by status."""

    success: int
    failed: int
    pending: int

    @property
    def sales(self) -> int:
        return self.success + self.failed + self.pending


def count_sales(database: Observer) -> Counts:
    found = database.execute("SELECT status, COUNT(*) FROM SalesInvoices GROUP BY status").fetchall()
    rows = {status: int(count) for status, count in found}
    return Counts(rows.get("SYNC_SUCCESS", 0), rows.get("SYNC_FAILED", 0), rows.get("PENDING_SYNC", 0))


def why_waiting(database: Observer) -> dict[str, int]:
    """How many pending sales wait for which reason."""
    rows = database.execute(
        "SELECT s.reason_code, COUNT(*) FROM SalesInvoices i "
        "JOIN SaleSync s ON s.document_type = 'sale' AND s.id = i.id "
        "WHERE i.status = 'PENDING_SYNC' AND s.reason_code IS NOT NULL GROUP BY s.reason_code ORDER BY 2 DESC"
    )
    return {reason: int(count) for reason, count in rows.fetchall()}


class AcceptedSales:
    """The simulator's ledger, a JSONL file that grows; each look reads only what is new."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._read_to = 0
        self.national_ids: dict[Key, str] = {}
        """Of what the API holds."""
        self._posts: Counter[Key] = Counter()
        self._documents: Counter[Key] = Counter()

    @property
    def twice(self) -> int:
        """Sales for which the API took more than one POST, or made more than one document."""
        return sum(1 for key in self.national_ids if self._posts[key] > 1 or self._documents[key] > 1)

    def look(self) -> None:
        if not self._ledger.exists():
            return
        with self._ledger.open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]  # the last line may be half written
        self._read_to += len(whole)
        for line in whole.splitlines():
            entry = json.loads(line)
            if entry["kind"] == "sale":
                self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        key = (entry["ma_co_so"], entry["code"])
        if entry["call"] == "withdraw":
            self.national_ids.pop(key, None)
            del self._posts[key], self._documents[key]
            return
        self.national_ids[key] = entry["national_id"]
        self._posts[key] += entry["call"] == "create"
        self._documents[key] += bool(entry["new_document"])


@dataclass(frozen=True, slots=True)
class Tally:
    counts: Counts
    accepted: int
    twice: int
    unknown: int
    """Sales that the API holds, and of which no row says SYNC_SUCCESS with that national id."""

    @property
    def right(self) -> bool:
        """Every sale has its end, and both sides say the same."""
        return not (self.counts.pending or self.twice or self.unknown) and self.accepted == self.counts.success

    def lines(self) -> tuple[str, str]:
        c = self.counts
        return (
            f"{c.sales} sales: {c.success} SYNC_SUCCESS, {c.failed} SYNC_FAILED, {c.pending} PENDING_SYNC",
            f"ledger: {self.accepted} accepted, {self.twice} twice, {self.unknown} unknown to the database",
        )


def take_tally(database: Observer, ledger: Path) -> Tally:
    """Looks at every row and every entry; a ledger that is not there is empty."""
    accepted = AcceptedSales(ledger)
    accepted.look()
    rows = database.execute(
        "SELECT pharmacy_code, local_invoice_id, national_invoice_id FROM SalesInvoices WHERE status = 'SYNC_SUCCESS'"
    )
    known = {(place, code): national_id for place, code, national_id in rows.fetchall()}
    return Tally(
        counts=count_sales(database),
        accepted=len(accepted.national_ids),
        twice=accepted.twice,
        unknown=sum(1 for key, national_id in accepted.national_ids.items() if known.get(key) != national_id),
    )
