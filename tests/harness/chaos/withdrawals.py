"""Chooses, by its seed, the documents that an office withdraws, and those that it sends after all."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from streams.documents.document import DocumentType
from streams.domain.document_status import Status
from streams.local.database import Observer

_SHARES: Mapping[Status, tuple[float, Status]] = {
    "PENDING_SYNC": (0.04, "PENDING_CANCEL"),
    "SYNC_SUCCESS": (0.12, "PENDING_CANCEL"),
    "SYNC_FAILED": (0.12, "PENDING_CANCEL"),
    "PENDING_CANCEL": (0.15, "PENDING_SYNC"),
    "CANCELLED": (0.4, "PENDING_SYNC"),
}
"""Status that a document is seen with -> how often something else is wanted then, and what."""


class Withdrawals:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: set[tuple[str, int, Status]] = set()

    def chosen(self, office: Observer, kind: DocumentType, *, except_like: str) -> Iterator[tuple[int, Status]]:
        """Yield id and wanted status; each document is considered once with each status. `except_like`: a pattern of
        codes.
        """
        table, code = kind.table, kind.document_code_column
        rows = office.execute(f"SELECT id, status FROM {table} WHERE {code} NOT LIKE ?", (except_like,)).fetchall()  # noqa: S608
        for id_, status in rows:
            key = (kind.name, id_, status)
            if status not in _SHARES or key in self._seen:
                continue
            self._seen.add(key)
            share, wanted = _SHARES[status]
            if random.Random(f"withdraw {self._seed} {key}").random() < share:
                yield id_, wanted
