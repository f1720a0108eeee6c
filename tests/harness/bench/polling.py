"""What polling for new sales costs the sales database: ``make polling``.

A PostgreSQL with many sales, all decided but for a backlog that waits for another attempt. Each poll reads the whole
backlog in the index, so it is measured for several sizes: time, pages read, and processor time of the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click

from streams.documents.sale import SALE
from streams.local.debian import EXIT_CODE, PackagesMissing
from streams.local.real.postgres import Postgres
from streams.stores import new_documents
from streams.stores.new_documents import NewDocuments
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Postgresql

_POLLS = 200
_BACKLOGS = (0, 100, 1_000, 10_000, 30_000, 100_000)
_FILL = """
INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, created_at,
    updated_at, national_invoice_id, customer_name)
SELECT n, 'HD-' || n, '79-' || n % 200, 'S-' || n % 200, at, 'SYNC_SUCCESS', at, at, 'HD_QG_' || n, 'Nguyễn Thị Ánh'
FROM (SELECT n, now()::timestamp - n * interval '1 second' AS at FROM generate_series(1, ?) n) s;

INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, ever_accepted, attempts_since)
SELECT 'sale', id, 1, 1, md5(id::text) || md5(id::text), 1, 1800000000000 + id FROM dbo.SalesInvoices
"""


@click.command()
@click.option("--sales", type=click.IntRange(min=1000), default=1_000_000, show_default=True, help="In the table.")
def main(sales: int) -> None:
    """Poll a table of many sales, and show what a poll costs."""
    try:
        with tempfile.TemporaryDirectory(prefix="streams-polling-") as folder, Postgres(Path(folder)) as server:
            server.create_sales_database("many")
            asyncio.run(_measure(Postgresql(server, "many"), sales))
    except PackagesMissing as problem:
        click.echo(problem, err=True)
        sys.exit(EXIT_CODE)


async def _measure(database: Postgresql, sales: int) -> None:
    with closing(database.connect()) as owner:
        for statement in _FILL.split(";"):
            owner.execute(statement, *[sales] * statement.count("?"))
    db = SalesDb(database.settings(sales_db_connections=1))
    await db.open()
    click.echo(f"{sales} sales; {_POLLS} polls for each backlog")
    for backlog in (size for size in _BACKLOGS if size <= sales // 2):
        await _wait_for_another_attempt(database, backlog)
        await _show(db, backlog)
    await db.close()


async def _wait_for_another_attempt(database: Postgresql, backlog: int) -> None:
    """The newest sales wait: as after an outage of the national system."""
    with closing(database.connect()) as owner:
        owner.execute(
            "UPDATE dbo.SalesInvoices SET status = 'PENDING_SYNC' WHERE id <= ? AND status <> 'PENDING_SYNC'", backlog
        )
        owner.execute("UPDATE dbo.SaleSync SET next_attempt_at = 4000000000000 WHERE id <= ?", backlog)
        for table in ("SalesInvoices", "SaleSync"):
            owner.execute(f"VACUUM (ANALYZE) dbo.{table}")


async def _show(db: SalesDb, backlog: int) -> None:
    documents = NewDocuments(db, SALE)
    pid = await db.transaction(lambda tx: int(tx.rows("SELECT pg_backend_pid()")[0][0]))
    took: list[float] = []
    cpu_before = _cpu_s(pid)
    for _ in range(_POLLS):
        began = time.monotonic()
        found = await documents.find(500, 0)
        took.append((time.monotonic() - began) * 1000)
        assert not found.unseen
    cpu_ms = (_cpu_s(pid) - cpu_before) / _POLLS * 1000
    sql = new_documents._FIND.format(table=SALE.table, skip_locked="")
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql} OFFSET 0 ROWS FETCH NEXT 500 ROWS ONLY"
    plan = await db.transaction(lambda tx: json.loads(tx.rows(explain, [0, "sale", "sale", 1_800_000_000_000])[0][0]))
    pages = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
    click.echo(
        f"  {backlog:7} waiting: median {statistics.median(took):6.2f} ms, {pages:6} pages, "
        f"{cpu_ms:6.2f} ms of the server's processor; {', '.join(_scans(plan[0]['Plan']))}"
    )


def _scans(node: dict[str, object]) -> list[str]:
    found = (
        [f"{node['Node Type']} {node.get('Index Name') or node['Relation Name']}"] if "Relation Name" in node else []
    )
    children = node.get("Plans", [])
    assert isinstance(children, list)
    return found + [scan for child in children for scan in _scans(child)]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.polling")
