"""Tests, over days of virtual time, how workers restart a connector that has failed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import pytest
from structlog.testing import capture_logs

from streams.operators.connect.connector_restarts import CHECK_INTERVAL, ConnectorRestarts
from streams.runtime.outages import Outage, Outages
from tests.unit.played_connect import FAILED, GONE, RUNNING, Played, error, shown
from tests.unit.virtual_time import in_virtual_time, running_loop

STATUS = "GET /connectors/sales/status"
RESTART = "POST /connectors/sales/restart"
HOUR = 3600.0


class Lock:
    def __init__(self, *, mine: bool = True) -> None:
        self.mine = mine
        self.closed = False

    async def acquire_or_renew(self) -> bool:
        return self.mine

    async def close(self) -> None:
        self.closed = True


class Worker:
    """Watches the connector as one worker does."""

    def __init__(self, connect: Played, lock: Lock | None = None) -> None:
        loop = running_loop()
        self.restarts: list[float] = []
        self.lock = lock or Lock()
        self.outages = Outages(loop.time)
        self._connect = connect
        self._care = ConnectorRestarts(
            lambda: connect.api(rebalance_timeout=0),
            self.lock,
            self.outages,
            restart_after=300,
            name="sales",
            clock=loop.time,
        )

    async def for_(self, seconds: float) -> list[str]:
        """Return the events that it logs within that time."""
        with capture_logs() as lines, suppress(TimeoutError):
            await asyncio.wait_for(self._care.run(), seconds)
        return [line["event"] for line in lines]

    @property
    def says(self) -> list[Outage]:
        return self.outages.current()


def played(*statuses: httpx.Response) -> Played:
    connect = Played()
    connect.answers[STATUS] = list(statuses)
    connect.answers[RESTART] = [httpx.Response(202, json={})]
    return connect


def restarts(connect: Played) -> int:
    return connect.calls.count(RESTART)


@in_virtual_time
async def test_a_failed_task_is_reported_and_restarted_after_five_minutes() -> None:
    """Promise 1. Broken by: a connector's task that has failed is not restarted."""
    connect = played(RUNNING, *[FAILED] * 6, RUNNING)
    worker = Worker(connect)
    task = asyncio.create_task(worker.for_(HOUR))
    await asyncio.sleep(2.5 * CHECK_INTERVAL)
    [wait] = worker.says
    assert (wait.part, wait.holds_up_sales) == ("connector", False)
    assert "FAILED" in wait.what
    assert restarts(connect) == 0
    await asyncio.sleep(4 * CHECK_INTERVAL)
    assert restarts(connect) == 1
    assert await task == ["connector.failed", "connector.restarted", "connector.runs_again"]
    assert worker.says == []
    assert worker.lock.closed


@in_virtual_time
async def test_a_task_that_keeps_failing_is_restarted_less_and_less_often() -> None:
    """Promise 5. Broken by: a connector's task is restarted without end, until the database locks its account."""
    connect = played(FAILED)
    worker = Worker(connect)
    await worker.for_(HOUR)
    assert restarts(connect) == 3, "after 5, 15 and 35 minutes"
    await worker.for_(24 * HOUR)
    assert 45 <= restarts(connect) - 3 <= 50, "then every half hour: a refused log-in locks no account"


@in_virtual_time
async def test_a_task_that_fails_on_and_off_is_restarted_at_most_every_five_minutes() -> None:
    """Promise 5. Broken by: a connector's task is restarted at the first look that finds it FAILED."""
    connect = played(*[FAILED, RUNNING] * 720)
    await Worker(connect).for_(24 * HOUR)
    assert restarts(connect) == 0, "it was never FAILED for five minutes"
    connect = played(*([FAILED] * 6 + [RUNNING]) * 100)
    await Worker(connect).for_(11 * HOUR)
    assert restarts(connect) <= 11 * 12


@in_virtual_time
async def test_only_the_worker_that_has_the_lock_restarts_a_failed_task() -> None:
    """Promise 5. Broken by: every worker restarts what has failed."""
    connect = played(FAILED)
    worker = Worker(connect, Lock(mine=False))
    task = asyncio.create_task(worker.for_(HOUR))
    await asyncio.sleep(HOUR / 2)
    assert [wait.part for wait in worker.says] == ["connector"], "said by each"
    assert await task == ["connector.failed"]
    assert restarts(connect) == 0


@pytest.mark.parametrize(
    "status",
    [
        shown("PAUSED", "PAUSED"),
        shown("STOPPED"),
        shown("UNASSIGNED", "UNASSIGNED"),
        shown("RUNNING", "RESTARTING"),
        RUNNING,
        GONE,
    ],
    ids=["paused", "stopped", "unassigned", "restarting", "running", "gone"],
)
@in_virtual_time
async def test_a_connector_that_has_not_failed_is_left_alone(status: httpx.Response) -> None:
    """Promise 5. Broken by: what somebody has paused is taken for FAILED."""
    connect = played(status)
    worker = Worker(connect)
    assert await worker.for_(24 * HOUR) == []
    assert set(connect.calls) == {STATUS}
    assert worker.says == []


@in_virtual_time
async def test_restarts_continue_after_kafka_connect_was_away_or_refused_one() -> None:
    """Promise 1. Broken by: a restart that Kafka Connect refuses is the last one."""
    connect = played(*[error(500, "no")] * 30, FAILED)
    connect.answers[RESTART] = [error(500, "timed out"), httpx.Response(202, json={})]
    assert await Worker(connect).for_(2 * HOUR) == [
        *["connector.unknown"] * 30,
        "connector.failed",
        "connector.not_restarted",
        *["connector.restarted"] * 3,
    ]


@in_virtual_time
async def test_a_restart_covers_only_failed_tasks() -> None:
    """Promise 5. Broken by: tasks that run are restarted too."""
    requested: list[str] = []
    connect = played(FAILED)

    async def answer(request: httpx.Request) -> httpx.Response:
        requested.append(str(request.url))
        return httpx.Response(202, json={})

    transport = httpx.MockTransport(answer)
    async with connect.api() as api:
        api._client._transport = transport
        await api.restart_failed("sales")
    assert requested == ["http://connect:8083/connectors/sales/restart?includeTasks=true&onlyFailed=true"]
