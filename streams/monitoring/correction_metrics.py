"""The metrics of documents that were changed after they were accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from prometheus_client import Metric
from prometheus_client.registry import Collector

from streams.monitoring.metric_families import counter, gauge
from streams.monitoring.polled_value import PolledValue
from streams.stores.corrections import count_changed
from streams.worker import Worker

_EVERY = 30.0


class CorrectionCollector(Collector):
    """Without samples with CORRECTIONS=off."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._changed = PolledValue[Mapping[str, int]]("what was changed after it was sent", self._count, _EVERY)

    async def refresh(self) -> None:
        """Count again what is changed, if the last count is old."""
        await self._changed.refresh()

    async def close(self) -> None:
        await self._changed.close()

    async def _count(self) -> Mapping[str, int] | None:
        db, worker = self._worker.sales_db, self._worker
        if db is None:  # the worker starts, or ends
            return None
        looked_for = [each for each in worker.carried.all if each.name in worker.corrections]
        return {each.name: await db.transaction(partial(count_changed, document_type=each)) for each in looked_for}

    def collect(self) -> Iterator[Metric]:
        changed, sweeps = self._changed.answer or {}, self._worker.corrections
        yield gauge(
            "pharmacy_documents_changed",
            "Accepted documents that were changed since and not sent again; the same from every worker",
            {(name,): count for name, count in changed.items()},
            labels=["document"],
        )
        yield counter(
            "pharmacy_corrections_checked",
            "Accepted documents that were compared with what was sent; one worker at a time does it",
            {(name,): sweep.checked_total for name, sweep in sweeps.items()},
            labels=["document"],
        )
        yield counter(
            "pharmacy_corrections_rounds",
            "How often all documents of CORRECTION_DAYS were compared",
            {(name,): sweep.rounds_total for name, sweep in sweeps.items()},
            labels=["document"],
        )
        yield counter(
            "pharmacy_corrections_out_of_reach",
            "Documents that were not compared because others kept them locked, or they could not be read",
            {(name,): sweep.out_of_reach_total for name, sweep in sweeps.items()},
            labels=["document"],
        )
        yield counter(
            "pharmacy_corrections_requested",
            "Changed documents that CORRECTIONS=send requested again",
            {(name,): sweep.requested_total for name, sweep in sweeps.items()},
            labels=["document"],
        )
