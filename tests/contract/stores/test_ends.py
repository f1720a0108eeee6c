"""Write-back: a decision applies once, never over a later one, and whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streams.documents.sale import SALE
from streams.reasons import Code
from streams.stores.ends import Ends, Told
from streams.stores.sales_db import SalesDb
from streams.stores.sync_state import Claim, SyncStates
from tests.contract.stores.till import Till, accepted, refused, waits

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
FAR = 4_000_000_000_000
"""A moment long after every lease of these tests."""


@pytest.fixture
def ends(db: SalesDb) -> Ends:
    return Ends(db, {"sale": SALE}, ZONE)


async def standing(till: Till, id_: int = 1) -> tuple[Any, ...]:
    row, state = await till.row(id_), await till.state(id_)
    return row["status"], row["national_invoice_id"], state["told_attempt"], state["next_attempt_at"]


async def test_an_end_is_written_whole(ends: Ends, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1, lease_until=FAR, next_attempt_at=FAR, sent_hash="h")
    before = datetime.now(UTC).astimezone(ZONE).replace(tzinfo=None) - timedelta(seconds=5)
    assert await ends.apply("sale", [accepted(1, 1)]) == {1}
    assert await standing(till) == ("SYNC_SUCCESS", "QG-1", 1, None)
    state, row = await till.state(1), await till.row(1)
    assert (state["lease_until"], state["ever_accepted"], state["sent_hash"]) == (0, 1, "h")
    assert row["sync_response_message"] is None
    assert before <= row["updated_at"] <= before + timedelta(minutes=1), "in the zone of the tills"


async def test_told_twice_is_written_once(ends: Ends, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1)
    assert await ends.apply("sale", [refused(1, 1)]) == {1}
    await till.set_status(1, "PENDING_SYNC")  # asked for again
    assert await ends.apply("sale", [refused(1, 1)]) == set()
    assert (await till.row(1))["status"] == "PENDING_SYNC"


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
async def test_in_whatever_order_they_come_the_latest_stands(ends: Ends, till: Till, order: tuple[int, ...]) -> None:
    await till.sell(1)
    await till.sync(1, attempt=3)
    decisions = [waits(1, 1, FAR), refused(1, 2), accepted(1, 3)]
    for which in order:
        await ends.apply("sale", [decisions[which]])
    assert await standing(till) == ("SYNC_SUCCESS", "QG-1", 3, None)


async def test_two_workers_that_write_at_once_end_the_same(open_db: Callable[..., Any], ends: Ends, till: Till) -> None:
    other = Ends(await open_db(), {"sale": SALE}, ZONE)
    ids = list(range(1, 21))
    await till.sell(*ids)
    await till.syncs(ids, attempt=2)
    for id_ in ids:
        await asyncio.gather(ends.apply("sale", [refused(id_, 1)]), other.apply("sale", [accepted(id_, 2)]))
    rows = await till.rows("SELECT status FROM dbo.SalesInvoices")
    assert {row["status"] for row in rows} == {"SYNC_SUCCESS"}


async def test_a_waiting_sale_says_why_and_until_when(ends: Ends, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1, lease_until=1000, next_attempt_at=1000)
    await ends.apply("sale", [waits(1, 1, FAR, Code.UNREACHABLE)])
    assert await standing(till) == ("PENDING_SYNC", None, 1, FAR)
    message = (await till.row(1))["sync_response_message"]
    assert "Không kết nối được" in message
    assert "cannot be reached" in message
    assert (await till.state(1))["reason_code"] == "unreachable"


async def test_a_late_note_never_undoes_an_end(ends: Ends, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=2)
    await ends.apply("sale", [accepted(1, 2)])
    assert await ends.apply("sale", [waits(1, 1, FAR)]) == set()
    assert await standing(till) == ("SYNC_SUCCESS", "QG-1", 2, None)


@pytest.mark.parametrize(
    ("sent_hash", "due", "lease"),
    [("h", 2000, 1000), ("h", 1000, 1000), ("h", 999, 0), (None, 2000, 0), ("*", 2000, 1000)],
)
async def test_a_lease_is_kept_while_not_held_would_prove_nothing(
    ends: Ends, till: Till, sent_hash: str | None, due: int, lease: int
) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1, lease_until=1000, sent_hash=sent_hash)
    await ends.apply("sale", [waits(1, 1, due)])
    assert (await till.state(1))["lease_until"] == lease


async def test_an_older_decision_leaves_the_newer_claim_alone(ends: Ends, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=2, lease_until=FAR, next_attempt_at=FAR)
    assert await ends.apply("sale", [refused(1, 1)]) == {1}
    state = await till.state(1)
    assert (state["lease_until"], state["next_attempt_at"], state["told_attempt"]) == (FAR, FAR, 1)


async def refuse(db: SalesDb, id_: int, attempt: int, body: str, words: str = "Sai mã thuốc") -> None:
    states = SyncStates(db, lease_ms=1000)
    await states.keep_refusal("sale", Claim(id_, attempt, 0), sent_hash=None, body=body, words=words)


async def test_the_apis_words_stand_beside_ours_in_the_row(db: SalesDb, ends: Ends, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1)
    await refuse(db, 1, 1, "{}")
    await ends.apply("sale", [refused(1, 1)])
    message = (await till.row(1))["sync_response_message"]
    assert "từ chối" in message
    assert message.endswith("API: Sai mã thuốc")


async def test_words_of_another_attempt_are_not_shown(db: SalesDb, ends: Ends, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1)
    await refuse(db, 1, 1, "{}")
    await till.run("UPDATE dbo.SaleSync SET attempt = 2 WHERE id = 1")
    await ends.apply("sale", [refused(1, 2, Code.RULES_BROKEN)])
    assert "Sai mã thuốc" not in (await till.row(1))["sync_response_message"]


async def test_a_success_told_late_overrides_a_failure_of_the_same_body(db: SalesDb, ends: Ends, till: Till) -> None:
    body = '{"ma_hoa_don":"HD-1"}'
    await till.sell(1, 2)
    await till.syncs([1, 2], attempt=2)
    await refuse(db, 1, 2, body)
    await refuse(db, 2, 2, '{"ma_hoa_don":"another"}')
    await ends.apply("sale", [refused(1, 2), refused(2, 2)])
    late = hashlib.sha256(body.encode()).hexdigest()
    assert await ends.apply("sale", [accepted(1, 1, body_hash=late), accepted(2, 1, body_hash=late)]) == {1}
    assert (await till.row(1))["status"] == "SYNC_SUCCESS"
    assert (await till.row(2))["status"] == "SYNC_FAILED"


async def test_a_status_of_the_tills_own_is_left_alone(ends: Ends, till: Till) -> None:
    await till.sell(1, status="CANCELLED")
    await till.sync(1, attempt=1)
    await ends.apply("sale", [accepted(1, 1)])
    assert (await till.row(1))["status"] == "CANCELLED"


async def test_a_national_id_that_is_known_is_not_wiped(ends: Ends, till: Till) -> None:
    await till.sell(1)
    await till.sync(1, attempt=1)
    await ends.apply("sale", [accepted(1, 1, "QG-1")])
    await till.set_status(1, "PENDING_SYNC")
    await till.run("UPDATE dbo.SaleSync SET attempt = 2 WHERE id = 1")
    await ends.apply("sale", [accepted(1, 2, None)])
    assert await standing(till) == ("SYNC_SUCCESS", "QG-1", 2, None)


async def test_a_batch_of_a_hundred_writes_each_its_own(ends: Ends, till: Till) -> None:
    ids = list(range(1, 101))
    await till.sell(*ids)
    await till.syncs(ids, attempt=1)

    def decision(id_: int) -> Told:
        return [accepted(id_, 1, f"QG-{id_}"), refused(id_, 1), waits(id_, 1, FAR + id_)][id_ % 3]

    assert await ends.apply("sale", [decision(id_) for id_ in ids]) == set(ids)
    for id_ in ids:
        expected = [
            ("SYNC_SUCCESS", f"QG-{id_}", 1, None),
            ("SYNC_FAILED", None, 1, None),
            ("PENDING_SYNC", None, 1, FAR + id_),
        ][id_ % 3]
        assert await standing(till, id_) == expected
