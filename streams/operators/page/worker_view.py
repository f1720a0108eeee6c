"""What the page sees of its worker."""

from __future__ import annotations

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

PARTS = ("gate", "sales_database", "kafka", "redis", "journal", "write_back")
"""Servers and what else may have to be waited for, as `/readyz` names them; the connector is asked elsewhere."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    desk: Callable[[DocumentType], Desk | None]
    """None: the worker starts, or ends."""
    health: Callable[[], Health]
    admission: Admission
    connector: Callable[[], Awaitable[ConnectorState | None]]
    has_connector: bool
    """False: on the local stack a feed stands in for it."""
    capture_delay: Callable[[DocumentType], float | None]
    """Seconds."""
    close: Callable[[], None]


def worker_view_of(
    settings: Settings,
    worker: Worker,
    vitals: WorkerHealth,
    exposition: Exposition,
    make_journal: Callable[[Settings], Journal],
) -> WorkerView:
    desks: dict[str, Desk] = {}
    journals: list[Journal] = []

    def desk(document_type: DocumentType) -> Desk | None:
        if worker.sales_db is None:
            return None
        if not journals:  # once the loop runs
            journals.append(make_journal(settings))
        if document_type.name not in desks:
            desks[document_type.name] = Desk(settings, worker.sales_db, document_type, journals[0])
        return desks[document_type.name]

    def close() -> None:
        for journal in journals:
            journal.close()

    return WorkerView(
        desk,
        vitals.ready,
        worker.admission,
        exposition.connector,
        has_connector=settings.has_connector,
        capture_delay=lambda document_type: worker.metrics.capture_delay.get(document_type.name),
        close=close,
    )
