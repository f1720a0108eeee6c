"""The page of a worker that was never started."""

from __future__ import annotations

import faust

from streams.documents import KINDS
from streams.kafka.producer import Outlets
from streams.kafka.topics import change_topics
from streams.monitoring.exposition import Exposition
from streams.monitoring.worker_health import Vitals
from streams.runtime.outages import Waits
from streams.worker import Worker
from tests.contract.stores.databases import settings_for


def exposition() -> Exposition:
    settings = settings_for()
    app = faust.App("never-started", broker="kafka://127.0.0.1:9")
    topics = [app.topic(name, key_type=bytes, value_type=bytes) for name in ("status", "retry", "dead")]
    worker = Worker(settings, KINDS, Outlets(topics[0], topics[1], topics[2]))
    return Exposition(settings, KINDS, worker, Vitals(app, settings, worker, change_topics(settings, KINDS), Waits()))
