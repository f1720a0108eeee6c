"""Tests that "send again" and "send now" change only row and due time, are recorded, and skip a claimed sale."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import pytest

from streams.documents.sale import SALE
from streams.domain.local_time import local_time
from streams.domain.reasons import Code
from streams.operators.desk.action import WHY_TEXTS, PassedOver, Why
from streams.operators.desk.figures import Figures
from streams.operators.desk.sale_lists import Sales
from streams.operators.desk.search import Search
from streams.operators.desk.send_again import SendAgain
from streams.operators.desk.send_changed import SendChanged
from streams.operators.desk.send_now import SendNow
from streams.operators.desk.withdraw import Withdraw
from streams.stores.sales_db import SalesDb, StoreError, StoreUnavailable, Transaction
from streams.stores.schedule import ENQUEUED, Schedule
from streams.stores.sync_state import ANY_VERSION, ClaimRequest, SyncStates
from tests.contract.stores.databases import Database, settings_for
from tests.contract.stores.point_of_sale import PointOfSale
from tests.support.accepted_sales import accept

ZONE = settings_for().zone
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
FAR = 4_000_000_000_000
REFUSED = Code.API_REFUSED.value
AWAY = Code.UNREACHABLE.value


@pytest.fixture
def again(db: SalesDb) -> SendAgain:
    return SendAgain(db, SALE, ZONE)


@pytest.fixture
def now(db: SalesDb) -> SendNow:
    return SendNow(db, SALE)


async def failed(point_of_sale: PointOfSale, *ids: int, shop: str = "SHOP-1", code: str = REFUSED) -> None:
    await point_of_sale.sell(*ids, shop=shop, status="SYNC_FAILED")
    await point_of_sale.syncs(ids, attempt=3, published_attempt=3, reason_code=code, tries=2, attempts_since=5)


async def waiting(
    point_of_sale: PointOfSale, *ids: int, shop: str = "SHOP-1", code: str = AWAY, **changed: Any
) -> None:
    await point_of_sale.sell(*ids, shop=shop)
    state = {"attempt": 3, "published_attempt": 3, "reason_code": code, "next_attempt_at": FAR, "attempts_since": 5}
    await point_of_sale.syncs(ids, **state | changed)


async def actions(point_of_sale: PointOfSale) -> list[dict[str, Any]]:
    return await point_of_sale.rows("SELECT * FROM dbo.SaleAction ORDER BY id")


def why(passed: Any) -> dict[int, Why]:
    return {each.id: each.why for each in passed}


# ---- send again ----


async def test_sending_again_makes_a_failed_sale_pending_and_records_the_person(
    again: SendAgain, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await failed(point_of_sale, 1)
    state = await point_of_sale.state(1)
    before = await db.now_ms()
    report = await again.apply_to_ids([1], actor="  Trần   Lan ")
    assert (list(report.done), list(report.passed_over), report.is_cut) == ([1], [], False)
    row = await point_of_sale.row(1)
    assert row["status"] == "PENDING_SYNC"
    assert local_time(before, ZONE) <= row["updated_at"] <= local_time(await db.now_ms(), ZONE)
    # The change event asks for it, as any point of sale's: of what may be held nothing is decided here.
    assert await point_of_sale.state(1) == state
    [action] = await actions(point_of_sale)
    assert before <= action.pop("acted_at") <= await db.now_ms()
    assert action == {
        "document_type": "sale",
        "id": 1,
        "request": report.request,
        "action": "send_again",
        "actor": "Trần Lan",
        "reason_code": REFUSED,
    }


async def test_sending_again_skips_a_sale_that_did_not_fail_and_says_why(
    again: SendAgain, point_of_sale: PointOfSale
) -> None:
    passed_over = {
        "SYNC_SUCCESS": Why.ACCEPTED,
        "PENDING_SYNC": Why.WAITS_ALREADY,
        "CANCELLED": Why.WITHDRAWN,
        "CANCEL_FAILED": Why.NOT_WITHDRAWN,
        "PENDING_CANCEL": Why.BEING_WITHDRAWN,
        "VOID": Why.NOT_OURS,
    }
    ids = range(1, len(passed_over) + 1)
    for id_, status in zip(ids, passed_over, strict=True):
        await point_of_sale.sell(id_, status=status)
    before = [await point_of_sale.row(id_) for id_ in ids]
    report = await again.apply_to_ids([*ids, 9, 1], actor="Lan")
    assert not report.done
    assert why(report.passed_over) == {**dict(zip(ids, passed_over.values(), strict=True)), 9: Why.VANISHED}
    assert [await point_of_sale.row(id_) for id_ in ids] == before
    assert await actions(point_of_sale) == []


@pytest.mark.parametrize("status", ["CANCELLED", "CANCEL_FAILED"])
async def test_a_withdrawn_sale_is_sent_again_only_with_its_status_named(
    status: Literal["CANCELLED", "CANCEL_FAILED"], db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, status=status)
    await failed(point_of_sale, 2)
    expressly = SendAgain(db, SALE, ZONE, status)
    assert (await expressly.apply_to_search(Search(), actor="Lan")).done == [1]
    assert why((await expressly.apply_to_ids([1, 2], actor="Lan")).passed_over) == {
        1: Why.WAITS_ALREADY,
        2: Why.FAILED_TO_BE_SENT,
    }
    assert (await point_of_sale.row(1))["status"] == "PENDING_SYNC"


# ---- withdraw ----


async def test_withdrawing_makes_sales_pending_and_records_the_person(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, status="SYNC_SUCCESS")
    await failed(point_of_sale, 2)
    await point_of_sale.sell(3, status="CANCEL_FAILED")
    state = await point_of_sale.state(2)
    report = await Withdraw(db, SALE, ZONE).apply_to_ids([1, 2, 3], actor="Lan")
    assert sorted(report.done) == [1, 2, 3]
    assert {(await point_of_sale.row(id_))["status"] for id_ in (1, 2, 3)} == {"PENDING_CANCEL"}
    assert await point_of_sale.state(2) == state, "its change event requests it"
    recorded = [
        (each["id"], each["action"], each["actor"], each["reason_code"]) for each in await actions(point_of_sale)
    ]
    assert recorded == [(1, "withdraw", "Lan", None), (2, "withdraw", "Lan", REFUSED), (3, "withdraw", "Lan", None)]


async def test_withdrawing_skips_what_makes_no_sense_and_says_why(db: SalesDb, point_of_sale: PointOfSale) -> None:
    for id_, status in enumerate(("PENDING_SYNC", "PENDING_CANCEL", "CANCELLED", "VOID"), start=1):
        await point_of_sale.sell(id_, status=status)
    before = [await point_of_sale.row(id_) for id_ in range(1, 5)]
    report = await Withdraw(db, SALE, ZONE).apply_to_ids(range(1, 6), actor="Lan")
    assert why(report.passed_over) == {
        1: Why.NOT_SENT_YET,
        2: Why.BEING_WITHDRAWN,
        3: Why.WITHDRAWN_ALREADY,
        4: Why.NOT_OURS,
        5: Why.VANISHED,
    }
    assert [await point_of_sale.row(id_) for id_ in range(1, 5)] == before
    assert await actions(point_of_sale) == []


async def test_a_search_withdraws_accepted_sales_and_others_only_by_their_status(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2, shop="SHOP-1", status="SYNC_SUCCESS")
    await failed(point_of_sale, 3)
    await point_of_sale.sell(4, shop="SHOP-2", status="SYNC_SUCCESS")
    found = Search(shop="SHOP-1")
    assert sorted((await Withdraw(db, SALE, ZONE).apply_to_search(found, actor="Lan")).done) == [1, 2]
    assert (await Withdraw(db, SALE, ZONE, "SYNC_FAILED").apply_to_search(found, actor="Lan")).done == [3]
    assert (await point_of_sale.row(4))["status"] == "SYNC_SUCCESS"


# ---- send again, twice ----


async def test_a_sale_requested_twice_is_sent_again_once(again: SendAgain, point_of_sale: PointOfSale) -> None:
    await failed(point_of_sale, 1)
    assert (await again.apply_to_ids([1], actor="Lan")).done == [1]
    assert why((await again.apply_to_ids([1], actor="Hoa")).passed_over) == {1: Why.WAITS_ALREADY}
    assert [action["actor"] for action in await actions(point_of_sale)] == ["Lan"]


async def test_a_sale_that_failed_under_an_earlier_system_can_be_sent_again(
    again: SendAgain, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    assert (await again.apply_to_ids([1], actor="Lan")).done == [1]
    assert [(action["id"], action["reason_code"]) for action in await actions(point_of_sale)] == [(1, None)]


async def test_a_sale_sent_again_whose_event_is_lost_is_enrolled_as_possibly_stored(
    again: SendAgain, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await failed(point_of_sale, 1)
    await again.apply_to_ids([1], actor="Lan")
    await Schedule(db, SALE).enroll(0, 10)
    state = await point_of_sale.state(1)
    assert (state["sent_hash"], state["tries"]) == (ANY_VERSION, 0)
    assert state["next_attempt_at"] is not None


async def test_all_sales_with_one_reason_are_counted_first_and_then_sent_again(
    again: SendAgain, point_of_sale: PointOfSale
) -> None:
    await failed(point_of_sale, 1, 2)
    await failed(point_of_sale, 3, shop="SHOP-2")
    await failed(point_of_sale, 4, code=Code.NO_LINES.value)
    await waiting(point_of_sale, 5)
    assert await again.count(Search()) == {REFUSED: 3, Code.NO_LINES: 1}
    mine = Search(reason=REFUSED, shop="SHOP-1")
    assert await again.count(mine) == {REFUSED: 2}
    assert await actions(point_of_sale) == []
    assert sorted((await again.apply_to_search(mine, actor="Lan")).done) == [1, 2]
    assert [(await point_of_sale.row(id_))["status"] for id_ in (1, 2, 3, 4)] == ["PENDING_SYNC"] * 2 + [
        "SYNC_FAILED"
    ] * 2
    later = Search(since=datetime(2999, 1, 1))  # noqa: DTZ001 - the wall clock
    assert (await again.apply_to_search(later, actor="Lan")).done == []


async def test_sending_many_sales_again_runs_in_bounded_batches_and_reports_its_progress(
    again: SendAgain, point_of_sale: PointOfSale
) -> None:
    await failed(point_of_sale, *range(1, 302))
    seen: list[tuple[int, int]] = []
    report = await again.apply_to_search(
        Search(), actor="Lan", most=300, progress=lambda done, of: seen.append((done, of))
    )
    assert seen == [(128, 300), (256, 300), (300, 300)]
    assert (sorted(report.done), report.is_cut) == (list(range(1, 301)), True)
    assert {action["request"] for action in await actions(point_of_sale)} == {report.request}
    assert (await again.apply_to_search(Search(), actor="Lan", most=300)).done == [301]


@pytest.mark.parametrize("actor", ["", "  \n ", "x" * 101])
async def test_an_action_without_a_person_is_refused(
    again: SendAgain, now: SendNow, point_of_sale: PointOfSale, actor: str
) -> None:
    await failed(point_of_sale, 1)
    for action in (again, now):
        with pytest.raises(ValueError, match="the name recorded with the sale"):
            await action.apply_to_ids([1], actor=actor)
        with pytest.raises(ValueError, match="the name recorded with the sale"):
            await action.apply_to_search(Search(), actor=actor)
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


async def test_a_row_that_a_trigger_refuses_delays_no_other_action(
    again: SendAgain, point_of_sale: PointOfSale, database: Database
) -> None:
    await failed(point_of_sale, *range(1, 8))
    await database.refuse(5, "not this one")
    report = await again.apply_to_search(Search(), actor="Lan")
    assert sorted(report.done) == [1, 2, 3, 4, 6, 7]
    assert report.passed_over == [PassedOver(5, Why.REFUSED_BY_DATABASE)]
    assert [action["id"] for action in await actions(point_of_sale)] == [1, 2, 3, 4, 6, 7]
    await database.accept(5)
    assert (await again.apply_to_ids([5], actor="Lan")).done == [5]


@on_postgresql
async def test_a_row_that_a_point_of_sale_keeps_locked_delays_no_other_action(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await failed(point_of_sale, 1, 2, 3)
    loop = asyncio.get_running_loop()

    def hold(tx: Transaction) -> list[Any]:
        tx.execute("UPDATE dbo.SalesInvoices SET customer_name = 'x' WHERE id = 2")
        sending = SendAgain(db, SALE, ZONE).apply_to_ids([1, 2, 3], actor="Lan")
        report = asyncio.run_coroutine_threadsafe(sending, loop).result(20)
        assert sorted(report.done) == [1, 3]
        return list(report.passed_over)

    assert await point_of_sale.db.transaction(hold) == [PassedOver(2, Why.LOCKED)]


@on_postgresql
async def test_an_action_that_the_database_refuses_for_all_rows_is_one_error(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    """This happens where `sale_action.sql` was not run."""
    await failed(point_of_sale, 1, 2, 3)
    await point_of_sale.run("DROP TABLE dbo.SaleAction")
    with pytest.raises(StoreError, match="42P01"):
        await SendAgain(db, SALE, ZONE).apply_to_ids([1, 2, 3], actor="Lan")
    assert {(await point_of_sale.row(id_))["status"] for id_ in (1, 2, 3)} == {"SYNC_FAILED"}


async def test_an_action_reports_a_broken_database_at_once(point_of_sale: PointOfSale, database: Database) -> None:
    await failed(point_of_sale, 1, 2)
    db = Breaking(database.settings())
    await db.open()
    db.breaks = database.break_connection
    with pytest.raises(StoreUnavailable):
        await SendAgain(db, SALE, ZONE).apply_to_ids([1, 2], actor="Lan")
    await db.close()
    assert {(await point_of_sale.row(id_))["status"] for id_ in (1, 2)} == {"SYNC_FAILED"}


class Breaking(SalesDb):
    breaks: Callable[[Transaction], None] | None = None

    async def transaction(self, work: Callable[[Transaction], Any]) -> Any:
        return await super().transaction(self.breaks or work)


# ---- send now ----


async def test_sending_now_makes_a_pending_sale_due_and_records_the_person(
    now: SendNow, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await waiting(point_of_sale, 1, 2)
    before, row = await point_of_sale.state(1), await point_of_sale.row(1)
    began = await db.now_ms()
    report = await now.apply_to_ids([1], actor="Lan")
    assert (list(report.done), list(report.passed_over)) == ([1], [])
    state = await point_of_sale.state(1)
    assert began <= state["next_attempt_at"] <= await db.now_ms()
    assert state | {"next_attempt_at": FAR} == before
    assert await point_of_sale.row(1) == row
    assert [item.id for item in await Schedule(db, SALE).due(10, 0)] == [1]
    assert [(a["id"], a["action"], a["actor"], a["reason_code"]) for a in await actions(point_of_sale)] == [
        (1, "send_now", "Lan", AWAY)
    ]


async def test_sending_now_skips_a_claimed_sale_and_says_why(
    now: SendNow, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    soon = await db.now_ms() + 60_000
    await waiting(point_of_sale, 1, lease_until=soon, next_attempt_at=soon, attempt=4)  # an attempt is running
    await waiting(point_of_sale, 2, lease_until=soon, sent_hash="ab")  # told as in doubt
    await waiting(point_of_sale, 3, owner=ENQUEUED)  # on `sale-retry`
    await waiting(point_of_sale, 4, next_attempt_at=5)
    await point_of_sale.sell(5)
    await waiting(point_of_sale, 6, attempt=0, published_attempt=0)  # its change event may be on its way
    await waiting(point_of_sale, 7, next_attempt_at=None)  # asked for again
    await failed(point_of_sale, 8)
    for id_, status in ((9, "SYNC_SUCCESS"), (10, "CANCELLED")):
        await point_of_sale.sell(id_, status=status)
        await point_of_sale.sync(id_, attempt=1, published_attempt=1, next_attempt_at=FAR)
    before = [await point_of_sale.state(id_) for id_ in range(1, 11)]
    report = await now.apply_to_ids(range(1, 12), actor="Lan")
    assert not report.done
    assert why(report.passed_over) == {
        1: Why.BEING_SENT,
        2: Why.IN_DOUBT,
        3: Why.DUE_ALREADY,
        4: Why.DUE_ALREADY,
        5: Why.NOT_SEEN_YET,
        6: Why.NOT_SEEN_YET,
        7: Why.NOT_SEEN_YET,
        8: Why.FAILED,
        9: Why.ACCEPTED,
        10: Why.WITHDRAWN_ALREADY,
        11: Why.VANISHED,
    }
    assert {each.until_ms for each in report.passed_over} == {soon, None}
    assert [await point_of_sale.state(id_) for id_ in range(1, 11)] == before
    assert await actions(point_of_sale) == []


async def test_a_sale_that_waits_to_be_withdrawn_is_withdrawn_now(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await waiting(point_of_sale, 1)
    await point_of_sale.sell(2, status="PENDING_CANCEL")
    await point_of_sale.sync(2, attempt=3, published_attempt=3, next_attempt_at=FAR, attempts_since=5)
    assert (await SendNow(db, SALE, "PENDING_CANCEL").apply_to_search(Search(), actor="Lan")).done == [2]
    assert (await point_of_sale.state(2))["next_attempt_at"] < FAR
    assert (await point_of_sale.state(1))["next_attempt_at"] == FAR


async def test_sending_now_accepts_a_sale_in_doubt_after_its_lease(now: SendNow, point_of_sale: PointOfSale) -> None:
    await waiting(point_of_sale, 1, lease_until=1_000, sent_hash="ab")
    assert (await now.apply_to_ids([1], actor="Lan")).done == [1]
    assert (await point_of_sale.state(1))["sent_hash"] == "ab"


async def test_all_sales_that_wait_for_one_reason_are_sent_now(now: SendNow, point_of_sale: PointOfSale) -> None:
    await waiting(point_of_sale, 1, 2)
    await waiting(point_of_sale, 3, code=Code.LOGIN_REFUSED.value)
    await waiting(point_of_sale, 4, shop="SHOP-2")
    search = Search(reason=AWAY)
    assert await now.count(search) == {AWAY: 3}
    assert sorted((await now.apply_to_search(search, actor="Lan")).done) == [1, 2, 4]
    assert (await point_of_sale.state(3))["next_attempt_at"] == FAR


class ClaimedMeanwhile(SalesDb):
    """Claims the sale between reading and writing, as another worker may."""

    async def transaction(self, work: Callable[[Transaction], Any]) -> Any:
        def first(tx: Transaction) -> Any:
            return work(_Claiming(tx))

        return await super().transaction(first)


class _Claiming(Transaction):
    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx._cursor, tx.dialect)

    def execute(self, sql: str, parameters: Any = ()) -> None:
        if sql.startswith("UPDATE dbo.SaleSync SET next_attempt_at"):
            super().execute("UPDATE dbo.SaleSync SET attempt = 4, lease_until = ?", [FAR])
        super().execute(sql, parameters)


async def test_a_claim_that_comes_before_send_now_keeps_its_sale(
    point_of_sale: PointOfSale, database: Database
) -> None:
    await waiting(point_of_sale, 1)
    db = ClaimedMeanwhile(database.settings())
    await db.open()
    report = await SendNow(db, SALE).apply_to_ids([1], actor="Lan")
    await db.close()
    assert (list(report.done), why(report.passed_over)) == ([], {1: Why.BEING_SENT})
    assert (await point_of_sale.state(1))["next_attempt_at"] == FAR
    assert await actions(point_of_sale) == []


async def test_a_sale_sent_now_can_be_claimed(now: SendNow, db: SalesDb, point_of_sale: PointOfSale) -> None:
    await waiting(point_of_sale, 1)
    await now.apply_to_ids([1], actor="Lan")
    [claim] = await SyncStates(db, lease_ms=1000).claim(SALE.name, SALE.table, [ClaimRequest(1, 3, "ab", 5, 1)])
    assert claim is not None


def test_every_reason_to_skip_a_sale_has_a_text_in_both_languages() -> None:
    assert set(WHY_TEXTS) == set(Why)
    assert all(vi and en for vi, en in WHY_TEXTS.values())


# ---- send corrections ----


async def test_a_correction_is_requested_for_marked_sales_alone_and_recorded(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    changed = SendChanged(db, SALE, ZONE)
    await accept(point_of_sale, 1, 2, changed_at=5)
    await accept(point_of_sale, 3)
    await accept(point_of_sale, 4, 5, 6, changed_at=5)
    for id_, status in ((4, "PENDING_SYNC"), (5, "SYNC_FAILED"), (6, "CANCELLED")):
        await point_of_sale.set_status(id_, status)
    assert await changed.count(Search()) == {None: 2}
    assert await changed.count(Search(shop="SHOP-2")) == {}
    state = await point_of_sale.state(1)
    report = await changed.apply_to_ids([1, 3, 4, 5, 6, 7], actor="Lan")
    assert list(report.done) == [1]
    expected = {3: Why.AS_ACCEPTED, 4: Why.WAITS_ALREADY, 5: Why.FAILED, 6: Why.WITHDRAWN, 7: Why.VANISHED}
    assert why(report.passed_over) == expected
    assert (await point_of_sale.row(1))["status"] == "PENDING_SYNC"
    assert await point_of_sale.state(1) == state, "like every sale that is requested again"
    assert [(each["id"], each["action"], each["actor"]) for each in await actions(point_of_sale)] == [
        (1, "send_changed", "Lan")
    ]
    assert list((await changed.apply_to_search(Search(), actor="Lan")).done) == [2]
    assert await changed.count(Search()) == {}


async def test_the_list_of_changed_sales_has_pages_and_filters(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await accept(point_of_sale, 1, 2, 3, changed_at=7)
    await accept(point_of_sale, 4)
    sales = Sales(db, SALE)
    first = await sales.page("CHANGED", most=2)
    assert [(sale.id, sale.changed_at) for sale in first.sales] == [(3, 7), (2, 7)]
    second = await sales.page("CHANGED", most=2, after=first.next)
    assert ([sale.id for sale in second.sales], second.next) == ([1], None)
    assert [sale.id for sale in (await sales.page("CHANGED", Search(document_code="hd-2"))).sales] == [2]
    assert await sales.count("CHANGED") == {None: 3}
    assert (await Figures(db, SALE, ZONE).now()).changed == 3
