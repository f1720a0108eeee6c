"""Tests the queries of an operator: counts, the last day, shops, lists, and one sale."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from streams.documents.sale import SALE
from streams.domain.local_time import bucket_edges, local_time, to_ms
from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import status_reason
from streams.operators.desk.figures import Figures, FinalCount
from streams.operators.desk.sale_card import RecordedAction, SaleCard
from streams.operators.desk.sale_lists import Sales
from streams.operators.desk.search import Search
from streams.operators.desk.shops import Shops
from streams.stores.journal import JournalUnavailable
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import settings_for
from tests.contract.stores.point_of_sale import PointOfSale

ZONE = settings_for().zone
NAME = "Nguyễn Thị Ánh"


@pytest.fixture
async def here(db: SalesDb) -> datetime:
    """Return the local time at the pharmacy."""
    return local_time(await db.now_ms(), ZONE)


async def sold(
    point_of_sale: PointOfSale, id_: int, status: str, at: datetime, *, shop: str = "SHOP-1", **state: Any
) -> None:
    await point_of_sale.sell(id_, shop=shop, status=status)
    await point_of_sale.run("UPDATE dbo.SalesInvoices SET updated_at = ? WHERE id = ?", at, id_)
    if state:
        await point_of_sale.sync(id_, attempt=1, published_attempt=1, **state)


async def test_the_current_figures_count_sales_by_status_and_reason(
    db: SalesDb, point_of_sale: PointOfSale, here: datetime
) -> None:
    midnight = datetime.combine(here.date(), datetime.min.time())
    await sold(point_of_sale, 1, "SYNC_SUCCESS", midnight, ever_accepted=1)
    await sold(point_of_sale, 2, "SYNC_SUCCESS", midnight - timedelta(milliseconds=1), ever_accepted=1)
    await sold(point_of_sale, 3, "SYNC_FAILED", here, reason_code=Code.API_REFUSED.value)
    await sold(point_of_sale, 4, "SYNC_FAILED", midnight - timedelta(days=9), reason_code=Code.NO_LINES.value)
    await sold(point_of_sale, 5, "SYNC_FAILED", here)  # by what was there before this system
    await sold(
        point_of_sale, 6, "PENDING_SYNC", here, reason_code=Code.UNREACHABLE.value, next_attempt_at=9, attempts_since=7
    )
    await sold(point_of_sale, 7, "PENDING_SYNC", here)
    await sold(point_of_sale, 8, "PENDING_SYNC", here, reason_code=Code.API_REFUSED.value)  # asked for again
    await sold(point_of_sale, 9, "CANCELLED", here)
    await point_of_sale.run("INSERT INTO dbo.SaleSync (document_type, id, reason_code) VALUES ('other', 7, 'no_lines')")
    now = await Figures(db, SALE, ZONE).now()
    assert (now.day, now.of_day) == (here.date(), FinalCount(midnight, sent=1, failed=2))
    assert now.failed == {Code.API_REFUSED: 1, Code.NO_LINES: 1, None: 1}
    assert now.waiting == {Code.UNREACHABLE: 1, None: 2}
    assert (now.failed_total, now.waiting_total) == (3, 3)
    yesterday = await Figures(db, SALE, ZONE).now(here.date() - timedelta(days=1))
    assert (yesterday.of_day.sent, yesterday.of_day.failed, yesterday.waiting) == (1, 0, now.waiting)


async def test_an_empty_database_gives_empty_figures_and_lists(db: SalesDb) -> None:
    now = await Figures(db, SALE, ZONE).now()
    assert (now.of_day.sent, now.of_day.failed, now.waiting, now.failed, now.oldest) == (0, 0, {}, {}, None)
    assert [(hour.sent, hour.failed) for hour in await Figures(db, SALE, ZONE).last_day()] == [(0, 0)] * 24
    assert (await Shops(db, SALE, ZONE).page()).shops == []
    assert (await Sales(db, SALE).page("SYNC_FAILED")).sales == []


async def test_the_oldest_waiting_sale_is_the_one_requested_first_with_its_reason(
    db: SalesDb, point_of_sale: PointOfSale, here: datetime
) -> None:
    now_ms = to_ms(here, ZONE)
    figures = Figures(db, SALE, ZONE)
    await sold(point_of_sale, 1, "PENDING_SYNC", here - timedelta(minutes=9))  # nobody has seen it
    oldest = (await figures.now()).oldest
    assert oldest is not None
    assert (oldest.id, oldest.document_code, oldest.reason) == (1, "HD-1", None)
    assert abs(now_ms - 9 * 60_000 - oldest.since_ms) < 10
    # Its note was written a moment ago, but it waits since an hour.
    login = Code.LOGIN_REFUSED.value
    await sold(
        point_of_sale, 2, "PENDING_SYNC", here, reason_code=login, next_attempt_at=9, attempts_since=now_ms - 3_600_000
    )
    # Asked for again a moment ago: what was long ago is another asking's.
    await sold(point_of_sale, 3, "PENDING_SYNC", here, reason_code=Code.NO_LINES.value, attempts_since=5)
    await sold(point_of_sale, 4, "SYNC_SUCCESS", here, next_attempt_at=9, attempts_since=5)
    oldest = (await figures.now()).oldest
    assert oldest is not None
    assert (oldest.id, oldest.shop, oldest.since_ms, oldest.reason) == (2, "SHOP-1", now_ms - 3_600_000, login)


async def test_the_last_day_is_counted_by_hour(db: SalesDb, point_of_sale: PointOfSale, here: datetime) -> None:
    hour = here.replace(minute=0, second=0, microsecond=0)
    first = hour - timedelta(hours=23)
    moments = [first - timedelta(milliseconds=1), first, first + timedelta(minutes=59), hour, here]
    for id_, moment in enumerate(moments, start=1):
        await sold(point_of_sale, id_, "SYNC_SUCCESS", moment)
    await sold(point_of_sale, 9, "SYNC_FAILED", hour - timedelta(milliseconds=1))
    hours = await Figures(db, SALE, ZONE).last_day()
    assert [each.starts for each in hours] == [first + timedelta(hours=n) for n in range(24)]
    counts = {place: (each.sent, each.failed) for place, each in enumerate(hours) if each.sent or each.failed}
    assert counts == {0: (2, 0), 22: (0, 1), 23: (2, 0)}


async def test_the_sending_rate_is_that_of_the_last_whole_minutes(
    db: SalesDb, point_of_sale: PointOfSale, here: datetime
) -> None:
    minute = here.replace(second=0, microsecond=0)
    for id_ in range(1, 11):
        await sold(point_of_sale, id_, "SYNC_SUCCESS", minute - timedelta(seconds=20 * id_))
    await sold(point_of_sale, 11, "SYNC_SUCCESS", minute - timedelta(minutes=7))
    assert (await Figures(db, SALE, ZONE).now()).sent_per_minute in (2.0, 1.4)  # 1.4: a minute began since then


def test_the_last_time_bucket_is_the_current_one() -> None:
    assert bucket_edges(datetime(2026, 11, 24, 0, 30), timedelta(hours=1), 2) == [  # noqa: DTZ001
        datetime(2026, 11, 23, 23),  # noqa: DTZ001
        datetime(2026, 11, 24, 0),  # noqa: DTZ001
        datetime(2026, 11, 24, 1),  # noqa: DTZ001
    ]


async def test_shops_are_listed_with_their_counts_and_log_in_problem(
    db: SalesDb, point_of_sale: PointOfSale, here: datetime
) -> None:
    await point_of_sale.open_account("GOOD", "a", "p")
    await point_of_sale.open_account("TWO", "a", "p")
    await point_of_sale.open_account("TWO", "b", "p")
    await point_of_sale.open_account("CLOSED", "a", "p", status=0)
    await point_of_sale.open_account("REFUSED", "a", "p")
    before = here - timedelta(days=40)
    await sold(point_of_sale, 1, "SYNC_SUCCESS", here, shop="GOOD")
    await sold(point_of_sale, 2, "SYNC_SUCCESS", before, shop="GOOD")
    await sold(point_of_sale, 3, "SYNC_FAILED", before, shop="GOOD", reason_code=Code.NO_LINES.value)
    await sold(point_of_sale, 4, "PENDING_SYNC", here, shop="GOOD", reason_code=Code.TIMED_OUT.value)
    await sold(point_of_sale, 5, "SYNC_SUCCESS", before, shop="REFUSED")
    await sold(point_of_sale, 6, "PENDING_SYNC", here, shop="REFUSED", reason_code=Code.LOGIN_REFUSED.value)
    await sold(point_of_sale, 7, "PENDING_SYNC", here, shop="UNKNOWN", reason_code=Code.NO_ACCOUNT.value)
    page = await Shops(db, SALE, ZONE).page()
    assert page.next is None
    stands = {s.code: (s.sent_today, s.failed, s.waiting, s.problem) for s in page.shops}
    assert stands == {
        "CLOSED": (0, 0, 0, Code.NO_ACCOUNT),
        "GOOD": (1, 1, 1, None),
        "REFUSED": (0, 0, 1, Code.LOGIN_REFUSED),
        "TWO": (0, 0, 0, Code.SEVERAL_ACCOUNTS),
        "UNKNOWN": (0, 0, 1, Code.NO_ACCOUNT),
    }
    last = {shop.code: shop.last_success for shop in page.shops}
    assert (last["GOOD"], last["REFUSED"], last["TWO"]) == (here, before, None)


async def test_shops_are_listed_by_page_and_found_by_code_or_name(db: SalesDb, point_of_sale: PointOfSale) -> None:
    for number in range(1, 8):
        await point_of_sale.open_account(f"S-{number}", "a", "p")
    await point_of_sale.run(
        "UPDATE dbo.AccountShop SET shop_name = 'Nhà thuốc 100% Tốt' WHERE shop_pharmacy_code = 'S-3'"
    )
    shops = Shops(db, SALE, ZONE)
    first = await shops.page(most=3)
    second = await shops.page(most=3, after=first.next or "")
    third = await shops.page(most=3, after=second.next or "")
    codes = [[shop.code for shop in page.shops] for page in (first, second, third)]
    assert codes == [["S-1", "S-2", "S-3"], ["S-4", "S-5", "S-6"], ["S-7"]]
    assert third.next is None
    assert [shop.code for shop in (await shops.page(search=" s-7 ")).shops] == ["S-7"]
    assert [shop.code for shop in (await shops.page(search="100% t")).shops] == ["S-3"]
    assert [shop.code for shop in (await shops.page(search="_")).shops] == []


async def walk(sales: Sales, search: Search, most: int) -> list[int]:
    ids: list[int] = []
    after = None
    while True:
        page = await sales.page("SYNC_FAILED", search, after=after, most=most)
        ids += [sale.id for sale in page.sales]
        if (after := page.next) is None:
            return ids


@pytest.mark.parametrize("most", [1, 2, 3, 10])
async def test_failures_are_listed_newest_first_each_on_one_page(
    db: SalesDb, point_of_sale: PointOfSale, here: datetime, most: int
) -> None:
    for id_, minutes in enumerate([5, 5, 5, 1, 9, 5], start=1):
        await sold(
            point_of_sale, id_, "SYNC_FAILED", here - timedelta(minutes=minutes), reason_code=Code.NO_LINES.value
        )
    await sold(point_of_sale, 7, "PENDING_SYNC", here, reason_code=Code.UNREACHABLE.value)
    assert await walk(Sales(db, SALE), Search(), most) == [4, 6, 3, 2, 1, 5]


async def test_failures_are_found_by_code_shop_reason_and_day(db: SalesDb, point_of_sale: PointOfSale) -> None:
    day = date(2026, 11, 20)
    noon = datetime(2026, 11, 20, 12)  # noqa: DTZ001 - the wall clock
    await sold(point_of_sale, 10, "SYNC_FAILED", noon, shop="A", reason_code=Code.NO_LINES.value)
    await sold(point_of_sale, 11, "SYNC_FAILED", noon, shop="B", reason_code=Code.API_REFUSED.value)
    await sold(
        point_of_sale, 12, "SYNC_FAILED", noon + timedelta(hours=12), shop="A", reason_code=Code.API_REFUSED.value
    )
    sales = Sales(db, SALE)
    assert await walk(sales, Search(document_code="hd-1"), 9) == [12, 11, 10]
    assert await walk(sales, Search(document_code="_"), 9) == []
    assert await walk(sales, Search(shop="A"), 9) == [12, 10]
    assert await walk(sales, Search(reason=Code.API_REFUSED), 9) == [12, 11]
    assert await walk(sales, Search(day=day), 9) == [11, 10]
    assert await walk(sales, Search(since=noon + timedelta(milliseconds=1)), 9) == [12]
    assert await walk(sales, Search(document_code="11", shop="B", reason=Code.API_REFUSED, day=day), 9) == [11]
    assert await sales.count("SYNC_FAILED", Search(shop="A")) == {Code.NO_LINES: 1, Code.API_REFUSED: 1}
    oldest = await sales.ids("SYNC_FAILED", Search(), most=2)
    assert oldest.ids == [10, 11]
    assert (await sales.ids("SYNC_FAILED", Search(), most=1, after=oldest.next)).ids == [12]


async def test_a_listed_sale_shows_its_state_and_no_personal_data(
    db: SalesDb, point_of_sale: PointOfSale, here: datetime
) -> None:
    await sold(
        point_of_sale, 1, "PENDING_SYNC", here, reason_code=Code.TIMED_OUT.value, next_attempt_at=4_000_000_000_000
    )
    await sold(point_of_sale, 2, "PENDING_SYNC", here)
    await point_of_sale.run("UPDATE dbo.SalesInvoices SET national_invoice_id = 'QG-1' WHERE id = 1")
    unseen, seen = (await Sales(db, SALE).page("PENDING_SYNC")).sales
    assert (seen.document_code, seen.pharmacy_code, seen.shop, seen.national_id) == ("HD-1", "79-1", "SHOP-1", "QG-1")
    assert (seen.updated_at, seen.reason, seen.attempt) == (here, Code.TIMED_OUT, 1)
    assert seen.next_attempt_at == 4_000_000_000_000
    assert (unseen.reason, unseen.attempt, unseen.next_attempt_at) == (None, 0, None)
    assert NAME not in repr((unseen, seen))


async def test_a_listed_sale_names_its_broken_rules_and_nothing_that_others_wrote(
    db: SalesDb, point_of_sale: PointOfSale, here: datetime
) -> None:
    rules = (BrokenRule("hoa_don_chi_tiet[2].so_lo", "required"), BrokenRule("ngay_ban", "not_in_future"))
    message = status_reason(Reason(Code.RULES_BROKEN, details=rules), SALE.labels, SALE.nouns).message
    texts = {
        1: f"{message.vi}\n{message.en}\nAPI: {NAME}",
        2: f"{NAME}\n{NAME}\nAPI: line 2, lot number (so_lo) is required;",
        3: None,
    }
    for id_, text in texts.items():
        await sold(point_of_sale, id_, "SYNC_FAILED", here, reason_code=Code.RULES_BROKEN.value)
        await point_of_sale.run("UPDATE dbo.SalesInvoices SET sync_response_message = ? WHERE id = ?", text, id_)
    listed = (await Sales(db, SALE).page("SYNC_FAILED")).sales
    assert {sale.id: sale.particulars.broken_rules for sale in listed} == {1: rules, 2: (), 3: ()}
    assert NAME not in repr(listed)
    await point_of_sale.set_status(1, "PENDING_SYNC")
    [requested_again] = (await Sales(db, SALE).page("PENDING_SYNC")).sales
    assert (requested_again.reason, requested_again.particulars.broken_rules) == (None, ())


@pytest.mark.parametrize("place", ["", "7", "2026-11-24~x", "yesterday~7"])
async def test_an_invalid_position_in_a_list_is_refused_with_a_text(db: SalesDb, place: str) -> None:
    with pytest.raises(ValueError, match="not a position in a list"):
        await Sales(db, SALE).page("SYNC_FAILED", after=place)


class Journal:
    """Stands in for `streams.stores.journal.Journal`, which is tested on real servers."""

    def __init__(self, *decisions: Mapping[str, Any], error: Exception | None = None) -> None:
        self._decisions = list(decisions)
        self._error = error

    async def history(
        self, document_type: str, pharmacy_code: str, document_code: str, most: int
    ) -> list[Mapping[str, Any]]:
        if self._error:
            raise self._error
        return [d for d in self._decisions if (d["pharmacy"], d["code"]) == (pharmacy_code, document_code)]


class Silent:
    async def history(
        self, document_type: str, pharmacy_code: str, document_code: str, most: int
    ) -> list[Mapping[str, Any]]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def refused_sale(point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    await point_of_sale.add_lines(1, "DRUG-1", "DRUG-2")
    refusal = {"refused_attempt": 2, "refused_body": f'{{"ho_ten_khach_hang":"{NAME}"}}', "refused_text": "sai"}
    await point_of_sale.sync(
        1, attempt=2, published_attempt=2, sent_hash="*", reason_code=Code.API_REFUSED.value, **refusal
    )
    for action, at in (("send_again", 5), ("send_now", 6)):
        await point_of_sale.run(
            "INSERT INTO dbo.SaleAction VALUES ('sale', 1, ?, ?, 'Lan', ?, 'no_lines')", action[-3:], action, at
        )


async def test_the_card_of_a_sale_has_everything_known_about_it(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await refused_sale(point_of_sale)
    decision = {"pharmacy": "79-1", "code": "HD-1", "attempt": 2}
    sale = await SaleCard(db, SALE, Journal(decision)).read(1)
    assert sale is not None
    assert (sale.document_code, sale.pharmacy_code, sale.shop, sale.status) == ("HD-1", "79-1", "SHOP-1", "SYNC_FAILED")
    assert sale.header["customer_name"] == NAME
    assert {"created_at", "updated_at", "sale_date"} < set(sale.header)
    assert [line["drug_code"] for line in sale.lines] == ["DRUG-1", "DRUG-2"]
    assert sale.sync is not None
    assert (sale.sync.attempt, sale.sync.reason, sale.sync.may_be_stored) == (2, Code.API_REFUSED, True)
    assert sale.sync.refused_text == "sai"
    assert NAME in (sale.sync.refused_body or "")
    assert sale.actions == [
        RecordedAction("send_now", "Lan", 6, "no_lines"),
        RecordedAction("send_again", "Lan", 5, "no_lines"),
    ]
    assert sale.history == [decision]
    assert NAME not in repr(sale)


@pytest.mark.parametrize("journal", [Journal(error=JournalUnavailable("away")), Silent()])
async def test_the_card_of_a_sale_is_complete_but_for_its_history_without_the_journal(
    db: SalesDb, point_of_sale: PointOfSale, journal: Journal | Silent
) -> None:
    await refused_sale(point_of_sale)
    sale = await SaleCard(db, SALE, journal, journal_timeout=0.05).read(1)
    assert sale is not None
    assert (sale.history, sale.status, len(sale.lines)) == (None, "SYNC_FAILED", 2)


async def test_the_card_exists_for_an_unseen_sale_and_not_for_a_missing_one(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    card = SaleCard(db, SALE, Journal())
    sale = await card.read(1)
    assert sale is not None
    assert (sale.sync, list(sale.actions), sale.history) == (None, [], [])
    assert await card.read(2) is None


async def test_a_sale_is_found_by_its_code_and_pharmacy(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, 2)
    await point_of_sale.run(
        "UPDATE dbo.SalesInvoices SET local_invoice_id = 'HD-1', pharmacy_code = '79-2' WHERE id = 2"
    )
    card = SaleCard(db, SALE, Journal())
    assert await card.find("HD-1") == [1, 2]
    assert await card.find("HD-1", "79-2") == [2]
    assert await card.find("HD-") == []
