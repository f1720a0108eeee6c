"""Tests that no worker starts where its settings do not fit the mark of the sales database."""

from __future__ import annotations

import pytest

from streams.runtime.process_exit import WRONG_SETTINGS
from tests.pipeline.pipeline import Pipeline
from tests.support.marked_copy import SIMULATOR


def mark(pipeline: Pipeline, api_url: str) -> None:
    pipeline.database.execute("CREATE TABLE SaleSyncCopy (api_url VARCHAR(400) NOT NULL)")
    pipeline.database.execute("INSERT INTO SaleSyncCopy (api_url) VALUES (?)", [api_url])


async def test_a_worker_does_not_start_on_a_copy_with_another_address(pipeline: Pipeline) -> None:
    """Promise 3. Broken by: a worker starts on a marked copy without looking at the mark."""
    mark(pipeline, SIMULATOR)
    pipeline.seller.sell(3)
    worker = pipeline.start_worker(TOPIC_PREFIX="rehearsal")
    await pipeline.until(lambda: not worker.running, "it ends")
    assert worker.exit_code == WRONG_SETTINGS
    [line] = [line for line in worker.log.read_text().splitlines() if "worker.wrong_settings" in line]
    assert f"may only be sent to {SIMULATOR}, and NATIONAL_API_URL is {pipeline.stack.simulator_url}" in line
    assert "DROP TABLE dbo.SaleSyncCopy" in line
    assert (await pipeline.control.summary()).accepted == 0
    assert pipeline.counts() == {"PENDING_SYNC": 3}


async def test_a_worker_of_a_rehearsal_does_not_start_on_production(pipeline: Pipeline) -> None:
    pipeline.seller.sell(3)
    worker = pipeline.start_worker(TOPIC_PREFIX="rehearsal")
    await pipeline.until(lambda: not worker.running, "it ends")
    assert worker.exit_code == WRONG_SETTINGS
    assert "it may be the production database" in worker.log.read_text()
    assert pipeline.counts() == {"PENDING_SYNC": 3}


@pytest.mark.parametrize("prefix", ["", "shop-12"])
async def test_a_worker_does_not_start_on_a_copy_without_a_rehearsals_prefix(pipeline: Pipeline, prefix: str) -> None:
    mark(pipeline, pipeline.stack.simulator_url)
    worker = pipeline.start_worker(TOPIC_PREFIX=prefix)
    await pipeline.until(lambda: not worker.running, "it ends")
    assert worker.exit_code == WRONG_SETTINGS
    assert "it would share topics with production" in worker.log.read_text()
