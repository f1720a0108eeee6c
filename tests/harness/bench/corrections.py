"""What a round of looking for changed documents costs: ``make corrections``.

A PostgreSQL with many sales, of which a part was accepted within CORRECTION_DAYS. The round is made without its pauses,
so that time, pages and processor time are all its own; how long it takes with them follows from their share.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import click
import structlog

from streams.documents.sale import SALE
from streams.local.debian import EXIT_CODE, PackagesMissing
from streams.local.real.postgres import Postgres
from streams.pipeline import correction_sweep
from streams.stores import corrections as statements
from streams.stores.corrections import Corrections
from streams.stores.row_digests import try_digests
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sent_rows import sent_rows
from streams.stores.source_rows import read_documents
from tests.contract.stores.databases import Postgresql
from tests.harness.bench.polling import _cpu_s, _scans

_DAY_MS = 86_400_000
_LINES = 3

_FILL = """
INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, created_at,
    updated_at, national_invoice_id, customer_name)
SELECT n, 'HD-' || n, '79-' || n % 200, 'S-' || n % 200, at, 'SYNC_SUCCESS', at, at, 'HD_QG_' || n, 'Nguyễn Thị Ánh'
FROM (SELECT n, now()::timestamp - ({sales} - n) * interval '8 second' AS at FROM generate_series(1, {sales}) n) s;

INSERT INTO dbo.SalesInvoiceDetails (sales_invoice_id, drug_code, drug_name, lot_number, expiry_date, unit,
    concentration, dosage, quantity, unit_price, line_total, conversion_ratio)
SELECT n, 'VN-' || l, 'Paracetamol 500mg', 'LO' || l, '2028-01-31', 'Hộp', '500mg', 'Ngày uống 2 lần', 1, 2, 2, 1
FROM generate_series({sales} - {recent} + 1, {sales}) n, generate_series(1, {lines}) l;

INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, ever_accepted, attempts_since,
    sent_at)
SELECT 'sale', id, 1, 1, md5(id::text) || md5(id::text), 1, 1, CASE WHEN id > {sales} - {recent} THEN {now} ELSE 1 END
FROM dbo.SalesInvoices;

VACUUM (ANALYZE)
"""


@click.command()
@click.option("--sales", type=click.IntRange(min=1000), default=1_000_000, show_default=True, help="In the table.")
@click.option("--recent", type=int, default=300_000, show_default=True, help="Accepted within CORRECTION_DAYS.")
def main(sales: int, recent: int) -> None:
    """Make rounds over a table of many sales, and show what they cost."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        with tempfile.TemporaryDirectory(prefix="streams-corrections-") as folder, Postgres(Path(folder)) as server:
            server.create_sales_database("many")
            asyncio.run(_measure(Postgresql(server, "many"), sales, min(recent, sales)))
    except PackagesMissing as problem:
        click.echo(problem, err=True)
        sys.exit(EXIT_CODE)


async def _measure(database: Postgresql, sales: int, recent: int) -> None:
    db = SalesDb(database.settings(sales_db_connections=1))
    await db.open()
    await try_digests(db, [SALE])
    now = await db.now_ms()
    with closing(database.connect()) as owner:
        for statement in _FILL.format(sales=sales, recent=recent, lines=_LINES, now=now).split(";"):
            owner.execute(statement)
    click.echo(f"{sales} sales, {recent} of them accepted within the last 30 days, {_LINES} lines each")
    await _accept(db, database, sales, recent)
    await _round(db, "with digests", sales)
    with closing(database.connect()) as owner:
        owner.execute(
            "UPDATE dbo.SalesInvoices SET customer_name = 'Lê' WHERE id > ? AND id % 1000 = 0", sales - recent
        )
        owner.execute("VACUUM (ANALYZE)")
    await _round(db, f"with {recent // 1000} changed sales", sales)
    await _round(db, "again", sales)
    db.digests = False
    await _round(db, "read in full", sales, most=500)
    await db.close()


