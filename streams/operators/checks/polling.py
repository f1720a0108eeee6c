"""Checks of polling for new documents, where no change data capture is needed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from streams.documents.document import DocumentType
from streams.operators.checks import Finding, ok, skipped, warning
from streams.stores.capture_setup import Capture
from streams.stores.new_documents import NewDocuments
from streams.stores.sales_db import SalesDb

_ABOUT = "polling"
_LONG_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Poll:
    """What a poll for new sales would meet."""

    took_s: float
    mark: int | None
    """The cut-over mark; None: no worker has polled yet."""


async def probe_poll(db: SalesDb, document_type: DocumentType) -> Poll:
    """Ask as a worker does. Raises `StoreError`."""
    documents = NewDocuments(db, document_type)
    mark = await documents.known_mark()
    started_at = time.monotonic()
    await documents.find(1, mark or 0)
    return Poll(time.monotonic() - started_at, mark)


def judge_polling(poll: Poll | None, capture: Capture | None) -> Iterator[Finding]:
    """Judge a poll; None: a table is missing or cannot be read. `capture`: what is captured although workers poll."""
    if poll is None:
        yield skipped(_ABOUT, "not examined: a table is missing or cannot be read")
        return
    took = f"asking for new sales takes {poll.took_s * 1000:.0f} ms"
    if poll.took_s > _LONG_POLL_S:
        action = "See the findings about indexes; a backlog of very many pending sales takes longer, too."
        yield warning(_ABOUT, took, action)
    else:
        yield ok(_ABOUT, took)
    if poll.mark is None:
        yield warning(_ABOUT, "no worker has asked yet", "Start a worker with CAPTURE=polling; docs/cut-over.md.")
    else:
        yield ok(_ABOUT, f"sales above id {poll.mark} are new and sent without a look-up; others are looked up first")
    if capture is not None and capture.database:
        what = "is on in this database, although CAPTURE=polling: nothing reads what it captures"
        yield warning("change data capture", what, "If nobody else uses it: connectors/sql/90_capture_off.sql.")
