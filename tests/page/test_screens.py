"""Tests the text of the screens over HTTP, on a real database without a worker."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from streams.documents.sale import SALE
from streams.domain.local_time import local_time
from streams.domain.outcome import BrokenRule, Reason, TryLater
from streams.domain.reasons import ACCEPTANCES, FAILURES, REASON_TEXTS, Code
from streams.domain.sale_status import status_reason
from streams.operators.desk.shops import ShopPage
from streams.operators.page.request_params import REASONS
from streams.operators.page.worker_view import LastPoll
from streams.pipeline.outage_gate import OutageGate
from streams.runtime.outages import Component
from streams.stores.sales_db import SalesDb, StoreUnavailable
from tests.contract.stores.databases import Sqlite, settings_for
from tests.contract.stores.point_of_sale import PointOfSale
from tests.page.visitor import Place, visiting

REFUSED = Code.API_REFUSED.value


async def failed(point_of_sale: PointOfSale, *ids: int, code: Code = Code.API_REFUSED) -> None:
    await point_of_sale.sell(*ids, status="SYNC_FAILED")
    await point_of_sale.syncs(ids, attempt=1, published_attempt=1, reason_code=code.value)


async def test_the_first_screen_shows_all_figures(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    here = local_time(await db.now_ms(), database.settings().zone)
    await failed(point_of_sale, 1)
    await point_of_sale.sell(2)
    await point_of_sale.sell(3, status="SYNC_SUCCESS")
    await point_of_sale.run("UPDATE dbo.SalesInvoices SET updated_at = ?", here)
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        answer, text = await visitor.get("", **{"Accept-Language": "en-GB"})
        assert answer.status == 200
        assert re.findall(r'id="(sent|failed|waiting)">(\d+)<', text) == [
            ("sent", "1"),
            ("failed", "1"),
            ("waiting", "1"),
        ]
        for text_shown in (
            "HD-2",
            "There has been no attempt yet.",
            REASON_TEXTS[Code.API_REFUSED].en,
            "2 s after it was written",
            "It is running.",
        ):
            assert text_shown in text
        assert text.count('class="state ok"') == 8
        _, text = await visitor.get("", **{"Accept-Language": "vi"})
        assert REASON_TEXTS[Code.API_REFUSED].vi in text


async def test_an_outage_is_shown_in_plain_language(database: Sqlite, db: SalesDb, place: Place) -> None:
    place.connector = (False, None)
    with place.outages.reporter("redis", "start Redis") as waiting:
        waiting.report("Connection refused at redis")
        place.outages.add_source(place.admission.current_outage)
        gate: OutageGate = place.admission.gate
        for shop in "ababa":
            gate.ended(0, shop, TryLater(Reason(Code.UNREACHABLE)))
        async with visiting(database.settings(), place, db) as visitor:
            await visitor.sign_in()
            _, text = await visitor.get("", **{"Accept-Language": "vi"})
    assert "Hóa đơn vẫn được gửi; báo người quản trị để chạy lại Redis." in text
    assert f"{REASON_TEXTS[Code.UNREACHABLE].vi} Đang tạm dừng gửi." in text
    assert "Kafka Connect không trả lời" in text
    assert text.count('class="state ok"') == 5


@pytest.mark.parametrize(
    ("part", "vietnamese", "english"),
    [
        ("due", "đang giữ khóa vài hóa đơn", "keeps some sales locked"),
        ("capture", "không có tin báo thay đổi", "without change events"),
        ("transaction_log", "quầy không bán được hàng", "no till can sell"),
    ],
)
async def test_what_threatens_the_points_of_sale_is_shown_in_both_languages(
    database: Sqlite, db: SalesDb, place: Place, part: Component, vietnamese: str, english: str
) -> None:
    with place.outages.reporter(part, "act", holds_up_sales=False) as outage:
        outage.report("TECHNICAL")
        async with visiting(database.settings(), place, db) as visitor:
            await visitor.sign_in()
            _, first = await visitor.get("", **{"Accept-Language": "vi"})
            _, second = await visitor.get("", **{"Accept-Language": "en"})
    assert vietnamese in first
    assert english in second
    assert "TECHNICAL" in second


async def test_with_polling_the_page_shows_the_last_poll_and_no_connector(
    database: Sqlite, db: SalesDb, place: Place
) -> None:
    place.polls, place.connector = True, (False, None)
    place.polled = LastPoll(3.5, 0.012)
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        _, text = await visitor.get("", **{"Accept-Language": "en"})
        assert "Last asked 3 s ago; that took 12 ms." in text
        assert "connector" not in text.lower()
        assert "Debezium" not in text
        _, text = await visitor.get("", **{"Accept-Language": "vi"})
        assert "Lần hỏi gần nhất cách đây 3 giây, mất 12 ms." in text
        place.polled = None
        _, text = await visitor.get("", **{"Accept-Language": "en"})
        assert "Another worker does this at present." in text
        with place.outages.reporter("polling", "look", holds_up_sales=True) as failing:
            failing.report("asking for new sales: StoreError 42501")
            _, text = await visitor.get("", **{"Accept-Language": "vi"})
        assert "Không hỏi được hóa đơn mới" in text
        assert "StoreError 42501" in text


async def test_a_gate_closed_by_a_certificate_is_shown_with_its_action(
    database: Sqlite, db: SalesDb, place: Place
) -> None:
    place.outages.add_source(place.admission.current_outage)
    reason = Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", "unknown_issuer"),))
    for shop in "ababa":
        place.admission.gate.ended(0, shop, TryLater(reason))
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        _, text = await visitor.get("", **{"Accept-Language": "vi"})
    assert f"{status_reason(reason).message.vi} Đang tạm dừng gửi." in text
    assert "máy chủ không gửi kèm chứng chỉ trung gian" in text


@pytest.mark.parametrize("path", ["", "failures", "waiting", "shops", "sale/1", "sale?code=x"])
async def test_a_database_that_is_away_is_shown_in_a_sentence(
    database: Sqlite, db: SalesDb, place: Place, path: str
) -> None:
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        with database.away():
            with pytest.raises(StoreUnavailable):
                await db.transaction(database.break_connection)
            answer, text = await visitor.get(path)
            assert answer.status == (200 if path == "" else 503)
            assert "Cơ sở dữ liệu bán hàng không trả lời" in text
            assert 'data-every="3"' in text, "the page keeps trying"
        answer, text = await visitor.get(path)
        assert answer.status in (200, 404)


@pytest.mark.parametrize("path", ["", "failures"])
async def test_a_starting_worker_says_so(place: Place, path: str) -> None:
    async with visiting(settings_for(), place, None) as visitor:
        await visitor.sign_in()
        answer, text = await visitor.get(path)
        assert answer.status == (200 if path == "" else 503)
        assert "Máy gửi đang khởi động" in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("failures?day=yesterday", 400),
        ("failures?day=2026-02-30", 400),
        ("waiting?day=24%2F11%2F2026", 400),
        ("failures?day=20261124", 400),
        ("failures?day=9999-12-31", 400),
        ("failures?day=0001-01-01", 400),
        ("failures?day=2026-11-24%00", 200),
        ("failures?after=9999-12-31T23:59:59~1", 200),
        ("failures?after=2026-11-24T00:00:00~99999999999999999999", 400),
        ("documents/sale/", 404),
        ("failures?reason=nonsense", 400),
        ("failures?after=nonsense", 400),
        ("failures?code=%00%27%22%3Cb%3E&shop=%25", 200),
        ("failures?code=" + "x" * 3000, 200),
        ("shops?q=%5B%5D%27&after=%00", 200),
        ("sale/0", 404),
        ("sale/-1", 400),
        ("sale/99999999999", 404),
        ("sale/9223372036854775808", 400),
        ("sale/1%27", 400),
        ("sale?code=nobody", 404),
        ("nowhere", 404),
        ("static/nowhere.css", 404),
        ("static/..%2Fpage.py", 404),
    ],
)
async def test_an_unknown_address_or_method_gets_a_sentence(
    database: Sqlite, db: SalesDb, place: Place, path: str, status: int
) -> None:
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        answer, _ = await visitor.get(path)
        assert answer.status == status


@pytest.mark.parametrize(
    ("path", "language", "text_shown"),
    [
        ("failures?day=24/11/2026", "vi", "Ngày trong địa chỉ phải viết như 2026-11-24"),
        ("waiting?day=24/11/2026", "en", "The date in the address must be written like 2026-11-24"),
        ("failures?reason=nonsense", "en", "The reason in the address is not in the list."),
        ("failures?after=nonsense", "en", "The address was cut off or changed."),
    ],
)
async def test_an_invalid_address_is_explained_with_a_way_back(
    database: Sqlite, db: SalesDb, place: Place, path: str, language: str, text_shown: str
) -> None:
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        answer, text = await visitor.get(path, **{"Accept-Language": language})
    assert answer.status == 400
    assert text_shown in text
    assert f'<a href="/page/{path.partition("?")[0]}">' in text


@pytest.mark.parametrize(
    ("language", "moment", "day"),
    [("vi", "23/11/2026 08:00", "23/11/2026"), ("en", "23 Nov 2026, 08:00", "23 Nov 2026")],
)
async def test_times_and_dates_are_written_in_the_style_of_the_language(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, language: str, moment: str, day: str
) -> None:
    """The browser's own locale changes only its date field."""
    await failed(point_of_sale, 1)
    await point_of_sale.add_lines(1, "DRUG-1")
    headers = {"Accept-Language": language}
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        _, text = await visitor.get("failures?day=2026-11-23", **headers)
        assert f'class="time">{moment}<' in text
        assert re.search(rf'class="found">[^<]*, {day}<', text)
        assert 'type="date" value="2026-11-23"' in text
        _, text = await visitor.get("sale/1", **headers)
        assert text.count(f"<dd>{moment}</dd>") == 3, "sold, written, changed"
        assert f"<dd>{'31/01/2028' if language == 'vi' else '31 Jan 2028'}</dd>" in text
        for path in ("", "failures", "sale/1", "shops"):
            _, text = await visitor.get(path, **headers)
            shown = re.sub(r"<input[^>]*>", "", text)
            other = r"\d\d/\d\d/\d{4}" if language == "en" else r"\d{4}-\d\d-\d\d"
            assert re.findall(other, shown) == [], path


