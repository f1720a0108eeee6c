"""Follows `sale-status` and keeps how each sale, receipt and issue stands in a SQLite file.

    python sale_status_consumer.py --servers kafka01:9092 --group reporting --store sales.db --documents sale

Needs aiokafka 0.14 and nothing else. Prints a line for each decision that is news. Kill it when you like: what it has
kept it does not keep twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
from contextlib import closing, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer

SCHEMA_VERSION = 1

TABLE = """
CREATE TABLE IF NOT EXISTS sale_status (
    document TEXT, source_database TEXT, id INTEGER,
    attempt INTEGER NOT NULL, event_id TEXT NOT NULL,
    status TEXT NOT NULL, national_invoice_id TEXT, reason_code TEXT,
    PRIMARY KEY (document, source_database, id)
)
"""

# A repeat has the attempt that stands there already, a decision that comes late has a lower one: both change nothing.
KEEP = """
INSERT INTO sale_status
VALUES (:document, :source_database, :id, :attempt, :event_id, :status, :national_invoice_id, :reason_code)
ON CONFLICT (document, source_database, id) DO UPDATE SET
    attempt = excluded.attempt, event_id = excluded.event_id, status = excluded.status,
    national_invoice_id = excluded.national_invoice_id, reason_code = excluded.reason_code
WHERE excluded.attempt > sale_status.attempt
"""


def keep(store: sqlite3.Connection, decision: dict[str, Any]) -> bool:
    """Whether it is news. What else has to be done for a document belongs into the same transaction."""
    reason = decision["reason"] or {}
    with store:
        return store.execute(KEEP, {**decision, "reason_code": reason.get("code")}).rowcount == 1


def read(value: bytes) -> dict[str, Any]:
    """Fields that are not known here are passed over: the contract grows by adding."""
    decision: dict[str, Any] = json.loads(value)
    if decision["schema_version"] != SCHEMA_VERSION:
        raise SystemExit(f"schema_version {decision['schema_version']}: this program reads {SCHEMA_VERSION}; renew it")
    return decision


async def follow(servers: str, group: str, store: sqlite3.Connection, documents: set[str]) -> None:
    """`documents`: the document types to keep; the topic has others, and may have more."""
    consumer = AIOKafkaConsumer(
        "sale-status",
        bootstrap_servers=servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for decision in (read(record.value) for record in records):
                    if decision["document"] in documents and keep(store, decision):
                        code = (decision["reason"] or {}).get("code")
                        what = decision["national_invoice_id"] or code
                        print(decision["local_invoice_id"], decision["attempt"], decision["status"], what, flush=True)
                await consumer.commit()  # only when they are kept: killed before, it reads them again
    finally:
        await consumer.stop()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", required=True, help="host:port, several with commas")
    options.add_argument("--group", required=True, help="a consumer group of your own")
    options.add_argument("--store", required=True, help="SQLite file; made where it is missing")
    options.add_argument("--documents", default="sale,purchase_receipt,goods_issue", help="which, with commas")
    given = options.parse_args()
    with closing(sqlite3.connect(given.store)) as database:
        database.execute(TABLE)
        with suppress(KeyboardInterrupt):
            asyncio.run(follow(given.servers, given.group, database, set(given.documents.split(","))))
