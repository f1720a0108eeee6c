"""Reads of many documents at once: each gets its own header, lines, state."""

from __future__ import annotations

from streams.documents.sale import SALE
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows
from tests.contract.stores.till import Till


async def test_each_gets_its_own_in_the_order_asked(db: SalesDb, till: Till) -> None:
    await till.sell(1, 2, 3)
    await till.add_lines(1, "B", "A")
    await till.add_lines(3, "C")
    await till.sync(3, attempt=4, sent_hash="h", ever_accepted=1, attempts_since=1_795_400_000_000)
    three, vanished, one, two = await SourceRows(db).read(SALE, [3, 99, 1, 2])
    assert vanished is None
    assert one is not None
    assert two is not None
    assert three is not None
    assert [line["drug_code"] for line in one.lines] == ["B", "A"], "as the till entered them"
    assert [line["drug_code"] for line in three.lines] == ["C"]
    assert (two.lines, two.state, two.pending) == ([], None, True)
    assert three.state is not None
    assert (three.state.attempt, three.state.sent_hash, three.state.ever_accepted) == (4, "h", True)
    assert three.state.attempts_since == 1_795_400_000_000
    assert one.header["local_invoice_id"] == "HD-1"
    assert one.header["customer_name"] == "Nguyễn Thị Ánh"


async def test_more_than_a_batch_holds(db: SalesDb, till: Till) -> None:
    ids = list(range(1, 301))
    await till.sell(*ids)
    found = await SourceRows(db).read(SALE, ids)
    assert [f.header["id"] for f in found if f] == ids


async def test_a_status_that_is_not_ours_is_not_pending(db: SalesDb, till: Till) -> None:
    await till.sell(1, status="CANCELLED")
    [found] = await SourceRows(db).read(SALE, [1])
    assert found is not None
    assert not found.pending


async def test_accounts_are_the_active_ones(db: SalesDb, till: Till) -> None:
    await till.open_account("ONE", "a", "p")
    await till.open_account("ONE", "old", "p", status=0)
    await till.open_account("TWO", "b", "p")
    await till.open_account("TWO", "c", "p")
    await till.open_account("CLOSED", "d", "p", status=0)
    accounts = await SourceRows(db).accounts(["ONE", "TWO", "CLOSED", "NONE"])
    assert [[account.username for account in shop] for shop in accounts] == [["a"], ["b", "c"], [], []]
    assert accounts[0][0].password.get_secret_value() == "p"