async def test_lists_are_paged_and_filtered(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await failed(point_of_sale, *range(1, 61))
    await failed(point_of_sale, 100, code=Code.NO_LINES)
    seen: list[str] = []
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        path: str | None = "failures"
        while path is not None:
            _, text = await visitor.get(path)
            seen += re.findall(r'href="/page/sale/(\d+)"', text)
            older = re.search(r'rel="next" href="/page/([^"]+)"', text)
            path = older[1].replace("&amp;", "&") if older else None
        assert sorted(map(int, seen)) == [*range(1, 61), 100]
        _, text = await visitor.get("failures?reason=no_lines")
        assert re.findall(r'href="/page/sale/(\d+)"', text) == ["100"]
        assert REASON_TEXTS[Code.NO_LINES].action_vi in text
        _, text = await visitor.get("failures?code=HD-6")
        assert set(re.findall(r'href="/page/sale/(\d+)"', text)) == {"6", "60"}
        answer, _ = await visitor.get("sale?code=HD-100")
        assert answer.headers["Location"] == "/page/sale/100"


class CountingDb:
    """Counts the transactions of the database that it stands before."""

    def __init__(self, db: SalesDb) -> None:
        self._db = db
        self.transactions = 0

    def __getattr__(self, name: str) -> Any:
        if name == "transaction":
            self.transactions += 1
        return getattr(self._db, name)


@pytest.mark.parametrize(
    ("language", "named", "more"),
    [
        ("vi", ["Dòng 2, số lô bắt buộc phải có", "Ngày bán là ngày trong tương lai"], "và các mục khác"),
        ("en", ["Line 2, lot number is required", "Day of sale is in the future"], "and others"),
    ],
)
async def test_each_failed_sale_of_a_list_names_its_broken_fields_without_a_query_of_its_own(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, language: str, named: list[str], more: str
) -> None:
    rules = [BrokenRule("hoa_don_chi_tiet[2].so_lo", "required"), BrokenRule("ngay_ban", "not_in_future")]
    await failed(point_of_sale, *range(1, 41), code=Code.RULES_BROKEN)
    for count, which in ((2, "id < 40"), (4, "id = 40")):
        details = tuple(rules * 2)[:count]
        message = status_reason(Reason(Code.RULES_BROKEN, details=details), SALE.labels, SALE.nouns).message
        text = f"{message.vi}\n{message.en}\nAPI: {REFUSED}"
        await point_of_sale.run(f"UPDATE dbo.SalesInvoices SET sync_response_message = ? WHERE {which}", text)  # noqa: S608
    counting: Any = CountingDb(db)
    async with visiting(database.settings(), place, counting) as visitor:
        await visitor.sign_in()
        _, text = await visitor.get("failures", **{"Accept-Language": language})
        assert counting.transactions == 2, "the page of the list, and the counts"
        _, card = await visitor.get("sale/1", **{"Accept-Language": language})
    for each in named:
        assert text.count(f"<li>{each}</li>") == (41 if each == named[0] else 40)
        assert f"<li>{each}</li>" in card
    assert text.count(f"<li>{more}</li>") == 1, "of the one with four"
    assert "API:" not in text


async def test_a_sale_is_withdrawn_after_a_confirmation(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await point_of_sale.sell(1, status="SYNC_SUCCESS")
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in("Lan")
        _, sale = await visitor.get("sale/1")
        assert "Hủy hóa đơn này trên hệ thống quốc gia" in sale
        fields = {"form": await visitor.form("sale/1"), "action": "withdraw", "id": "1"}
        _, text = await visitor.post("confirm", fields)
        assert "Hủy 1 hóa đơn?" in text
        assert "Được ghi lại dưới tên Lan." in text
        assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS", "nothing is done before it is confirmed"
        response, _ = await visitor.post("send", {"form": fields["form"], "action": "withdraw", "all": "1"})
        assert response.status == 400, "only sales that were seen"
        _, text = await visitor.post("send", fields)
        assert "1 hóa đơn sẽ được hủy ngay" in text
        _, text = await visitor.post("send", fields)
        assert "Không có hóa đơn nào được hủy" in text
        assert "Đang chờ hủy." in text
        _, sale = await visitor.get("sale/1")
        assert "Lan yêu cầu hủy" in sale
    assert (await point_of_sale.row(1))["status"] == "PENDING_CANCEL"
    [action] = await point_of_sale.rows("SELECT id, actor, action FROM dbo.SaleAction")
    assert action == {"id": 1, "actor": "Lan", "action": "withdraw"}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("PENDING_CANCEL", "Đang chờ hủy"),
        ("CANCELLED", "Đã hủy trên hệ thống quốc gia"),
        ("CANCEL_FAILED", "Hủy không được, hệ thống quốc gia vẫn còn"),
    ],
)
async def test_the_statuses_of_a_withdrawal_have_texts(
    status: str, text: str, database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await point_of_sale.sell(1, status=status)
    await point_of_sale.sync(1, attempt=1, published_attempt=1, reason_code=REFUSED)
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in("Lan")
        _, sale = await visitor.get("sale/1")
    assert text in sale
    assert ("không cho hủy hóa đơn" in sale) is (status == "CANCEL_FAILED")


async def test_all_sales_with_one_reason_are_sent_again_after_a_confirmation(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await failed(point_of_sale, 1, 2, 3)
    await failed(point_of_sale, 4, code=Code.NO_LINES)
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in(" Lan  Anh ")
        fields = {"form": await visitor.form("failures"), "action": "again", "all": "1", "reason": REFUSED}
        _, text = await visitor.post("confirm", fields)
        assert "Gửi lại 3 hóa đơn?" in text
        assert "Được ghi lại dưới tên Lan Anh." in text
        _, sought = await visitor.post("confirm", fields | {"shop": "SHOP-1", "code": "hd", "day": "2026-11-23"})
        sought = sought.partition('class="facts"')[2].partition("</dl>")[0]
        assert re.findall(r"<dd>([^<]*)</dd>", sought) == ["hd", "SHOP-1", "23/11/2026"], "what it would be is said"
        assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED", "nothing is done before it is confirmed"
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text))
        _, text = await visitor.post("send", hidden)
        assert "3 hóa đơn sẽ được gửi ngay" in text
        _, text = await visitor.post("send", [*fields.items(), ("id", "1")])
        assert "Không có hóa đơn nào được gửi" in text
        _, text = await visitor.post(
            "send", [(k, v) for k, v in fields.items() if k != "all"] + [("id", "1"), ("id", "9")]
        )
        assert "Đang chờ gửi rồi." in text
        assert "Không còn hóa đơn này." in text
    statuses = [row["status"] for row in await point_of_sale.rows("SELECT status FROM dbo.SalesInvoices ORDER BY id")]
    assert statuses == ["PENDING_SYNC"] * 3 + ["SYNC_FAILED"]
    actions = await point_of_sale.rows("SELECT id, actor, action, reason_code FROM dbo.SaleAction ORDER BY id")
    assert actions == [
        {"id": id_, "actor": "Lan Anh", "action": "send_again", "reason_code": REFUSED} for id_ in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "delete", "id": "1"},
        {"action": "again", "id": "1 OR 1=1"},
        {"action": "again", "all": "1", "reason": "x"},
    ],
)
async def test_a_form_that_is_not_ours_is_refused(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, fields: dict[str, str]
) -> None:
    await failed(point_of_sale, 1)
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        answer, _ = await visitor.post("send", {"form": await visitor.form(), **fields})
        assert answer.status == 400
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


