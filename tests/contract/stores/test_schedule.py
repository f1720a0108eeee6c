"""Tests which documents are due, in fair order over shops, which are enrolled, and which leave the schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from streams.documents.sale import SALE
from streams.domain.reasons import Code
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.schedule import Schedule
from streams.stores.sync_state import ANY_VERSION, ClaimRequest, SyncStates
from tests.contract.stores.databases import Database
from tests.contract.stores.point_of_sale import PointOfSale
from tests.support.processor_time import processor_seconds

FAR = 4_000_000_000_000
NEVER = 2**62
ACCOUNT = [Code.NO_ACCOUNT.value, Code.LOGIN_REFUSED.value, Code.SEVERAL_ACCOUNTS.value]


@pytest.fixture
def schedule(db: SalesDb) -> Schedule:
    return Schedule(db, SALE)


async def due(schedule: Schedule, most: int = 100, unseen_before: int = NEVER, of_a_shop: int = 1000) -> list[int]:
    return [item.id for item in await schedule.due(most, unseen_before, of_a_shop)]


async def waiting(point_of_sale: PointOfSale, ids: Sequence[int], shop: str = "SHOP-1", at: int = 5) -> None:
    """Add sales that were tried once and are due at `at`, each one millisecond after the one before."""
    await point_of_sale.sell(*ids, shop=shop)
    for number, id_ in enumerate(ids):
        await point_of_sale.sync(id_, attempt=1, published_attempt=1, next_attempt_at=at + number, attempts_since=3)


async def test_a_due_document_has_everything_that_its_message_needs(
    schedule: Schedule, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await waiting(point_of_sale, [7], "SHOP-Đ")
    await point_of_sale.sell(8, shop="SHOP-Z")
    await point_of_sale.sync(8, next_attempt_at=9)
    seen, unseen = await schedule.due(10, NEVER)
    assert (seen.id, seen.attempt, seen.since) == (7, 1, 3)
    assert (seen.document_code, seen.pharmacy_code, seen.shop) == ("HD-7", "79-1", "SHOP-Đ")
    assert (unseen.id, unseen.attempt) == (8, 0)
    assert abs(unseen.since - await db.now_ms()) < 5000  # nobody wrote down when it began


async def test_due_documents_alternate_between_shops_oldest_first(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    await waiting(point_of_sale, [5, 4, 3, 2, 1], "BIG")
    await waiting(point_of_sale, [6], "SMALL", at=1000)
    await waiting(point_of_sale, [8, 7], "MIDDLE", at=500)
    assert await due(schedule) == [5, 8, 6, 4, 7, 3, 2, 1]


async def test_documents_already_enqueued_count_towards_the_limit_of_a_shop(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    await waiting(point_of_sale, [5, 4, 3, 2, 1], "BIG")
    await waiting(point_of_sale, [8, 7, 6], "SMALL", at=1000)
    assert await due(schedule, of_a_shop=2) == [5, 8, 4, 7]
    await schedule.defer({5: 1, 4: 1, 8: 1}, 60_000)
    assert await due(schedule, of_a_shop=2) == [7], "BIG has had its two"
    assert await due(schedule, of_a_shop=3) == [7, 3, 6], "in turn with what is fed already"
    await schedule.defer({4: 1}, -1)  # fed and never claimed: it is due, and counted no more
    assert await due(schedule, of_a_shop=2) == [3, 7]


@pytest.mark.parametrize("most", [1, 3, 8, 9])
async def test_the_limit_of_due_documents_keeps_the_order_of_shops(
    schedule: Schedule, point_of_sale: PointOfSale, most: int
) -> None:
    await waiting(point_of_sale, [5, 4, 3, 2, 1], "BIG")
    await waiting(point_of_sale, [6], "SMALL", at=1000)
    await waiting(point_of_sale, [8, 7], "MIDDLE", at=500)
    assert await due(schedule, most) == [5, 8, 6, 4, 7, 3, 2, 1][:most]


async def test_a_document_that_is_not_due_is_not_enqueued(
    schedule: Schedule, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2, 3, 4, 5)
    await point_of_sale.sync(1, attempt=1, next_attempt_at=FAR)
    await point_of_sale.sync(2, attempt=1, next_attempt_at=None)
    await point_of_sale.sync(3, attempt=1, next_attempt_at=5, lease_until=FAR)
    await point_of_sale.sync(4, attempt=1, next_attempt_at=await db.now_ms() + 60_000)
    await point_of_sale.run(
        "INSERT INTO dbo.SaleSync (document_type, id, attempt, next_attempt_at) VALUES ('other', 5, 1, 5)"
    )
    for id_, status in enumerate(("SYNC_SUCCESS", "SYNC_FAILED", "CANCELLED"), start=6):
        await point_of_sale.sell(id_, status=status)
        await point_of_sale.sync(id_, attempt=1, next_attempt_at=5)
    await point_of_sale.sync(9, attempt=1, next_attempt_at=5)  # the row has vanished
    assert await due(schedule) == []


async def test_an_unseen_document_is_due_only_when_its_event_can_be_taken_for_lost(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2, 3)
    await point_of_sale.sync(1, attempt=0, next_attempt_at=1000)
    await point_of_sale.sync(2, attempt=0, next_attempt_at=1001)
    await point_of_sale.sync(3, attempt=1, next_attempt_at=1001)
    assert await due(schedule, unseen_before=0) == [3]
    assert await due(schedule, unseen_before=1000) == [1, 3]
    assert await due(schedule, unseen_before=NEVER) == [1, 2, 3]


async def test_a_lost_event_does_not_make_a_document_due_before_its_time(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=0, next_attempt_at=FAR)
    assert await due(schedule, unseen_before=NEVER) == []


async def test_a_deferred_document_is_not_due_until_its_new_time(
    schedule: Schedule, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await waiting(point_of_sale, [1, 2, 3])
    now = await db.now_ms()
    await schedule.defer({1: 1, 2: 1}, 60_000)
    assert await due(schedule) == [3]
    assert await schedule.enqueued_and_unclaimed() == 2
    state = await point_of_sale.state(1)
    assert now + 60_000 <= state["next_attempt_at"] <= await db.now_ms() + 60_000
    assert (state["attempt"], state["lease_until"], state["attempts_since"]) == (1, 0, 3)
    await schedule.defer({2: 1}, -1)  # its time has come: whoever should have claimed it did not
    assert await due(schedule) == [3, 2]
    assert await schedule.enqueued_and_unclaimed() == 1


async def test_a_claimed_document_does_not_count_as_enqueued(
    schedule: Schedule, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await waiting(point_of_sale, [1, 2])
    await schedule.defer({1: 1, 2: 1}, 60_000)
    await SyncStates(db, lease_ms=60_000).claim(SALE.name, SALE.table, [ClaimRequest(1, 1, None, 3, 1)])
    assert await schedule.enqueued_and_unclaimed() == 1


async def test_a_document_that_was_claimed_meanwhile_is_not_deferred(
    schedule: Schedule, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await waiting(point_of_sale, [1])
    assert await due(schedule) == [1]
    (claim,) = await SyncStates(db, lease_ms=1000).claim(SALE.name, SALE.table, [ClaimRequest(1, 1, None, 3, 1)])
    before = await point_of_sale.state(1)
    await schedule.defer({1: 1}, 999_000)
    assert claim is not None
    assert await point_of_sale.state(1) == before


async def test_a_document_that_was_tried_meanwhile_keeps_its_next_attempt(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    """With two schedulers (Redis is away) and a slow database, the second one comes when the attempt has ended
    already.
    """
    await waiting(point_of_sale, [1])
    (read,) = await schedule.due(10, NEVER)
    await point_of_sale.run(
        "UPDATE dbo.SaleSync SET attempt = 2, published_attempt = 2, next_attempt_at = 7, lease_until = 0"
    )
    before = await point_of_sale.state(1)
    await schedule.defer({read.id: read.attempt}, 120_000)
    assert await point_of_sale.state(1) == before


async def test_more_documents_than_fit_one_statement_are_deferred(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    ids = range(1, 301)
    await point_of_sale.sell(*ids)
    await point_of_sale.syncs(ids, attempt=1, next_attempt_at=5)
    await schedule.defer(dict.fromkeys(await due(schedule, 1000), 1), 60_000)
    assert await due(schedule) == []
    assert await schedule.enqueued_and_unclaimed() == 300


async def test_unseen_pending_rows_are_enrolled(schedule: Schedule, db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, 2)
    await point_of_sale.sell(3, status="SYNC_SUCCESS")
    await point_of_sale.sync(2, attempt=1, next_attempt_at=FAR)
    before = await db.now_ms()
    assert await schedule.enroll(50_000, 100) == 1
    state = await point_of_sale.state(1)
    now = await db.now_ms()
    assert before + 50_000 <= state["next_attempt_at"] <= now + 50_000
    assert before <= state["attempts_since"] <= now
    assert (state["attempt"], state["lease_until"], state["sent_hash"]) == (0, 0, None)
    assert (await point_of_sale.state(2))["next_attempt_at"] == FAR
    assert await point_of_sale.state(3) == {}
    assert await schedule.enroll(0, 100) == 0
    assert await point_of_sale.state(1) == state


async def test_enrolling_is_limited_and_starts_with_the_oldest(schedule: Schedule, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(*range(1, 301))
    assert await schedule.enroll(0, 200) == 200
    ids = [row["id"] for row in await point_of_sale.rows("SELECT id FROM dbo.SaleSync ORDER BY id")]
    assert ids == list(range(1, 201))
    assert await schedule.enroll(0, 200) == 100
    assert await schedule.enroll(0, 200) == 0


async def test_enrolling_is_committed_in_parts(
    open_db: Callable[..., Awaitable[SalesDb]], point_of_sale: PointOfSale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks on thousands of rows at once would make claims wait, and SQL Server may lock the table instead."""
    await point_of_sale.sell(*range(1, 301))
    db = await open_db()
    transaction = db.transaction
    there = []

    async def watched(work: Callable[[Transaction], Any]) -> Any:
        result = await transaction(work)
        there.append((await point_of_sale.rows("SELECT COUNT(*) AS n FROM dbo.SaleSync"))[0]["n"])
        return result

    monkeypatch.setattr(db, "transaction", watched)
    assert await Schedule(db, SALE).enroll(0, 300) == 300
    assert there[-3:] == [128, 256, 300]


