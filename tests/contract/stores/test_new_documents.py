"""New documents found by asking the point of sale's table, on every server: none is missed, none is taken for new."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing

import pyodbc
import pytest

from streams.documents.sale import SALE
from streams.stores.new_documents import ANNOUNCED, NewDocuments
from streams.stores.sales_db import SalesDb
from streams.stores.schedule import Schedule
from streams.stores.sync_state import ClaimRequest, SyncStates
from tests.contract.stores.databases import Postgresql
from tests.contract.stores.point_of_sale import PointOfSale

NEVER = 2**62
Opened = Callable[..., Awaitable[SalesDb]]


@pytest.fixture
def documents(db: SalesDb) -> NewDocuments:
    return NewDocuments(db, SALE)


async def test_pending_rows_that_no_worker_has_seen_are_found_round_robin_over_the_shops(
    documents: NewDocuments, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2, 3, shop="BIG")
    await point_of_sale.sell(4, shop="SMALL")
    await point_of_sale.sell(5, 6, status="SYNC_SUCCESS")
    await point_of_sale.sell(7, status="DRAFT")
    assert (await documents.find(10, 0)).unseen == [1, 4, 2, 3]
    assert (await documents.find(2, 0)).unseen == [1, 4]


async def test_documents_above_the_mark_come_first_and_take_turns_of_their_own(
    documents: NewDocuments, point_of_sale: PointOfSale
) -> None:
    """A backlog from before the cut-over, of which one shop has most, delays none of them."""
    await point_of_sale.sell(1, 2, 3, 4, shop="BIG")
    await point_of_sale.sell(5, shop="SMALL")
    await point_of_sale.sell(6, 7, shop="BIG")
    await point_of_sale.sell(8, shop="SMALL")
    assert (await documents.find(10, 5)).unseen == [6, 8, 7, 1, 5, 2, 3, 4]


async def test_what_waits_or_is_claimed_is_not_found(
    documents: NewDocuments, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    now = await db.now_ms()
    await point_of_sale.sell(1, 2, 3)
    await point_of_sale.sync(1, attempt=1, next_attempt_at=now + 60_000)
    await point_of_sale.sync(2, attempt=1, next_attempt_at=now - 60_000)
    await point_of_sale.sync(3, attempt=1, lease_until=now + 60_000)
    found = await documents.find(10, 0)
    assert (list(found.unseen), found.requested_again) == ([], 0)


async def test_a_decided_document_that_is_pending_again_is_found_as_requested_again(
    documents: NewDocuments, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=2, published_attempt=2)
    found = await documents.find(10, 0)
    assert (list(found.unseen), found.requested_again) == ([], 1)


async def test_the_first_poll_sets_the_mark_and_it_stays(documents: NewDocuments, point_of_sale: PointOfSale) -> None:
    """Promise 3. Broken by: the cut-over mark is not kept."""
    await point_of_sale.sell(7, status="SYNC_SUCCESS")
    await point_of_sale.sell(9)
    assert await documents.known_mark() is None
    assert await documents.mark() == 9
    await point_of_sale.sell(10)
    assert await documents.mark() == 9
    assert await documents.known_mark() == 9


async def test_the_mark_of_an_empty_table_is_below_every_id(
    documents: NewDocuments, point_of_sale: PointOfSale
) -> None:
    assert await documents.mark() == 0
    await point_of_sale.sell(1)
    assert await documents.mark() == 0


async def test_of_two_marks_the_higher_one_counts(documents: NewDocuments, point_of_sale: PointOfSale) -> None:
    """Two workers set it at once, or a script raised it after the database was restored."""
    await point_of_sale.sell(4)
    assert await documents.mark() == 4
    await point_of_sale.run("INSERT INTO dbo.SaleSync (document_type, id) VALUES ('sale:new', 20)")
    assert await documents.mark() == 20


async def test_the_mark_is_no_document(documents: NewDocuments, db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(4, status="SYNC_SUCCESS")
    await documents.mark()
    await point_of_sale.set_status(4, "PENDING_SYNC")
    assert (await documents.find(10, 0)).unseen == [4], "nobody has seen document 4, although the mark has its id"
    assert await point_of_sale.state(4) == {}


async def test_announced_documents_have_all_that_an_event_needs_and_are_due_later(
    documents: NewDocuments, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, shop="SHOP-Đ")
    await point_of_sale.sell(2)
    announced, error = await documents.announce([1, 2], 45_000)
    assert error is None
    assert [(each.id, each.attempt, each.document_code, each.pharmacy_code, each.shop) for each in announced] == [
        (1, 0, "HD-1", "79-1", "SHOP-Đ"),
        (2, 0, "HD-2", "79-1", "SHOP-1"),
    ]
    state, now = await point_of_sale.state(1), await db.now_ms()
    assert (state["attempt"], state["owner"], state["sent_hash"]) == (0, ANNOUNCED, None)
    assert now < state["next_attempt_at"] <= now + 45_000
    assert state["attempts_since"] == announced[0].since
    assert (await documents.find(10, 0)).unseen == []
    assert await documents.announced_and_unclaimed() == 2


async def test_an_announced_document_is_claimed_as_its_first_attempt(
    documents: NewDocuments, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    await documents.announce([1], 45_000)
    request = ClaimRequest(1, 0, "ab", 5, 1, has_row=True)
    [claim] = await SyncStates(db, lease_ms=60_000).claim("sale", "SalesInvoices", [request])
    assert claim is not None
    assert claim.attempt == 1
    assert await documents.announced_and_unclaimed() == 0


async def test_an_announced_document_that_nobody_claims_is_due(
    documents: NewDocuments, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    """Promise 1. Broken by: an announcement that nobody claims is never made again."""
    await point_of_sale.sell(1)
    await documents.announce([1], -1)
    [due] = await Schedule(db, SALE).due(10, NEVER)
    assert (due.id, due.attempt, due.document_code) == (1, 0, "HD-1")


async def test_documents_that_ended_or_left_meanwhile_are_not_announced(
    documents: NewDocuments, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2)
    await point_of_sale.set_status(1, "SYNC_SUCCESS")
    announced, _ = await documents.announce([1, 2, 3], 45_000)
    assert [each.id for each in announced] == [2]
    assert await point_of_sale.state(1) == {}


async def test_two_schedulers_that_announce_the_same_document_harm_nothing(
    documents: NewDocuments, open_db: Opened, point_of_sale: PointOfSale
) -> None:
    other = NewDocuments(await open_db(), SALE)
    await point_of_sale.sell(1)
    await documents.announce([1], 45_000)
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 1, owner = 'a worker' WHERE id = 1")
    announced, error = await other.announce([1], 45_000)
    assert error is None
    assert [each.id for each in announced] == [1], "its event is one too many, and the claim detects that"
    state = await point_of_sale.state(1)
    assert (state["attempt"], state["owner"]) == (1, "a worker"), "what the first one made stays"


async def test_more_than_one_statement_takes_are_announced(documents: NewDocuments, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(*range(1, 301))
    announced, _ = await documents.announce(range(1, 301), 45_000)
    assert [each.id for each in announced] == list(range(1, 301))


@pytest.fixture
async def on_postgresql(postgresql: Postgresql) -> AsyncIterator[tuple[NewDocuments, PointOfSale, pyodbc.Connection]]:
    """Yield the documents, a point of sale, and a connection whose transaction stays open.

    SQLite has one writer at a time.
    """
    async with AsyncExitStack() as opened:
        databases = [SalesDb(postgresql.settings(**changed)) for changed in ({}, postgresql.points_of_sale())]
        for each in databases:
            await each.open()
            opened.push_async_callback(each.close)
        slow = opened.enter_context(closing(postgresql.connect()))
        slow.autocommit = False
        yield NewDocuments(databases[0], SALE), PointOfSale(databases[1]), slow


async def test_a_sale_that_is_committed_late_is_found_although_its_id_is_lower(
    on_postgresql: tuple[NewDocuments, PointOfSale, pyodbc.Connection],
) -> None:
    """Ids are given when a row is inserted; the order of the commits is another one.

    Promise 1. Broken by: a poll asks only for ids above the highest that was seen, so a sale that is committed late
    is missed.
    """
    documents, point_of_sale, slow = on_postgresql
    slow.execute(
        "INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, "
        "created_at, updated_at) VALUES (1, 'HD-1', '79-1', 'S', now(), 'PENDING_SYNC', now(), now())"
    )
    await point_of_sale.sell(2)
    assert (await documents.find(10, 0)).unseen == [2]
    await documents.announce([2], 45_000)
    assert (await documents.find(10, 0)).unseen == []
    slow.commit()
    assert (await documents.find(10, 0)).unseen == [1]


async def test_a_locked_state_row_delays_no_other_document(
    on_postgresql: tuple[NewDocuments, PointOfSale, pyodbc.Connection],
) -> None:
    documents, point_of_sale, slow = on_postgresql
    await point_of_sale.sell(1, 2)
    slow.execute("INSERT INTO dbo.SaleSync (document_type, id) VALUES ('sale', 1)")
    announced, error = await documents.announce([1, 2], 45_000)
    slow.rollback()
    assert [each.id for each in announced] == [2]
    assert error is not None
    assert (await documents.find(10, 0)).unseen == [1]
