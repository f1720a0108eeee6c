"""How the documents of a run stand: what the database says, held against what the national API accepted."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from streams.documents import DOCUMENT_TYPES, SALE
from streams.documents.document import DocumentType
from streams.local.database import Observer

_STATUSES = ("SYNC_SUCCESS", "SYNC_FAILED", "PENDING_SYNC", "CANCELLED", "CANCEL_FAILED", "PENDING_CANCEL")
"""In the order of the fields of `Counts`."""

Key: TypeAlias = tuple[str, str]
"""pharmacy_code, and the document's own code."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by status."""

    success: int = 0
    failed: int = 0
    pending: int = 0
    cancelled: int = 0
    cancel_failed: int = 0
    pending_cancel: int = 0

    @property
    def total(self) -> int:
        return sum(astuple(self))

    @property
    def waiting(self) -> int:
        """Documents that have no end yet."""
        return self.pending + self.pending_cancel

    @property
    def stored(self) -> int:
        """Documents that the national system stores, according to the rows."""
        return self.success + self.cancel_failed

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def count_documents(database: Observer, document_type: DocumentType) -> Counts:
    found = database.execute(f"SELECT status, COUNT(*) FROM {document_type.table} GROUP BY status").fetchall()  # noqa: S608
    rows = {status: int(count) for status, count in found}
    return Counts(*(rows.get(status, 0) for status in _STATUSES))


def count_all(database: Observer) -> Counts:
    """Of all document types together."""
    return sum((count_documents(database, document_type) for document_type in DOCUMENT_TYPES), Counts())


def why_waiting(database: Observer) -> dict[str, int]:
    """How many pending documents wait for which reason."""
    found: Counter[str] = Counter()
    for document_type in DOCUMENT_TYPES:
        rows = database.execute(
            f"SELECT s.reason_code, COUNT(*) FROM {document_type.table} i "  # noqa: S608
            "JOIN SaleSync s ON s.document_type = ? AND s.id = i.id "
            "WHERE i.status IN ('PENDING_SYNC', 'PENDING_CANCEL') AND s.reason_code IS NOT NULL GROUP BY s.reason_code",
            (document_type.name,),
        )
        found.update({reason: int(count) for reason, count in rows.fetchall()})
    return dict(found.most_common())


class Accepted:
    """What the API holds of one document type."""

    def __init__(self) -> None:
        self.national_ids: dict[Key, str] = {}
        self.withdrawn = 0
        """Withdrawals that it accepted."""
        self.replaced = 0
        """Documents that it accepted in the place of an earlier version."""
        self._posts: Counter[Key] = Counter()
        self._documents: Counter[Key] = Counter()

    @property
    def twice(self) -> int:
        """Documents for which the API took more than one POST, or made more than one document."""
        return sum(1 for key in self.national_ids if self._posts[key] > 1 or self._documents[key] > 1)

    def take(self, entry: Mapping[str, Any]) -> None:
        key = (entry["ma_co_so"], entry["code"])
        if entry["call"] == "withdraw":
            self.national_ids.pop(key, None)
            self.withdrawn += 1
            del self._posts[key], self._documents[key]
            return
        self.national_ids[key] = entry["national_id"]
        self.replaced += entry["call"] == "replace"
        self._posts[key] += entry["call"] == "create"
        self._documents[key] += bool(entry["new_document"])


class AcceptedDocuments:
    """The simulator's ledger, a JSONL file that grows; each look reads only what is new."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._read_to = 0
        self.by_type: defaultdict[str, Accepted] = defaultdict(Accepted)
        """By the name of the document type."""

    @property
    def total(self) -> int:
        return sum(len(accepted.national_ids) for accepted in self.by_type.values())

    @property
    def twice(self) -> int:
        return sum(accepted.twice for accepted in self.by_type.values())

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
            self.by_type[entry["kind"]].take(entry)


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one document type."""

    document_type: DocumentType
    counts: Counts
    accepted: int
    """Documents that the API holds."""
    withdrawn: int
    replaced: int
    twice: int
    unknown: int
    """Documents that the API holds, and of which no row says so with that national id."""

    @property
    def right(self) -> bool:
        """Every document has its end, and both sides say the same."""
        return not (self.counts.waiting or self.twice or self.unknown) and self.accepted == self.counts.stored

    def lines(self) -> tuple[str, str]:
        c, many = self.counts, self.document_type.nouns.many
        ledger = "ledger" if self.document_type is SALE else f"ledger of {many}"
        rare = {"CANCEL_FAILED": c.cancel_failed, "PENDING_CANCEL": c.pending_cancel}
        return (
            f"{c.total} {many}: {c.success} SYNC_SUCCESS, {c.failed} SYNC_FAILED, {c.pending} PENDING_SYNC, "
            f"{c.cancelled} CANCELLED{''.join(f', {count} {status}' for status, count in rare.items() if count)}",
            f"{ledger}: {self.accepted} accepted, {self.withdrawn} withdrawn, {self.replaced} replaced, "
            f"{self.twice} twice, {self.unknown} unknown to the database",
        )


def take_tallies(database: Observer, ledger: Path) -> list[Tally]:
    """Looks at every row and every entry, for each document type; a ledger that is not there is empty."""
    accepted = AcceptedDocuments(ledger)
    accepted.look()
    return [_tally(database, document_type, accepted.by_type[document_type.name]) for document_type in DOCUMENT_TYPES]


def _tally(database: Observer, document_type: DocumentType, accepted: Accepted) -> Tally:
    columns = f"pharmacy_code, {document_type.document_code_column}, {document_type.national_id_column}"
    stored = f"SELECT {columns} FROM {document_type.table} WHERE status IN ('SYNC_SUCCESS', 'CANCEL_FAILED')"  # noqa: S608
    rows = database.execute(stored)
    known = {(place, code): national_id for place, code, national_id in rows.fetchall()}
    return Tally(
        document_type,
        counts=count_documents(database, document_type),
        accepted=len(accepted.national_ids),
        withdrawn=accepted.withdrawn,
        replaced=accepted.replaced,
        twice=accepted.twice,
        unknown=sum(1 for key, national_id in accepted.national_ids.items() if known.get(key) != national_id),
    )
