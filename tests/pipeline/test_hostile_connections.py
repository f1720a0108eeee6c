"""H3, files: what is held open towards the page's port is none of the sales' business."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import suppress

import pytest
from aiohttp import ClientError, ClientSession

from streams.local.processes import free_port
from tests.pipeline.pipeline import QUICK, Pipeline

_HELD = 1150
_FILES = 700
"""Fewer than are held, and as many as a worker with its connections needs."""


@pytest.fixture(autouse=True)
def _files_for_those_who_hold() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * _HELD:
        pytest.skip("too few files for a test that opens as many")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def is_alive(port: int) -> bool:
    with suppress(ClientError):
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/livez") as answer:
            return answer.status == 200
    return False


async def test_h3_1150_connections_that_send_nothing_do_not_touch_the_sales(pipeline: Pipeline) -> None:
    port = free_port()
    worker = pipeline.stack.start_worker("worker", QUICK, web_port=port)
    pipeline.workers.append(worker)
    pipeline.seller.sell(1)
    await pipeline.until_decided()
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (_FILES, _FILES))
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_HELD)]
    try:
        sales = pipeline.seller.sell(60)
        await pipeline.until(lambda: is_alive(port), "the worker says that it lives")
        await pipeline.until(lambda: pipeline.counts() == {"SYNC_SUCCESS": len(sales) + 1}, "all are sent")
    finally:
        for _, writer in held:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for _, writer in held), return_exceptions=True)
    log = worker.log.read_text()
    assert "gate.closed" not in log
    assert "Too many open files" not in log
    assert worker.exit_code is None
