"""Tests that a background service that ends for any reason is logged and started again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiokafka.errors import GroupAuthorizationFailedError
from pymongo.errors import InvalidOperation
from structlog.testing import capture_logs

from streams.worker import _supervise
from tests.unit.virtual_time import in_virtual_time

ENDINGS = [
    GroupAuthorizationFailedError("journal"),
    InvalidOperation("closed"),
    KeyError("Nguyễn"),
    RecursionError(),
    None,
]
"""None: it returns, as if all were done."""


@in_virtual_time
async def test_a_service_that_ends_for_any_reason_runs_again() -> None:
    """Promise 4. Broken by: a service that has failed once never runs again."""
    starts: list[float] = []

    async def run() -> None:
        starts.append(asyncio.get_running_loop().time())
        if len(starts) > len(ENDINGS):
            await asyncio.get_running_loop().create_future()
        if (error := ENDINGS[len(starts) - 1]) is not None:
            raise error

    with capture_logs() as logs, suppress(TimeoutError):
        await asyncio.wait_for(_supervise("journal", run), 100)
    assert starts == [0, 5, 10, 15, 20, 25]
    assert [(line["event"], line["service"]) for line in logs] == [("service.failed", "journal")] * 4