async def test_the_language_is_remembered(database: Sqlite, db: SalesDb, place: Place) -> None:
    async with visiting(database.settings(), place, db) as visitor:
        answer, _ = await visitor.get("failures?reason=no_lines&lang=en")
        assert (answer.status, answer.headers["Location"]) == (303, "/page/failures?reason=no_lines")
        _, text = await visitor.get("failures", **{"Accept-Language": "vi"})
        assert '<html lang="en">' in text
        answer, _ = await visitor.get("?lang=fr")
        assert answer.status == 401


async def test_the_screen_of_a_sale_shows_its_history_and_actions(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    await point_of_sale.add_lines(1, "DRUG-1")
    body = '{"ho_ten_khach_hang": "Nguyễn Thị Ánh"}'
    refusal = {"refused_attempt": 2, "refused_body": body, "refused_text": "sai số lô"}
    await point_of_sale.sync(1, attempt=2, published_attempt=2, reason_code=REFUSED, **refusal)
    now = await db.now_ms()
    await point_of_sale.run(
        "INSERT INTO dbo.SaleAction VALUES ('sale', 1, 'r', 'send_again', 'Lan', ?, 'no_lines')", now
    )
    decided = {"national_invoice_id": None, "attempt": 2, "status": "SYNC_FAILED"}
    reason = {"code": REFUSED, "message": {"vi": "Lời tiếng Việt", "en": "English words"}}
    at = datetime.fromtimestamp(now / 1000, UTC)
    place.histories.decisions = [
        decided | {"reason": reason, "decided_at": at + timedelta(seconds=1)},
        decided | {"reason": None, "attempt": 1, "status": "PENDING_SYNC", "decided_at": at - timedelta(seconds=1)},
    ]
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        _, text = await visitor.get("sale/1")
    order = [
        text.index(text_shown) for text_shown in ("Lần gửi 2", "Lời tiếng Việt", "Lan yêu cầu gửi lại", "Lần gửi 1")
    ]
    assert order == sorted(order)
    for text_shown in (
        "sai số lô",
        "&#34;ho_ten_khach_hang&#34;: &#34;Nguyễn Thị Ánh&#34;",
        "Thuốc Đỏ",
        "Gửi lại hóa đơn này",
    ):
        assert text_shown in text


def test_every_reason_can_be_chosen_as_a_filter() -> None:
    assert {*REASONS["SYNC_FAILED"]} == FAILURES
    assert {*REASONS["SYNC_FAILED"], *REASONS["PENDING_SYNC"], *ACCEPTANCES} == {*Code}


async def test_m4_a_visitor_with_too_many_requests_is_answered_busy_and_others_are_served(place: Place) -> None:
    released = asyncio.Event()

    class Shops:
        async def page(self, *, search: str, after: str) -> ShopPage:
            if search:
                await released.wait()
            return ShopPage([], None)

    settings = settings_for(page_user_header="X-User", page_trusted_proxies=("127.0.0.1",))
    place.desk = SimpleNamespace(shops=Shops())
    async with visiting(settings, place) as visitor:
        searches = [asyncio.create_task(visitor.get(f"shops?q={n}", **{"X-User": "Lan"})) for n in range(60)]
        done: list[Any] = []
        for first in asyncio.as_completed(searches):
            done.append((await first)[0])
            if len(done) == 52:
                break
        assert {(answer.status, answer.headers["Retry-After"]) for answer in done} == {(503, "2")}
        assert (await visitor.get("shops", **{"X-User": "Anh"}))[0].status == 200
        released.set()
        rest = [(await each)[0].status for each in searches]
        assert rest.count(200) == 8