@pytest.mark.parametrize(
    ("accepted", "sent_hash", "may_be_stored"),
    [
        (1, "ab", "ab"),
        (1, ANY_VERSION, ANY_VERSION),
        (1, None, ANY_VERSION),
        (0, "ab", ANY_VERSION),
        (0, None, ANY_VERSION),
    ],
)
async def test_a_document_requested_again_whose_event_is_lost_is_enrolled(
    schedule: Schedule,
    db: SalesDb,
    point_of_sale: PointOfSale,
    accepted: int,
    sent_hash: str | None,
    may_be_stored: str,
) -> None:
    await point_of_sale.sell(1)
    ended = {"attempt": 3, "published_attempt": 3, "attempts_since": 5, "tries": 4, "ever_accepted": accepted}
    await point_of_sale.sync(1, **ended, sent_hash=sent_hash, next_attempt_at=None)
    before = await db.now_ms()
    assert await schedule.enroll(50_000, 100) == 0
    state = await point_of_sale.state(1)
    assert before + 50_000 <= state["next_attempt_at"] <= await db.now_ms() + 50_000
    assert state["attempts_since"] is None  # since when, only its event knows, which may yet come
    assert (state["tries"], state["sent_hash"]) == (0, may_be_stored)
    assert (state["attempt"], state["ever_accepted"]) == (3, accepted)


