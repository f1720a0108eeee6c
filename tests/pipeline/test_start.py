"""Tests that a worker waits at its start for servers that are away and reports them, or goes on without those it
can spare.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from streams.local.processes import free_port
from streams.runtime.process_exit import WRONG_SETTINGS
from tests.pipeline.pipeline import Pipeline


async def test_a_worker_waits_at_start_for_a_broker_that_is_away(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    await pipeline.until(lambda: worker.log.read_text().count("kafka.waiting") >= 2, "it says what it waits for")
    assert "correct KAFKA_BOOTSTRAP_SERVERS" in worker.log.read_text()
    assert worker.running
    worker.terminate(20)
    assert worker.exit_code is not None
    assert worker.exit_code >= 0, "it ended by itself"


async def test_sales_are_sent_without_redis_and_mongodb(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker(
        REDIS_URL=f"redis://127.0.0.1:{free_port()}", MONGO_URL=f"mongodb://127.0.0.1:{free_port()}"
    )
    pipeline.seller.sell(20)
    await pipeline.until_decided()
    assert pipeline.counts() == {"SYNC_SUCCESS": 20}
    await pipeline.assert_both_sides_agree()
    await pipeline.until(lambda: "journal.waiting" in worker.log.read_text(), "what is missing is said")


async def test_a_worker_waits_at_start_for_a_database_that_is_away(pipeline: Pipeline) -> None:
    moved_away = pipeline.stack.folder / "later.db"
    worker = pipeline.start_worker(SALES_DB_ATTACH=str(moved_away / "sales.db"))
    await pipeline.until(lambda: "sales_database.waiting" in worker.log.read_text(), "it says what it waits for")
    assert worker.running
    moved_away.mkdir()
    (moved_away / "sales.db").symlink_to(pipeline.stack.environment["SALES_DB_ATTACH"])
    pipeline.seller.sell(5)
    await pipeline.until_decided()


async def test_a_data_source_that_only_the_driver_manager_knows_to_be_missing_ends_the_worker_with_code_2(
    pipeline: Pipeline,
) -> None:
    """A service manager that starts it again would never get further (RestartPreventExitStatus=2)."""
    worker = pipeline.start_worker(SALES_DB_DSN="DSN=nowhere")
    await pipeline.until(lambda: not worker.running, "it ends")
    assert worker.exit_code == WRONG_SETTINGS, worker.tail()
    assert "worker.wrong_settings" in worker.output()
    assert "SALES_DB_DSN must name an installed ODBC driver" in worker.output()


async def test_a_database_with_a_column_that_no_sale_could_be_read_from_ends_the_start(pipeline: Pipeline) -> None:
    """Started again it would end the same way, so the exit code is that of a wrong setting."""
    with closing(sqlite3.connect(pipeline.stack.environment["SALES_DB_ATTACH"], isolation_level=None)) as owner:
        owner.execute("PRAGMA writable_schema = ON")
        owner.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'sale_date                DATETIME', 'sale_date INT') "
            "WHERE name = 'SalesInvoices'"
        )
    worker = pipeline.start_worker()
    await pipeline.until(lambda: not worker.running, "it has ended")
    assert worker.exit_code == WRONG_SETTINGS, worker.tail()
    said = worker.output()
    assert "columns.unusable" in said
    assert "dbo.SalesInvoices.sale_date is INT: a day must be DATE" in said
