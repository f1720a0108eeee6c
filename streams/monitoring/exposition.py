"""What a worker's parts know of themselves, read from them when Prometheus asks. What happens is counted in
`streams.pipeline.metrics`."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, get_args

from prometheus_client import GCCollector, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from streams import __version__
from streams.domain.reasons import Code
from streams.monitoring.capture_watch import CaptureWatch
from streams.monitoring.correction_metrics import CorrectionCollector
from streams.monitoring.metric_families import counter, gauge
from streams.monitoring.polled_value import PolledValue
from streams.monitoring.worker_health import WorkerHealth
from streams.runtime.outages import Component, Outages
from streams.stores.backlog import BacklogPart, read_backlog
from streams.worker import Worker

_EVERY = 30.0
_GLANCE = 0.1
_REASONS = frozenset(code.value for code in Code)

WaitingByKind: TypeAlias = Mapping[str, tuple[int, Sequence[BacklogPart]]]
ConnectorState: TypeAlias = tuple[bool, bool | None]
"""Whether Kafka Connect answers, and whether connector and tasks run (None: it does not say)."""


class Exposition:
    """The page `/metrics`: what was counted and what is read, in the form that is asked for."""

    def __init__(
        self,
        worker: Worker,
        health: WorkerHealth,
        ask_connector: Callable[[], Awaitable[ConnectorState | None]],
        capture_watch: CaptureWatch,
    ) -> None:
        """`ask_connector`: see `streams.operators.connect.connector_state`, which is above this room; returns None
        where there is no connector."""
        self._worker = worker
        self._waiting = PolledValue[WaitingByKind]("what waits", self._ask_database, _EVERY)
        self._connector = PolledValue[ConnectorState]("the connector", ask_connector, _EVERY)
        self.registry = registry = worker.metrics.registry
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(WorkerCollector(worker, health))
        registry.register(ExternalCollector(lambda: self._waiting.answer, lambda: self._connector.answer))
        registry.register(CaptureCollector(capture_watch))
        self._corrections = CorrectionCollector(worker)
        registry.register(self._corrections)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The text, and its content type. `accept`: the header of the request."""
        await asyncio.gather(self._waiting.refresh(), self._connector.refresh(), self._corrections.refresh())
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    async def connector(self) -> ConnectorState | None:
        """Return the state of Kafka Connect; None before the first answer. It may be half a minute old, as for the
        metrics, so that nobody who opens the page waits for a slow server."""
        await self._connector.refresh(_GLANCE)
        return self._connector.answer

    async def close(self) -> None:
        await self._waiting.close()
        await self._corrections.close()
        await self._connector.close()

    async def _ask_database(self) -> WaitingByKind | None:
        db = self._worker.sales_db
        if db is None:  # the worker starts, or ends
            return None
        return {document_type.name: await read_backlog(db, document_type) for document_type in self._worker.carried.all}


