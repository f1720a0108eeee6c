"""Watches what nobody else reports when change data capture stands still: a transaction log that cannot be emptied, and
a connector that is RUNNING and silent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from streams.documents.document import DocumentType
from streams.kafka.lag import Measured
from streams.runtime.outages import Outages
from streams.stores.capture_state import LogUse, highest_id, read_log_use
from streams.stores.sales_db import SalesDb, StoreError

log = structlog.get_logger(__name__)

_INTERVAL = 60.0
_LOG_PATIENCE = 600.0
"""Seconds for which the log may wait to be captured: it does so for a moment at many checkpoints."""
_SILENCE_PATIENCE = 300.0
"""Seconds for which rows may be added without any change event: far more than capture takes under load."""
_VALID_FOR = 3 * _INTERVAL
_LOG_ACTION = (
    "start SQL Server Agent and its capture job now: when the log is full, no till can sell (9002); in an emergency "
    "run connectors/sql/90_capture_off.sql"
)
_SILENT_ACTION = (
    "see the capture job and the connector (`doctor`); after a restored database make the connector begin at the "
    "present: connectors/README.md. The scheduler finds the sales meanwhile"
)


class Silence:
    """For how long rows have been added to a table while no change event came."""

    def __init__(self) -> None:
        self._highest: int | None = None
        self._end: int | None = None
        self._since: float | None = None

    def note(self, now: float, highest: int, end: int) -> None:
        """Note the highest id of the table and how many records its topic has had at the moment `now`."""
        if self._end != end:
            self._since = None
        elif self._highest is not None and highest > self._highest and self._since is None:
            self._since = now
        self._highest, self._end = highest, end

    def seconds(self, now: float) -> float:
        return 0.0 if self._since is None else now - self._since


class CaptureWatch:
    """Looks once a minute, in queries of one row each. Every worker looks: the answers are the same from all."""

    def __init__(
        self,
        db: Callable[[], SalesDb | None],
        topics: Callable[[], Mapping[str, DocumentType]],
        measured: Callable[[], Measured],
        outages: Outages,
        *,
        polls: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`topics`: returns the document type of each change topic that is read. `measured`: returns the offsets of the
        topics, nothing while they are unknown. `polls`: the scheduler asks for new documents, so that no change event
        is missed.
        """
        self._db = db
        self._topics = topics
        self._polls = polls
        self._measured = measured
        self._clock = clock
        self._silences: dict[str, Silence] = {}
        """By the name of the document type."""
        self._log_outage = outages.reporter("transaction_log", _LOG_ACTION, holds_up_sales=False)
        self._silent_outage = outages.reporter("capture", _SILENT_ACTION, holds_up_sales=False)
        self._waits_since: float | None = None
        self.log: LogUse | None = None
        """As of the last look; None: unknown, or there is none."""

    def silent_for(self) -> dict[str, float]:
        """Return for each document type the seconds for which rows have been added without a change event."""
        now = self._clock()
        return {name: silence.seconds(now) for name, silence in self._silences.items()}

    async def run(self) -> None:
        """Look until cancelled. A database that does not answer is reported by those that need it."""
        try:
            while True:
                try:
                    await self.look()
                except StoreError as error:
                    self.log = None
                    log.debug("capture.unknown", error=str(error))
                except Exception:
                    log.exception("capture.not_looked_at")
                await asyncio.sleep(_INTERVAL)
        finally:
            self._log_outage.end()
            self._silent_outage.end()

    async def look(self) -> None:
        """Look once, and report the outages that are seen: a transaction log that cannot be emptied, and, unless the
        worker polls, tables that get rows while no change event comes. Raises `StoreError`.
        """
        db = self._db()
        if db is None:
            return
        self.log = await read_log_use(db)
        self._report_log(self.log)
        if self._polls:
            return
        ends = {  # each partition once, although several groups may read it
            (partition.topic, partition.partition): known.end
            for offsets in self._measured().values()
            for partition, known in offsets.items()
        }
        for topic, document_type in self._topics().items():
            silence = self._silences.setdefault(document_type.name, Silence())
            of_topic = [end for (name, _), end in ends.items() if name == topic]
            if of_topic:
                silence.note(self._clock(), await highest_id(db, document_type), sum(of_topic))
        self._report_silence()

    def _report_log(self, use: LogUse | None) -> None:
        if use is None or not use.waits_for_capture:
            self._waits_since = None
            self._log_outage.end()
            return
        now = self._clock()
        self._waits_since = now if self._waits_since is None else self._waits_since
        if use.is_nearly_full or now - self._waits_since >= _LOG_PATIENCE:
            limit = f" of {_mb(use.limit)}" if use.limit else ""
            what = f"changes are not captured, so the transaction log grows: {_mb(use.used)}{limit} MB are used"
            self._log_outage.report(what, valid_for=_VALID_FOR)

    def _report_silence(self) -> None:
        silent = {name: seconds for name, seconds in self.silent_for().items() if seconds >= _SILENCE_PATIENCE}
        if not silent:
            self._silent_outage.end()
            return
        name, seconds = max(silent.items(), key=lambda item: item[1])
        minutes = round(seconds / 60)
        what = f"rows ({name}) have been added for {minutes} minutes, and no change event came: the connector is silent"
        self._silent_outage.report(what, valid_for=_VALID_FOR)


def _mb(size: int) -> int:
    return size // (1024 * 1024)
