"""Tests that write-back quarantines only what the database refuses, and waits for what passes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import pytest
from structlog.testing import capture_logs

from streams.documents.sale import SALE
from streams.domain.status_message import StatusMessage, read_status
from streams.domain.undecodable import Undecodable
from streams.pipeline.write_back import WriteBack
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import SalesDb, StoreUnavailable
from tests.contract.stores.databases import Database, Postgresql
from tests.contract.stores.point_of_sale import PointOfSale, accepted, decided
from tests.support.decided_sales import ZONE

OpenDb: TypeAlias = Callable[..., Awaitable[SalesDb]]
NAME = "Nguyễn Thị Bí Mật"


class CountingDecisionWriter(DecisionWriter):
    """Records how large the batches were, in order."""

    def __init__(self, db: SalesDb) -> None:
        super().__init__(db, {SALE.name: SALE}, ZONE)
        self.sizes: list[int] = []

    async def apply(self, document_type: str, batch: Sequence[StatusMessage]) -> set[int]:
        self.sizes.append(len(batch))
        return await super().apply(document_type, batch)


@pytest.fixture
def decision_writer(db: SalesDb) -> CountingDecisionWriter:
    return CountingDecisionWriter(db)


async def sell(point_of_sale: PointOfSale, *ids: int) -> None:
    await point_of_sale.sell(*ids)
    await point_of_sale.syncs(ids, attempt=1)


async def statuses(point_of_sale: PointOfSale) -> dict[int, str]:
    return {row["id"]: row["status"] for row in await point_of_sale.rows("SELECT id, status FROM dbo.SalesInvoices")}


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not check():
            await asyncio.sleep(0.01)


async def test_decisions_published_at_about_the_same_time_are_written_in_one_batch(
    decision_writer: CountingDecisionWriter, point_of_sale: PointOfSale
) -> None:
    ids = range(1, 101)
    await sell(point_of_sale, *ids)
    write_back = WriteBack(decision_writer, [SALE.name])
    await asyncio.gather(*(write_back.write(accepted(i, 1)) for i in ids))
    assert decision_writer.sizes == [100]
    assert set((await statuses(point_of_sale)).values()) == {"SYNC_SUCCESS"}


async def test_only_a_refused_row_is_quarantined_until_the_database_takes_it(
    decision_writer: CountingDecisionWriter, database: Database, point_of_sale: PointOfSale
) -> None:
    """Promise 5. Broken by: one row that the database refuses takes its whole batch with it."""
    ids = range(1, 41)
    await sell(point_of_sale, *ids)
    await database.refuse(13, NAME)
    write_back = WriteBack(decision_writer, [SALE.name])
    with capture_logs() as logs:
        writes = {i: asyncio.create_task(write_back.write(accepted(i, 1))) for i in ids}
        async with asyncio.timeout(10):
            await asyncio.gather(*(task for i, task in writes.items() if i != 13))
        await until(lambda: write_back.quarantined)
        now = await statuses(point_of_sale)
        assert [i for i in ids if now[i] != "SYNC_SUCCESS"] == [13]
        assert not writes[13].done()
        await database.accept(13)
        async with asyncio.timeout(10):
            await writes[13]
    assert (await point_of_sale.row(13))["status"] == "SYNC_SUCCESS"
    assert write_back.quarantined == 0
    (said,) = (line for line in logs if line["event"] == "write_back.quarantined")
    assert said["invoice"] == "HD-13"
    assert NAME not in str(logs)


async def test_several_refused_rows_are_quarantined_separately(
    decision_writer: CountingDecisionWriter, database: Database, point_of_sale: PointOfSale
) -> None:
    ids = range(1, 31)
    await sell(point_of_sale, *ids)
    for id_ in (1, 2, 30):
        await database.refuse(id_, "trigger")
    write_back = WriteBack(decision_writer, [SALE.name], quarantined_for=0)
    with capture_logs() as logs:
        async with asyncio.timeout(20):
            await asyncio.gather(*(write_back.write(accepted(i, 1)) for i in ids))
    now = await statuses(point_of_sale)
    assert [i for i in ids if now[i] != "SYNC_SUCCESS"] == [1, 2, 30]
    # Given up: their claims' ends bring them back through the scheduler.
    assert sorted(line["invoice"] for line in logs if line["event"] == "write_back.given_up") == [
        "HD-1",
        "HD-2",
        "HD-30",
    ]
    assert write_back.quarantined == 0


@pytest.mark.parametrize("error", [OverflowError(NAME), ValueError(NAME), KeyError(NAME)], ids=repr)
async def test_a_decision_that_raises_any_error_is_quarantined_alone(
    db: SalesDb, point_of_sale: PointOfSale, error: Exception
) -> None:
    """Promise 5. Broken by: an error that is none of the database's is raised to all that were written together."""

    class Odd(CountingDecisionWriter):
        async def apply(self, document_type: str, batch: Sequence[StatusMessage]) -> set[int]:
            if any(item.status.id == 13 for item in batch):
                raise error
            return await super().apply(document_type, batch)

    ids = range(1, 41)
    await sell(point_of_sale, *ids)
    write_back = WriteBack(Odd(db), [SALE.name], quarantined_for=0)
    with capture_logs() as logs:
        async with asyncio.timeout(20):
            await asyncio.gather(*(write_back.write(accepted(i, 1)) for i in ids))
    now = await statuses(point_of_sale)
    assert [i for i in ids if now[i] != "SYNC_SUCCESS"] == [13]
    assert [line["invoice"] for line in logs if line["event"] == "write_back.given_up"] == ["HD-13"]
    assert NAME not in str(logs)