class WorkerCollector(Collector):
    """The worker's own parts. Every family is there even when it has nothing to say."""

    def __init__(self, worker: Worker, vitals: WorkerHealth) -> None:
        self._worker = worker
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        yield gauge(
            "pharmacy_build_info",
            "1; the versions stand in the labels",
            {(__version__, platform.python_version()): 1},
            ["version", "python"],
        )
        yield gauge("pharmacy_ready", "1 while sales go out, as /readyz says", self._vitals.ready().http_status == 200)
        yield from self._windows()
        yield from self._gate()
        yield from self._events()
        yield from self._scheduler()
        yield from self._vital_signs()

    def _windows(self) -> Iterator[Metric]:
        windows = {("sending",): self._worker.intake.sending, ("writing",): self._worker.intake.writing}
        label = ["window"]
        yield gauge(
            "pharmacy_events_in_flight",
            "Events in work: sending, or writing back",
            {name: window.running for name, window in windows.items()},
            label,
        )
        yield gauge(
            "pharmacy_events_waiting",
            "Events taken in and not started",
            {name: window.waiting for name, window in windows.items()},
            label,
        )
        yield gauge(
            "pharmacy_events_unacknowledged",
            "Events finished behind an unfinished one of their partition; intake stops at MAX_UNACKNOWLEDGED",
            {name: window.finished_unacknowledged for name, window in windows.items()},
            label,
        )
        yield counter(
            "pharmacy_events_finished",
            "Events finished, those that were passed over too",
            {name: window.finished_total for name, window in windows.items()},
            label,
        )
        yield gauge(
            "pharmacy_oldest_event_age_seconds",
            "Since the oldest unfinished event was taken in; 0: there is none",
            {name: window.oldest_unfinished_age for name, window in windows.items()},
            label,
        )

    def _gate(self) -> Iterator[Metric]:
        admission = self._worker.admission
        yield gauge("pharmacy_gate_open", "1: documents are sent; 0: the national API is down", admission.gate.is_open)
        yield gauge(
            "pharmacy_gate_closed_seconds", "For how long the gate has been closed; 0: open", admission.closed_for
        )
        yield counter(
            "pharmacy_gate_closings",
            "How often the gate closed, by the failure that closed it",
            {(code.value,): count for code, count in admission.gate.closings.items()},
            ["reason"],
        )
        yield counter("pharmacy_gate_probes", "Probes sent while the gate was closed", admission.gate.probes_total)

    def _events(self) -> Iterator[Metric]:
        worker = self._worker
        yield counter(
            "pharmacy_events_skipped",
            "Change events that asked for nothing, by why",
            {(why.value,): count for why, count in worker.intake.skipped.items()},
            ["why"],
        )
        yield counter(
            "pharmacy_dead_letters",
            "Events that could not be decoded and were put on sale-dead-letter, by who read them",
            {(reader,): worker.dead_letters.put_by_reader[reader] for reader in worker.readers},
            ["reader"],
        )
        yield gauge(
            "pharmacy_write_back_rows_quarantined",
            "Rows that the sales database refuses and that are tried by themselves",
            worker.quarantined_rows,
        )

    def _scheduler(self) -> Iterator[Metric]:
        schedulers = self._worker.schedulers
        yield counter(
            "pharmacy_scheduler_rounds", "Looks at the lock of the scheduler; they never stop", self._worker.rounds
        )
        yield counter(
            "pharmacy_scheduler_enqueued",
            "Documents put on sale-retry because their time had come",
            {(document_type,): scheduler.enqueued_total for document_type, scheduler in schedulers.items()},
            ["document"],
        )
        yield counter(
            "pharmacy_scheduler_enrolled",
            "Pending documents whose change event had not come within SWEEP_AFTER",
            {(document_type,): scheduler.enrolled_total for document_type, scheduler in schedulers.items()},
            ["document"],
        )

        polls = {(name,): each.polling for name, each in schedulers.items() if each.polling and each.polling.last_at}
        yield gauge(
            "pharmacy_last_poll_timestamp_seconds",
            "When this worker last asked for new documents and got an answer; only with CAPTURE=polling",
            {name: polling.last_at or 0.0 for name, polling in polls.items()},
            ["document"],
        )
        yield gauge(
            "pharmacy_poll_duration_seconds",
            "What the last poll for new documents took in the sales database",
            {name: polling.took_s for name, polling in polls.items()},
            ["document"],
        )
        yield counter(
            "pharmacy_polling_announced",
            "New documents that polls found and announced",
            {name: polling.announced_total for name, polling in polls.items()},
            ["document"],
        )

    def _vital_signs(self) -> Iterator[Metric]:
        vitals = self._vitals
        yield gauge(
            "pharmacy_consumer_lag_records",
            "Records that a group has not committed, as of the watchdog's last look; every worker sees all partitions",
            {
                (group, partition.topic, str(partition.partition)): max(0, known.end - known.committed)
                for group, offsets in vitals.measured.items()
                for partition, known in offsets.items()
            },
            ["group", "topic", "partition"],
        )
        yield gauge(
            "pharmacy_stalled_seconds",
            "For how long something has had work and no excuse and has not moved; the worker ends at WATCHDOG_AFTER",
            {(what,): seconds for what, seconds in vitals.stalled_for.items()},
            ["what"],
        )
        yield gauge(
            "pharmacy_outage_seconds",
            "For how long the worker has been waiting for this part; 0: it does not",
            _waited(vitals.outages),
            ["part"],
        )


