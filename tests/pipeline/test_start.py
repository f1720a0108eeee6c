"""Servers that are away at start are waited for, and said; what can go on without one goes on."""

from __future__ import annotations

from streams.local.processes import free_port
from tests.pipeline.pipeline import Pipeline


async def test_a_broker_that_is_away_is_waited_for(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    await pipeline.until(lambda: worker.log.read_text().count("kafka.waiting") >= 2, "it says what it waits for")
    assert "correct KAFKA_BOOTSTRAP_SERVERS" in worker.log.read_text()
    assert worker.running
    worker.terminate(20)
    assert worker.exit_code is not None
    assert worker.exit_code >= 0, "it ended by itself"


async def test_sales_go_out_without_redis_and_mongo(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker(
        REDIS_URL=f"redis://127.0.0.1:{free_port()}", MONGO_URL=f"mongodb://127.0.0.1:{free_port()}"
    )
    pipeline.seller.sell(20)
    await pipeline.until_decided()
    assert pipeline.counts() == {"SYNC_SUCCESS": 20}
    await pipeline.assert_both_sides_agree()
    await pipeline.until(lambda: "journal.waiting" in worker.log.read_text(), "what is missing is said")


async def test_a_database_that_is_away_is_waited_for(pipeline: Pipeline) -> None:
    aside = pipeline.stack.folder / "later.db"
    worker = pipeline.start_worker(SALES_DB_ATTACH=str(aside / "sales.db"))
    await pipeline.until(lambda: "sales_database.waiting" in worker.log.read_text(), "it says what it waits for")
    assert worker.running
    aside.mkdir()
    (aside / "sales.db").symlink_to(pipeline.stack.environment["SALES_DB_ATTACH"])
    pipeline.seller.sell(5)
    await pipeline.until_decided()
