"""Tests that a row that the driver cannot read, or that raises any other error, affects no other row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.documents.document import Body, BodyOptions, DocumentType, Endpoint, Row
from streams.documents.sale import SALE
from streams.domain.account import Account
from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import Accepted, Outcome
from streams.domain.reasons import Code
from streams.domain.sale_status import Version
from streams.national_api.answers import LookUp, NotStored
from streams.operators.command_line import explain_store_error
from streams.operators.desk.sale_card import SaleCard
from streams.operators.desk.sale_lists import Sales
from streams.pipeline.outage_gate import Admission, OutageGate
from streams.pipeline.retry_policy import Decision
from streams.pipeline.sender import Sender
from streams.stores.sales_db import SalesDb, Transaction, UnreadableRow
from streams.stores.schedule import Schedule
from streams.stores.source_rows import SourceRows
from streams.stores.sync_state import Claim
from tests.contract.stores.databases import Sqlite
from tests.contract.stores.point_of_sale import PointOfSale

HALF_AN_EMOJI = "CAST(X'4B68C3A16368EDA0BC' AS TEXT)"
POISONED = 31
IDS = range(1, 61)
WHERE = [
    ("SalesInvoices", "id", "customer_name", "ho_ten_khach_hang"),
    ("SalesInvoiceDetails", "sales_invoice_id", "drug_name", "hoa_don_chi_tiet[1].ten_thuoc"),
    ("SalesInvoiceDetails", "sales_invoice_id", "dosage", "hoa_don_chi_tiet[1].lieu_dung"),
    ("SalesInvoices", "id", "local_invoice_id", "ma_hoa_don"),
    ("SalesInvoices", "id", "pharmacy_code", "ma_co_so"),
]


class Api:
    """Accepts everything, and has stored nothing yet."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def token_ready(self, account: Account) -> None:
        return None

    async def create(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Outcome:
        self.taken.append(body.document_code)
        return Accepted(f"QG-{body.document_code}")

    async def replace(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Any:
        raise AssertionError("nothing is there to be replaced")

    async def withdraw(self, account: Account, endpoint: Endpoint, place: str, own: str, *, until: float) -> Any:
        raise AssertionError("nothing is there to be withdrawn")

    async def look_up(self, account: Account, endpoint: Endpoint, place: str, own: str, *, until: float) -> LookUp:
        return NotStored()


class NoJournal:
    async def history(self, document_type: str, pharmacy_code: str, document_code: str, most: int) -> list[Any]:
        return []


class Published:
    def __init__(self) -> None:
        self.decisions: dict[int, Decision] = {}

    async def publish(self, request: SendRequest, claim: Claim, decision: Decision, _: Version | None) -> None:
        self.decisions[request.id] = decision


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SalesDb]:
    """Open the database with odd bytes, which SQLite keeps and PostgreSQL refuses."""
    db = SalesDb(Sqlite(tmp_path).settings())
    await db.open()
    yield db
    await db.close()


@pytest.fixture
async def point_of_sale(db: SalesDb) -> PointOfSale:
    point_of_sale = PointOfSale(db)
    await point_of_sale.open_account("SHOP-1", "user", "password")
    await point_of_sale.sell(*IDS)
    for id_ in IDS:
        await point_of_sale.add_lines(id_, "DRUG-1")
    return point_of_sale


async def poison(point_of_sale: PointOfSale, table: str, key: str, column: str) -> None:
    await point_of_sale.run(f"UPDATE dbo.{table} SET {column} = {HALF_AN_EMOJI} WHERE {key} = ?", POISONED)  # noqa: S608


async def send_all(db: SalesDb, document_type: DocumentType = SALE) -> tuple[Api, Published]:
    api, published = Api(), Published()
    sender = Sender(document_type, db._settings, db, api, Admission(OutageGate(1000, 60)), published.publish)
    now = await db.now_ms()

    async def send(id_: int) -> None:
        await sender.send(SendRequest("sale", "chain", id_, f"HD-{id_}", "79-1", "SHOP-1", Origin.INSERTED, now))

    async with asyncio.timeout(20):
        await asyncio.gather(*(send(id_) for id_ in IDS))
    return api, published


@pytest.mark.parametrize(("table", "key", "column", "field"), WHERE, ids=[each[2] for each in WHERE])
async def test_half_an_emoji_breaks_a_rule_of_its_own_sale_only(
    db: SalesDb, point_of_sale: PointOfSale, table: str, key: str, column: str, field: str
) -> None:
    """Promises 1 and 5. Broken by: the driver raises for one text, and sixty sales wait forever without a reason.
    Promise 5. Broken by: half a letter in one row keeps its batch from being read.
    """
    await poison(point_of_sale, table, key, column)
    api, published = await send_all(db)
    assert len(api.taken) == 59
    refused = published.decisions.pop(POISONED)
    assert refused.status == "SYNC_FAILED"
    assert refused.reason is not None
    assert refused.reason.code is Code.RULES_BROKEN
    assert [(rule.field, rule.rule) for rule in refused.reason.details] == [(field, "readable")]
    assert {decision.status for decision in published.decisions.values()} == {"SYNC_SUCCESS"}


async def test_half_an_emoji_is_shown_on_the_page_and_found_by_the_scheduler(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    """Broken by: page 500, `lookup` a traceback, and no retry for any shop."""
    for place in WHERE:
        await poison(point_of_sale, *place[:3])
    page = await Sales(db, SALE).page("PENDING_SYNC", most=100)
    assert len(page.sales) == 60

    card = await SaleCard(db, SALE, NoJournal()).read(POISONED)
    assert card is not None
    assert card.document_code.startswith("Khách\ufffd")
    assert str(card.lines[0]["drug_name"]).startswith("Khách\ufffd")
    await point_of_sale.syncs(IDS, attempt=1, next_attempt_at=5)
    due = await Schedule(db, SALE).due(100, 2**62)
    assert sorted(item.id for item in due) == list(IDS)


async def test_half_an_emoji_in_a_shop_code_counts_as_a_missing_account(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    """Nobody can have an account under a code that nobody can write."""
    await poison(point_of_sale, "SalesInvoices", "id", "shop_pharmacy_code")
    api, published = await send_all(db)
    assert len(api.taken) == 59
    pending = published.decisions[POISONED]
    assert (pending.status, pending.reason and pending.reason.code) == ("PENDING_SYNC", Code.NO_ACCOUNT)


async def test_an_account_that_is_not_a_text_affects_only_its_shop(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.open_account("SHOP-2", "user", "password")
    update = f"UPDATE dbo.AccountShop SET password = {HALF_AN_EMOJI} WHERE shop_pharmacy_code = ?"  # noqa: S608
    await point_of_sale.run(update, "SHOP-2")
    one, other = await SourceRows(db).accounts(["SHOP-1", "SHOP-2"])
    assert [account.password.get_secret_value() for account in one] == ["password"]
    assert len(other) == 1


async def test_the_driver_reads_other_rows_directly_again_after_an_undecodable_text(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await poison(point_of_sale, "SalesInvoices", "id", "customer_name")
    names = await point_of_sale.rows("SELECT id, customer_name, sale_date FROM dbo.SalesInvoices ORDER BY id")
    assert [row["customer_name"] for row in names if row["id"] != POISONED] == ["Nguyễn Thị Ánh"] * 59
    converters = []

    def look(tx: Transaction) -> None:
        converters.append(tx._cursor.connection.get_output_converter(12))

    await db.transaction(look)
    assert converters == [None]


async def test_a_transaction_repeated_for_an_undecodable_text_takes_effect_once(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await poison(point_of_sale, "SalesInvoices", "id", "customer_name")

    def work(tx: Transaction) -> list[tuple[Any, ...]]:
        tx.execute("UPDATE dbo.SalesInvoices SET seller_name = COALESCE(seller_name, '') || 'x' WHERE id = ?", [1])
        return tx.rows("SELECT customer_name FROM dbo.SalesInvoices WHERE id = ?", [POISONED])

    assert "\ufffd" in (await db.transaction(work))[0][0]
    assert (await point_of_sale.row(1))["seller_name"] == "x"


async def test_a_row_that_cannot_be_read_gets_a_reason_and_the_others_are_sent(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    """Promises 1 and 5. Broken by: whatever is not thought of is raised to all that were read together. Here it is a
    day that Python has not, for which the driver raises `ValueError`.
    Promise 1. Broken by: a row that cannot be read never gets a reason.
    """
    await point_of_sale.run(
        "UPDATE dbo.SalesInvoiceDetails SET expiry_date = '0000-05-05' WHERE sales_invoice_id = ?", POISONED
    )
    with capture_logs() as logs:
        api, published = await send_all(db)
    assert len(api.taken) == 59
    pending = published.decisions[POISONED]
    assert (pending.status, pending.reason and pending.reason.code) == ("PENDING_SYNC", Code.ROW_UNREADABLE)
    assert pending.next_attempt_at is not None
    assert pending.next_attempt_at - await db.now_ms() > 200_000
    assert [line["id"] for line in logs if line["event"] == "document.unreadable"] == [POISONED]
    assert (await point_of_sale.state(POISONED))["attempt"] == 1
    with pytest.raises(UnreadableRow) as unreadable:
        await SaleCard(db, SALE, NoJournal()).read(POISONED)
    assert "has a row that cannot be read" in explain_store_error(unreadable.value), "and not that it may not be asked"
    assert len((await Sales(db, SALE).page("PENDING_SYNC", most=100)).sales) == 60


async def test_a_row_that_breaks_transform_affects_no_other(db: SalesDb, point_of_sale: PointOfSale) -> None:
    """Any error may be raised while a body is built.

    Promise 1. Broken by: a row that breaks our own code never gets a reason.
    """

    def make_body(header: Row, lines: Sequence[Row], today: Any, _: BodyOptions) -> Body:
        if header["id"] == POISONED:
            raise RecursionError
        return SALE.transform(header, lines, today)

    with capture_logs():
        api, published = await send_all(db, replace(SALE, make_body=make_body))
    assert len(api.taken) == 59
    reason = published.decisions[POISONED].reason
    assert reason is not None
    assert reason.code is Code.ROW_UNREADABLE