class ExternalCollector(Collector):
    """What others know: the sales database, Kafka Connect. Without samples where there is no answer."""

    def __init__(
        self, read_backlog: Callable[[], WaitingByKind | None], connector: Callable[[], ConnectorState | None]
    ) -> None:
        self._waiting = read_backlog
        self._connector = connector

    def collect(self) -> Iterator[Metric]:
        by_reason = {
            (document_type, reason): (now, part)
            for document_type, (now, parts) in (self._waiting() or {}).items()
            for reason, part in _known(parts).items()
        }
        labels = ["document", "reason"]
        yield gauge(
            "pharmacy_documents_waiting",
            "Documents that wait in the sales database, by why; the same from every worker",
            {key: part.documents for key, (_, part) in by_reason.items()},
            labels,
        )
        yield gauge(
            "pharmacy_documents_due",
            "Documents that wait and whose time has come",
            {key: part.due for key, (_, part) in by_reason.items()},
            labels,
        )
        yield gauge(
            "pharmacy_shops_waiting",
            "Shops that have documents waiting",
            {key: part.shops for key, (_, part) in by_reason.items()},
            labels,
        )
        yield gauge(
            "pharmacy_oldest_waiting_seconds",
            "Since the oldest waiting document was committed, or asked for again",
            {key: max(0.0, (now - part.oldest_ms) / 1000) for key, (now, part) in by_reason.items()},
            labels,
        )
        answers, runs = self._connector() or (None, None)
        yield gauge("pharmacy_connect_up", "1: Kafka Connect answers at CONNECT_URL", answers)
        yield gauge("pharmacy_connector_running", "1: the connector and all of its tasks run", runs)


class CaptureCollector(Collector):
    """What the sales database and Kafka say of change data capture, as of the last look."""

    def __init__(self, capture_watch: CaptureWatch) -> None:
        self._watch = capture_watch

    def collect(self) -> Iterator[Metric]:
        use = self._watch.log
        yield gauge(
            "pharmacy_log_not_captured",
            "1: the transaction log cannot be emptied because its changes are not captured; the same from every worker",
            None if use is None else use.waits_for_capture,
        )
        yield gauge("pharmacy_log_used_bytes", "Used in the transaction log", None if use is None else use.used)
        yield gauge(
            "pharmacy_log_limit_bytes",
            "Up to which the transaction log may grow; absent: until the disk is full",
            None if use is None else use.limit,
        )
        yield gauge(
            "pharmacy_change_events_missing_seconds",
            "For how long rows have been added to the table without any change event; 0: events come",
            {(name,): seconds for name, seconds in self._watch.silent_for().items()},
            ["document"],
        )


def _known(parts: Sequence[BacklogPart]) -> dict[str, BacklogPart]:
    """By reason. What another version wrote there has no name here: the label stays bounded."""
    known: dict[str, BacklogPart] = {}
    for part in parts:
        reason = part.reason if part.reason in _REASONS else "none" if part.reason is None else "other"
        other = known.get(reason, BacklogPart(reason, 0, 0, 0, part.oldest_ms))
        known[reason] = BacklogPart(
            reason,
            part.documents + other.documents,
            part.due + other.due,
            part.shops + other.shops,
            min(part.oldest_ms, other.oldest_ms),
        )
    return known


def _waited(waits: Outages) -> dict[tuple[str, ...], float]:
    now = waits.clock()
    waited: dict[tuple[str, ...], float] = {(part,): 0.0 for part in get_args(Component)}
    for wait in waits.current():
        waited[wait.part,] = now - wait.since
    return waited
