"""The part of the worker that the page can see."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from streams.documents.document import DocumentType
from streams.monitoring.exposition import ConnectorState, Exposition
from streams.monitoring.health import Health
from streams.monitoring.worker_health import WorkerHealth
from streams.operators.desk.desk import Desk
from streams.pipeline.outage_gate import Admission
from streams.settings import Settings
from streams.stores.journal import Journal
from streams.worker import Worker

PARTS = ("gate", "sales_database", "kafka", "redis", "journal", "write_back", "due")
"""The servers and other causes of an outage, as `/readyz` names them; the connector is queried separately."""


@dataclass(frozen=True, slots=True)
class LastPoll:
    ago_s: float
    took_s: float


_POLLS_NO_MORE = 60.0
"""Seconds since the last poll after which another worker is the one that polls."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    desk: Callable[[DocumentType], Desk | None]
    """Returns the desk of a document type; None: the worker is starting or stopping."""
    health: Callable[[], Health]
    admission: Admission
    connector: Callable[[], Awaitable[ConnectorState | None]]
    has_connector: bool
    """Whether there is a connector; the local stack has a simulated feed instead."""
    capture_delay: Callable[[DocumentType], float | None]
    """Returns the seconds from the newest document's commit until its capture; None: not known yet."""
    close: Callable[[], None]
    carries: Callable[[DocumentType], bool] = lambda _: True
    """Whether the worker carries a document type; it knows once it has seen its database."""
    polled: Callable[[DocumentType], LastPoll | None] | None = None
    """Returns the last poll for new documents; None: this worker does not poll at present. Absent with change data
    capture."""


def worker_view_of(
    settings: Settings,
    worker: Worker,
    health: WorkerHealth,
    exposition: Exposition,
    make_journal: Callable[[Settings], Journal],
) -> WorkerView:
    """Return the view of `worker`. The journal is opened by the first query, in the running event loop."""
    desks: dict[str, Desk] = {}
    journals: list[Journal] = []

    def desk(document_type: DocumentType) -> Desk | None:
        if worker.sales_db is None:
            return None
        if not journals:  # Motor needs the running event loop
            journals.append(make_journal(settings))
        if document_type.name not in desks:
            desks[document_type.name] = Desk(settings, worker.sales_db, document_type, journals[0])
        return desks[document_type.name]

    def polled(document_type: DocumentType) -> LastPoll | None:
        scheduler = worker.schedulers.get(document_type.name)
        polling = scheduler.polling if scheduler else None
        if polling is None or polling.last_at is None:
            return None
        ago_s = max(0.0, time.time() - polling.last_at)
        if worker.admission.gate.is_open and ago_s > _POLLS_NO_MORE:
            return None
        return LastPoll(ago_s, polling.took_s)

    def close() -> None:
        for journal in journals:
            journal.close()

    return WorkerView(
        desk,
        health.ready,
        worker.admission,
        exposition.connector,
        has_connector=settings.has_connector,
        capture_delay=lambda document_type: worker.metrics.capture_delay.get(document_type.name),
        close=close,
        carries=lambda document_type: document_type in worker.carried.all,
        polled=polled if settings.polls else None,
    )