async def test_claimed_scheduled_and_decided_documents_are_not_enrolled(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2)
    await point_of_sale.sell(3, status="SYNC_FAILED")
    await point_of_sale.sync(1, attempt=1, lease_until=FAR, sent_hash="ab")
    await point_of_sale.sync(2, attempt=1, next_attempt_at=FAR, sent_hash="ab")
    await point_of_sale.sync(3, attempt=1, sent_hash="ab")
    await point_of_sale.run("INSERT INTO dbo.SaleSync (document_type, id, attempt) VALUES ('other', 2, 1)")
    await point_of_sale.sync(4, attempt=1)  # the row has vanished
    before = await point_of_sale.rows("SELECT * FROM dbo.SaleSync ORDER BY document_type, id")
    await schedule.enroll(0, 100)
    assert await point_of_sale.rows("SELECT * FROM dbo.SaleSync ORDER BY document_type, id") == before


async def test_a_document_that_is_no_longer_pending_leaves_the_schedule(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2, status="CANCELLED")
    await point_of_sale.sell(4)
    await point_of_sale.sync(1, next_attempt_at=5)
    await point_of_sale.sync(2, next_attempt_at=5, lease_until=FAR)  # its end is about to be written
    await point_of_sale.sync(3, next_attempt_at=5)  # the row has vanished
    await point_of_sale.sync(4, attempt=1, next_attempt_at=5)
    await schedule.enroll(0, 100)
    states = {row["id"]: row["next_attempt_at"] for row in await point_of_sale.rows("SELECT * FROM dbo.SaleSync")}
    assert states == {1: None, 2: 5, 3: None, 4: 5}


