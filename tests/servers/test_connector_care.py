"""Tests that a task that a real Kafka Connect has given up runs again by itself when its cause is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.operators.connect.api import ConnectApi
from streams.operators.connect.connector_restarts import ConnectorRestarts
from streams.runtime.outages import Outages
from tests.servers.deployment import FAILS_AT_THE_FIRST_LINE, Deployment


@pytest.fixture
def deployment(connect_url: str, kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(connect_url, kafka_bootstrap, tmp_path)
    yield deployment
    deployment.delete()


class Mine:
    async def acquire_or_renew(self) -> bool:
        return True

    async def close(self) -> None:
        pass


async def test_a_failed_task_runs_again_when_its_cause_is_gone(deployment: Deployment) -> None:
    failed = await asyncio.to_thread(deployment.deploy, **FAILS_AT_THE_FIRST_LINE)
    assert f"{deployment.name}: task 0: FAILED on " in failed.err
    outages = Outages()
    care = ConnectorRestarts(
        lambda: ConnectApi(SecretStr(deployment.connect_url), rebalance_timeout=0),
        Mine(),
        outages,
        restart_after=0,
        name=deployment.name,
    )
    await care.check()
    assert [wait.part for wait in outages.current()] == ["connector"]
    deployment.lines.write_text("")  # nothing there any more that could fail
    await care.check()
    async with asyncio.timeout(60), ConnectApi(SecretStr(deployment.connect_url), rebalance_timeout=10) as api:
        while not ((status := await api.status(deployment.name)) and status.runs):
            await asyncio.sleep(0.2)
    await care.check()
    assert outages.current() == []
