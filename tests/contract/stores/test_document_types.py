"""The stores with receipts and issues, on every server: nothing in them knows the sale's tables alone."""

from __future__ import annotations

from contextlib import closing

import pytest

from streams.documents import DOCUMENT_TYPES, GOODS_ISSUE, PURCHASE_RECEIPT, SALE
from streams.documents.document import DocumentType
from streams.domain.reasons import Code
from streams.operators.desk.desk import Desk
from streams.operators.desk.search import Search
from streams.operators.desk.send_again import SendAgain
from streams.stores.backlog import read_backlog
from streams.stores.decisions import DecisionWriter
from streams.stores.row_digests import try_digests
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from streams.stores.schema import Missing, missing
from streams.stores.source_rows import SourceRows
from streams.stores.sync_state import ClaimRequest, SyncStates
from tests.contract.stores.databases import Database, Postgresql
from tests.contract.stores.point_of_sale import SOLD, PointOfSale, decided
from tests.page.visitor import HistoryReader
from tests.support.decided_sales import ZONE

OTHERS = pytest.mark.parametrize("kind", [PURCHASE_RECEIPT, GOODS_ISSUE], ids=lambda kind: kind.name)


@pytest.fixture
async def written(point_of_sale: PointOfSale, kind: DocumentType) -> PointOfSale:
    """Three documents of the kind, the second without lines, and a sale with the id and the codes of the first."""
    await point_of_sale.sell(1)
    await point_of_sale.add_lines(1, "DRUG-1")
    other = PointOfSale(point_of_sale.db, kind)
    await other.sell(1, 2, 3)
    for id_ in (1, 3):
        await other.add_lines(id_, "DRUG-1", "DRUG-2")
    return other


@OTHERS
async def test_a_document_is_read_claimed_decided_and_enqueued_in_its_own_tables(
    db: SalesDb, written: PointOfSale, kind: DocumentType, point_of_sale: PointOfSale
) -> None:
    await try_digests(db, DOCUMENT_TYPES)
    found = await SourceRows(db).read(kind, [1, 2, 3, 4])
    assert found[3] is None
    first = found[0]
    assert first is not None
    body = kind.transform(first.header, first.lines, SOLD.date())
    assert (body.document_code, len(first.lines)) == ("HD-1", 2)
    states = SyncStates(db, lease_ms=60_000)
    claims = await states.claim(kind.name, kind.table, [ClaimRequest(id_, 0, body.hash, 1, 1) for id_ in (1, 2, 3)])
    assert all(claims)
    writer = DecisionWriter(db, {each.name: each for each in DOCUMENT_TYPES}, ZONE)
    await writer.apply(
        kind.name,
        [
            decided(
                *(1, 1, "SYNC_SUCCESS"),
                national_id="QG-1",
                body_hash=body.hash,
                rows=first.digest,
                document_type=kind.name,
            ),
            decided(2, 1, "SYNC_FAILED", code=Code.NO_LINES, document_type=kind.name),
            decided(3, 1, "PENDING_SYNC", code=Code.TIMED_OUT, next_at=5, document_type=kind.name),
        ],
    )
    row = await written.row(1)
    assert (row["status"], row[kind.national_id_column]) == ("SYNC_SUCCESS", "QG-1")
    assert [(await written.row(id_))["status"] for id_ in (2, 3)] == ["SYNC_FAILED", "PENDING_SYNC"]
    sale = await point_of_sale.row(1)
    assert (sale["status"], await point_of_sale.state(1)) == ("PENDING_SYNC", {}), "the sale is as it was"
    assert [due.id for due in await Schedule(db, kind).due(9, 2**62)] == [3]
    assert await Schedule(db, SALE).due(9, 2**62) == []
    _, waiting = await read_backlog(db, kind)
    assert [(part.reason, part.documents) for part in waiting] == [("timed_out", 1)]


@OTHERS
async def test_a_document_that_was_edited_while_it_was_sent_is_requested_again(
    db: SalesDb, written: PointOfSale, kind: DocumentType
) -> None:
    await try_digests(db, DOCUMENT_TYPES)
    (found,) = await SourceRows(db).read(kind, [1])
    assert found is not None
    body = kind.transform(found.header, found.lines, SOLD.date())
    await SyncStates(db, lease_ms=60_000).claim(kind.name, kind.table, [ClaimRequest(1, 0, body.hash, 1, 1)])
    await written.run(f"UPDATE dbo.{kind.lines_table} SET quantity = 9")  # noqa: S608
    writer = DecisionWriter(db, {kind.name: kind}, ZONE)
    decision = decided(
        *(1, 1, "SYNC_SUCCESS"), national_id="QG-1", body_hash=body.hash, rows=found.digest, document_type=kind.name
    )
    await writer.apply(kind.name, [decision])
    assert (await written.row(1))["status"] == "PENDING_SYNC"


@OTHERS
async def test_the_desk_counts_finds_and_sends_again_documents_of_its_type(
    db: SalesDb, database: Database, written: PointOfSale, kind: DocumentType
) -> None:
    await written.set_status(2, "SYNC_FAILED")
    await written.sync(2, attempt=1, published_attempt=1, reason_code="api_refused")
    desk = Desk(database.settings(), db, kind, HistoryReader())
    now = await desk.figures.now()
    assert (now.failed_total, now.waiting_total) == (1, 2)
    assert await desk.card.find("HD-2") == [2]
    page = await desk.sales.page("SYNC_FAILED", Search())
    assert [sale.document_code for sale in page.sales] == ["HD-2"]
    card = await desk.card.read(2)
    assert card is not None
    assert card.document_code == "HD-2"
    again = SendAgain(db, kind, ZONE)
    assert (await again.apply_to_ids([2], actor="Lan")).done == [2]
    assert (await written.row(2))["status"] == "PENDING_SYNC"
    assert await written.rows("SELECT document_type, id FROM dbo.SaleAction") == [{"document_type": kind.name, "id": 2}]


@pytest.mark.parametrize("kind", DOCUMENT_TYPES, ids=lambda kind: kind.name)
async def test_nothing_is_missing_in_a_complete_database(db: SalesDb, kind: DocumentType) -> None:
    assert await missing(db, kind) == Missing((), is_absent=False)


@OTHERS
async def test_missing_tables_columns_and_rights_are_named(postgresql: Postgresql, kind: DocumentType) -> None:
    db = SalesDb(postgresql.settings())
    await db.open()
    with closing(postgresql.connect()) as owner:
        owner.execute(f"REVOKE UPDATE (status) ON dbo.{kind.table} FROM worker")
        owner.execute(f"REVOKE SELECT ON dbo.{kind.lines_table} FROM worker")  # noqa: S608
        owner.execute(f"ALTER TABLE dbo.{kind.table} DROP COLUMN notes")
        found = await missing(db, kind)
        assert not found.is_absent
        assert found.parts[0] == f"dbo.{kind.table} has no column notes"
        assert f"no UPDATE on dbo.{kind.table} (status)" in found.parts
        assert f"no SELECT on dbo.{kind.lines_table} (drug_code)" in found.parts
        owner.execute(f"DROP TABLE dbo.{kind.lines_table}")
        owner.execute(f"DROP TABLE dbo.{kind.table}")
    assert await missing(db, kind) == Missing(
        (f"dbo.{kind.table} is missing", f"dbo.{kind.lines_table} is missing"), is_absent=True
    )
    await db.close()