async def test_documents_of_a_shop_that_wait_for_its_account_can_be_released(
    schedule: Schedule, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    for id_, shop, code in (
        (1, "B", Code.NO_ACCOUNT),
        (2, "B", Code.LOGIN_REFUSED),
        (3, "A", Code.SEVERAL_ACCOUNTS),
        (4, "B", Code.UNREACHABLE),
        (5, "C", Code.UNREACHABLE),
    ):
        await point_of_sale.sell(id_, shop=shop)
        await point_of_sale.sync(id_, attempt=1, next_attempt_at=FAR, reason_code=code.value)
    await point_of_sale.sell(6, shop="D", status="SYNC_FAILED")
    await point_of_sale.sync(6, attempt=1, next_attempt_at=FAR, reason_code=Code.NO_ACCOUNT.value)
    await waiting(point_of_sale, [7], "E")
    assert await schedule.shops_waiting_for_accounts(ACCOUNT, 10) == ["A", "B"]
    assert await schedule.shops_waiting_for_accounts(ACCOUNT, 1) == ["A"]
    await schedule.release("B", ACCOUNT)
    assert await due(schedule) == [7, 1, 2]
    assert (await point_of_sale.state(4))["next_attempt_at"] == FAR
    assert await schedule.shops_waiting_for_accounts(ACCOUNT, 10) == ["A"]
    assert (await point_of_sale.state(1))["next_attempt_at"] <= await db.now_ms()


async def test_an_enqueued_document_is_not_released_again(schedule: Schedule, point_of_sale: PointOfSale) -> None:
    """It is on its way: released, it would be enqueued once more at every check of the accounts."""
    await point_of_sale.sell(1, 2, shop="A")
    for id_, next_at in ((1, 5), (2, FAR)):
        await point_of_sale.sync(id_, attempt=1, next_attempt_at=next_at, reason_code=Code.NO_ACCOUNT.value)
    await schedule.defer({1: 1}, 60_000)
    await schedule.release("A", ACCOUNT)
    assert await due(schedule) == [2]
    await schedule.defer({2: 1}, 60_000)
    assert await schedule.shops_waiting_for_accounts(ACCOUNT, 10) == []


async def test_the_schedule_works_on_one_connection_even_when_it_reads_the_clock_again(
    database: Database, point_of_sale: PointOfSale
) -> None:
    await waiting(point_of_sale, [1])
    later = iter(range(0, 10**9, 1000))  # a thousand seconds pass between any two looks
    db = SalesDb(database.settings(sales_db_connections=1), monotonic=lambda: next(later))
    await db.open()
    schedule = Schedule(db, SALE)
    async with asyncio.timeout(5):
        assert await due(schedule) == [1]
        assert await schedule.enqueued_and_unclaimed() == 0
        assert await schedule.shops_waiting_for_accounts(ACCOUNT, 5) == []
        await schedule.defer({1: 1}, 1)
        await schedule.enroll(0, 5)
        await schedule.release("SHOP-1", ACCOUNT)
    await db.close()


async def test_a_backlog_of_ten_thousand_is_enrolled_and_enqueued_fast(
    schedule: Schedule, point_of_sale: PointOfSale
) -> None:
    for shop in range(100):
        await point_of_sale.sell(*range(shop * 100 + 1, shop * 100 + 101), shop=f"S-{shop:02}")
    began = processor_seconds()
    assert await schedule.enroll(0, 10_000) == 10_000
    enrolled = processor_seconds()
    items = await schedule.due(500, NEVER)
    await schedule.defer({item.id: item.attempt for item in items}, 60_000)
    enqueued = processor_seconds()
    assert [item.shop for item in items[:100]] == [f"S-{shop:02}" for shop in range(100)]
    assert {item.id % 100 for item in items} == {1, 2, 3, 4, 5}
    assert await schedule.enqueued_and_unclaimed() == 500
    assert enrolled - began < 5
    assert enqueued - enrolled < 1
