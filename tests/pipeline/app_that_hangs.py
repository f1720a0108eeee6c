"""The real app with a fault that SABOTAGE names and that starts once the app is ready."""

import asyncio
import os
import time
from functools import partial
from typing import Any

from streams.app import build
from streams.documents import DOCUMENT_TYPES
from streams.kafka.consumer_position import is_member
from streams.settings import settings_or_exit

app = build(settings_or_exit(), DOCUMENT_TYPES)
consumer: Any = app.consumer
[vitals] = app.early  # type: ignore[attr-defined]


@app.task  # type: ignore[untyped-decorator]
async def sabotage() -> None:
    worker = vitals._worker
    while not (is_member(app) and consumer.assignment() and worker.journal and worker.journal.consumer):
        await asyncio.sleep(0.1)
    print("sabotage", flush=True)  # noqa: T201
    inner, loop = consumer._thread._ensure_consumer(), consumer._thread.thread_loop
    stop_fetching = partial(loop.call_soon_threadsafe, inner._fetcher._fetch_task.cancel)
    match os.environ["SABOTAGE"]:
        case "the consumer stops silently":
            stop_fetching()
            asyncio.run_coroutine_threadsafe(inner._coordinator.close(), loop)
        case "the loop hangs":
            time.sleep(3600)  # noqa: ASYNC251 - that is it