async def _accept(db: SalesDb, database: Postgresql, sales: int, recent: int) -> None:
    """Write into dbo.SaleSync what the acceptance of each recent sale would have."""
    with closing(database.connect()) as owner:
        for start in range(sales - recent + 1, sales + 1, 500):
            ids = list(range(start, min(start + 500, sales + 1)))

            def read(tx: Transaction, ids: list[int] = ids) -> list[Any]:
                found = read_documents(tx, SALE, ids)
                bodies = {i: SALE.transform(each.header, each.lines, date(2100, 1, 1)) for i, each in found.items()}
                return [
                    {
                        "i": i,
                        "h": bodies[i].hash,
                        "r": sent_rows(bodies[i].hash, each.digest, f"79-{i % 200}", f"HD-{i}"),
                    }
                    for i, each in found.items()
                ]

            owner.execute(
                "UPDATE dbo.SaleSync s SET sent_hash = v.h, sent_rows = v.r "
                "FROM json_to_recordset(CAST(? AS json)) AS v (i bigint, h text, r text) WHERE s.id = v.i",
                json.dumps(await db.transaction(read)),
            )
        owner.execute("VACUUM (ANALYZE) dbo.SaleSync")


async def _round(db: SalesDb, what: str, sales: int, most: int = 2**31) -> None:
    """Make one round, of at most `most` steps with documents in them."""
    corrections = Corrections(db, SALE, accepted_within_ms=30 * _DAY_MS)
    pid = await db.transaction(lambda tx: int(tx.rows("SELECT pg_backend_pid()")[0][0]))
    pages_before, cpu_before, own_before = await _pages(db), _cpu_s(pid), time.process_time()
    below: int | None = 2**62
    took: list[float] = []
    checked = changed = windows = 0
    while below is not None and len(took) < most:
        began = time.monotonic()
        documents, below = await corrections.below(below, correction_sweep._ROWS)
        windows += 1
        spent = time.monotonic() - began
        while documents and len(took) < most:
            part, documents = documents[: corrections.at_once], documents[corrections.at_once :]
            began = time.monotonic()
            changed += len((await corrections.check(part)).changed)
            took.append(spent + time.monotonic() - began)
            checked, spent = checked + len(part), 0.0
    cpu, own = _cpu_s(pid) - cpu_before, time.process_time() - own_before
    pages = await _pages(db) - pages_before
    pause = sum(max(each / correction_sweep._LARGEST_SHARE, correction_sweep._SHORTEST_PAUSE) for each in took)
    pause += max(0, windows - len(took)) * correction_sweep._SHORTEST_PAUSE
    click.echo(
        f"{what}: {checked} compared, {changed} changed, {windows} times {correction_sweep._ROWS} rows; "
        f"a step {statistics.median(took) * 1000:.1f} ms, the longest {max(took) * 1000:.0f} ms; server {cpu:.1f} s, "
        f"{pages} pages; worker {own:.1f} s; with pauses {pause / 60:.0f} minutes, of which the server works "
        f"{cpu / pause * 100:.1f} % and the worker {own / pause * 100:.1f} %"
    )
    sql = statements._AT_REST.format(
        table=SALE.table, which="s.id >= ? AND s.id < ?", order="s.id DESC", skip_locked=""
    )
    values = ["sale", sales - 1000, sales, 5, 2**60, "*"]
    plan = await db.transaction(lambda tx: json.loads(tx.rows(f"EXPLAIN (FORMAT JSON) {sql}", values)[0][0]))
    click.echo(f"  plan: {', '.join(_scans(plan[0]['Plan']))}")


async def _pages(db: SalesDb) -> int:
    def read(tx: Transaction) -> int:
        tx.rows("SELECT pg_stat_force_next_flush()")
        return int(
            tx.rows("SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()")[0][0]
        )

    await db.transaction(read)
    return await db.transaction(read)


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.corrections")
