"""One row that cannot be written holds up no other."""

from __future__ import annotations

import asyncio
import time
from zoneinfo import ZoneInfo

from structlog.testing import capture_logs

from streams.documents.sale import SALE
from streams.stores.ends import Ends
from streams.stores.sales_db import SalesDb
from streams.write_back import WriteBack
from tests.contract.stores.databases import Database
from tests.contract.stores.till import Till, accepted


def write_back(db: SalesDb) -> WriteBack:
    return WriteBack(Ends(db, {"sale": SALE}, ZoneInfo("Asia/Ho_Chi_Minh")), ["sale"])


async def test_a_row_that_a_trigger_refuses_stands_aside_alone(database: Database, db: SalesDb, till: Till) -> None:
    ids = list(range(1, 51))
    await till.sell(*ids)
    await till.syncs(ids, attempt=1)
    database.refuse(17, "kho đã khóa")
    writer = write_back(db)
    with capture_logs() as logs:
        tasks = {id_: asyncio.create_task(writer.write(accepted(id_, 1, f"QG-{id_}"))) for id_ in ids}
        async with asyncio.timeout(20):
            await asyncio.gather(*(task for id_, task in tasks.items() if id_ != 17))
    assert not tasks[17].done()
    assert (await till.row(17))["status"] == "PENDING_SYNC"
    assert (await till.state(17))["told_attempt"] == 0, "the transaction left nothing behind"
    rows = await till.rows("SELECT id FROM dbo.SalesInvoices WHERE status = 'SYNC_SUCCESS'")
    assert len(rows) == 49
    [aside] = [entry for entry in logs if entry["event"] == "write_back.aside"]
    assert aside["invoice"] == "HD-17"
    assert writer.aside == 1
    database.accept(17)
    async with asyncio.timeout(20):
        await tasks[17]
    assert (await till.row(17))["national_invoice_id"] == "QG-17"
    assert writer.aside == 0


async def test_a_lock_is_waited_for(database: Database, db: SalesDb, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1)
    with database.locked():
        task = asyncio.create_task(write_back(db).write(accepted(1, 1)))
        began = time.monotonic()
        while time.monotonic() - began < 0.5:
            await asyncio.sleep(0.05)
            assert not task.done()
    async with asyncio.timeout(20):
        await task
    assert (await till.row(1))["status"] == "SYNC_SUCCESS"


async def test_a_kind_that_is_not_known_is_said_and_passed_over(db: SalesDb) -> None:
    told = accepted(1, 1)
    told.status.document = "unheard_of"
    with capture_logs() as logs:
        await write_back(db).write(told)
    assert [entry["event"] for entry in logs] == ["write_back.unknown_kind"]
