"""Builds the metrics page of a worker that was never started."""

from __future__ import annotations

from functools import partial

import faust

from streams.documents import DOCUMENT_TYPES
from streams.kafka.producer import Producers
from streams.kafka.topics import change_topics
from streams.monitoring.capture_watch import CaptureWatch
from streams.monitoring.exposition import Exposition
from streams.monitoring.worker_health import WorkerHealth
from streams.operators.connect.connector_state import read_connector_state
from streams.runtime.outages import Outages
from streams.worker import Worker
from tests.contract.stores.databases import settings_for


def exposition() -> Exposition:
    settings = settings_for()
    app = faust.App("never-started", broker="kafka://127.0.0.1:9")
    topics = [app.topic(name, key_type=bytes, value_type=bytes) for name in ("status", "retry", "dead")]
    outages = Outages()
    worker = Worker(settings, DOCUMENT_TYPES, Producers(topics[0], topics[1], topics[2]))
    changes = change_topics(settings, DOCUMENT_TYPES)
    health = WorkerHealth(app, settings, worker, changes, outages)
    return Exposition(
        worker,
        health,
        partial(read_connector_state, settings.connect_url),
        CaptureWatch(
            lambda: worker.sales_db,
            lambda: dict(zip(changes, DOCUMENT_TYPES, strict=True)),
            lambda: health.measured,
            outages,
            polls=False,
        ),
    )
