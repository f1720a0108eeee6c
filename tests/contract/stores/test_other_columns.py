"""Write-back into columns that are shorter than ours, and documents with keys beyond an INT."""

from __future__ import annotations

from contextlib import closing

import pytest

from streams.documents.sale import SALE
from streams.domain.reasons import Code
from streams.stores.column_check import known_column_types
from streams.stores.decisions import DecisionWriter
from streams.stores.row_digests import try_digests
from streams.stores.sales_db import SalesDb, StoreError
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from streams.stores.sync_state import Claim, ClaimRequest, SyncStates
from tests.contract.stores.databases import Postgresql
from tests.contract.stores.point_of_sale import PointOfSale, accepted, pending, refused
from tests.support.decided_sales import FAR, ZONE

BIG = 2**40 + 7


async def opened(settings: object) -> SalesDb:
    db = SalesDb(settings)  # type: ignore[arg-type]
    await db.open()
    return db


async def test_a_reason_is_written_into_a_short_column(postgresql: Postgresql) -> None:
    """Promise 1. Broken by: a reason that is longer than its column keeps the decision from being written."""
    with closing(postgresql.connect()) as owner:
        owner.execute("ALTER TABLE dbo.SalesInvoices ALTER COLUMN sync_response_message TYPE VARCHAR(60)")
    owner_db, db = await opened(postgresql.settings(**postgresql.points_of_sale())), await opened(postgresql.settings())
    try:
        point_of_sale = PointOfSale(owner_db)
        await point_of_sale.sell(1, 2)
        for id_ in (1, 2):
            await point_of_sale.sync(id_, attempt=1, lease_until=FAR, next_attempt_at=FAR)
        types = await known_column_types(db)
        with pytest.raises(StoreError):
            await DecisionWriter(db, {SALE.name: SALE}, ZONE).apply(SALE.name, [refused(1, 1)])
        ends = DecisionWriter(db, {SALE.name: SALE}, ZONE, types)
        assert await ends.apply(SALE.name, [refused(1, 1), pending(2, 1, FAR, Code.TLS_FAILED)]) == {1, 2}
        for id_ in (1, 2):
            message = (await point_of_sale.row(id_))["sync_response_message"]
            assert 30 < len(message) <= 60
            assert message.endswith("…")
    finally:
        await db.close()
        await owner_db.close()


async def test_a_sale_with_a_key_beyond_an_int_is_read_claimed_and_written(postgresql: Postgresql) -> None:
    with closing(postgresql.connect()) as owner:
        owner.execute("ALTER TABLE dbo.SalesInvoices ALTER COLUMN id TYPE BIGINT")
        owner.execute("ALTER TABLE dbo.SalesInvoiceDetails ALTER COLUMN sales_invoice_id TYPE BIGINT")
    owner_db, db = await opened(postgresql.settings(**postgresql.points_of_sale())), await opened(postgresql.settings())
    try:
        point_of_sale = PointOfSale(owner_db)
        await point_of_sale.sell(1, BIG)
        await point_of_sale.add_lines(BIG, "DRUG-1")
        await try_digests(db, [SALE], await known_column_types(db))
        [small, big] = await SourceRows(db).read(SALE, [1, BIG])
        assert small is not None
        assert big is not None
        assert (big.header["id"], len(big.lines)) == (BIG, 1)
        states = SyncStates(db, lease_ms=60_000)
        requests = [ClaimRequest(id_, 0, "a" * 64, attempts_since=1, tries=1) for id_ in (1, BIG)]
        claims = await states.claim(SALE.name, SALE.table, requests)
        assert [claim.id for claim in claims if isinstance(claim, Claim)] == [1, BIG]
        assert await DecisionWriter(db, {SALE.name: SALE}, ZONE).apply(
            SALE.name, [accepted(BIG, 1), pending(1, 1, 1)]
        ) == {1, BIG}
        assert (await point_of_sale.row(BIG))["status"] == "SYNC_SUCCESS"
        [due] = await Schedule(db, SALE).due(10, FAR)
        assert due.id == 1
    finally:
        await db.close()
        await owner_db.close()