async def test_other_decisions_are_written_while_one_is_quarantined(
    decision_writer: CountingDecisionWriter, database: Database, point_of_sale: PointOfSale
) -> None:
    await sell(point_of_sale, 1, 2)
    await database.refuse(1, "trigger")
    write_back = WriteBack(decision_writer, [SALE.name])
    quarantined = asyncio.create_task(write_back.write(accepted(1, 1)))
    await until(lambda: write_back.quarantined)
    async with asyncio.timeout(5):
        await write_back.write(accepted(2, 1))
    assert (await point_of_sale.row(2))["status"] == "SYNC_SUCCESS"
    await database.accept(1)
    await quarantined


async def test_write_back_waits_for_a_passing_lock(
    database: Database, open_db: OpenDb, point_of_sale: PointOfSale
) -> None:
    await sell(point_of_sale, 1, 2)
    decision_writer = CountingDecisionWriter(await open_db(**database.impatient()))
    write_back = WriteBack(decision_writer, [SALE.name])
    with capture_logs() as logs:
        with database.locked():
            writes = [asyncio.create_task(write_back.write(accepted(i, 1))) for i in (1, 2)]
            await until(
                lambda: database.is_waited_for() or any(line["event"] == "sales_database.waiting" for line in logs)
            )
            assert not any(task.done() for task in writes)
        async with asyncio.timeout(10):
            await asyncio.gather(*writes)
    assert set((await statuses(point_of_sale)).values()) == {"SYNC_SUCCESS"}
    assert set(decision_writer.sizes) == {2}
    assert not [line for line in logs if line["event"] == "write_back.quarantined"]


async def test_a_lasting_lock_quarantines_only_its_row(
    database: Database, open_db: OpenDb, point_of_sale: PointOfSale
) -> None:
    await sell(point_of_sale, 1)
    decision_writer = CountingDecisionWriter(await open_db(**database.impatient()))
    write_back = WriteBack(decision_writer, [SALE.name])
    with database.locked():
        write = asyncio.create_task(write_back.write(accepted(1, 1)))
        await until(lambda: write_back.quarantined)
    async with asyncio.timeout(10):
        await write
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_a_row_whose_statement_never_ends_is_quarantined_alone(
    database: Postgresql, open_db: OpenDb, point_of_sale: PointOfSale
) -> None:
    """The server answers others meanwhile, so the problem is that of the row."""
    ids = range(1, 21)
    await sell(point_of_sale, *ids)
    await database.stall(13)
    decision_writer = CountingDecisionWriter(await open_db(sales_db_timeout=0.3))
    write_back = WriteBack(decision_writer, [SALE.name])
    with capture_logs() as logs:
        writes = {i: asyncio.create_task(write_back.write(accepted(i, 1))) for i in ids}
        async with asyncio.timeout(30):
            await asyncio.gather(*(task for i, task in writes.items() if i != 13))
        await until(lambda: write_back.quarantined)
        assert [i for i, status in (await statuses(point_of_sale)).items() if status != "SYNC_SUCCESS"] == [13]
        await database.accept(13)
        async with asyncio.timeout(20):
            await writes[13]
    assert (await point_of_sale.row(13))["status"] == "SYNC_SUCCESS"
    assert [line["invoice"] for line in logs if line["event"] == "write_back.quarantined"] == ["HD-13"]


async def test_write_back_waits_for_a_database_that_is_away(
    database: Database, open_db: OpenDb, point_of_sale: PointOfSale
) -> None:
    await sell(point_of_sale, 1, 2)
    db = await open_db(sales_db_connections=1)
    decision_writer = CountingDecisionWriter(db)
    write_back = WriteBack(decision_writer, [SALE.name])
    with pytest.raises(StoreUnavailable):
        await db.transaction(database.break_connection)
    with capture_logs() as logs:
        with database.away():
            writes = [asyncio.create_task(write_back.write(accepted(i, 1))) for i in (1, 2)]
            # Longer than a lock is waited for: nothing stands aside for it.
            await until(lambda: [line["event"] for line in logs].count("sales_database.waiting") > 6)
        async with asyncio.timeout(15):
            await asyncio.gather(*writes)
    assert set((await statuses(point_of_sale)).values()) == {"SYNC_SUCCESS"}
    assert not [line for line in logs if line["event"] == "write_back.quarantined"]
    assert set(decision_writer.sizes) == {2}


async def test_a_decision_of_an_unknown_document_type_is_logged_and_skipped(
    decision_writer: CountingDecisionWriter,
) -> None:
    with capture_logs() as logs:
        await WriteBack(decision_writer, [SALE.name]).write(decided(1, 1, "SYNC_SUCCESS", document_type="loan_slip"))
    assert [line["event"] for line in logs] == ["write_back.unknown_document_type"]
    assert decision_writer.sizes == []


def test_a_published_decision_can_be_read() -> None:
    for rows in ("cd", None):
        item = accepted(1, 1, "QG-1", "ab", rows)
        assert item.version is not None
        value = item.status.model_dump_json().encode()
        assert read_status(value, {**item.version.headers(), "other": b""}) == item
        assert read_status(value, {}).version is None


def test_the_headers_of_a_published_decision_stay_readable_after_an_upgrade() -> None:
    item = accepted(1, 1, "QG-1", "ab", "cd")
    assert item.version is not None
    assert item.version.headers() == {"sent-hash": b"ab", "sent-rows": b"cd"}


@pytest.mark.parametrize("value", [None, b"", b"null", b"[]", b"\xff", f'{{"id": "{NAME}"}}'.encode()])
def test_a_message_that_is_not_a_status_is_undecodable_and_shows_no_value(value: Any) -> None:
    with pytest.raises(Undecodable) as caught:
        read_status(value, {})
    assert NAME not in str(caught.value)
    assert str(caught.value)
