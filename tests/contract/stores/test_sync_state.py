"""Tests that a claim succeeds once, on the state that was read, and for as long as the lease runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias, TypeVar

import pytest

from streams.documents.sale import SALE
from streams.domain.document_status import Operation
from streams.stores.sales_db import SalesDb, StoreError, Transaction
from streams.stores.source_rows import SourceRows
from streams.stores.sync_state import ANY_VERSION, Claim, ClaimRequest, SyncStates
from tests.contract.stores.databases import Database
from tests.contract.stores.point_of_sale import PointOfSale

OpenDb: TypeAlias = Callable[..., Awaitable[SalesDb]]
R = TypeVar("R")
LEASE = 60_000


@pytest.fixture
def states(db: SalesDb) -> SyncStates:
    return SyncStates(db, lease_ms=LEASE)


def want(id_: int, attempt: int = 0, sent_hash: str | None = None, *, since: int = 1, tries: int = 0) -> ClaimRequest:
    return ClaimRequest(id_, attempt, sent_hash, since, tries)


async def claim(states: SyncStates, *wants: ClaimRequest) -> list[Claim | None]:
    return await states.claim(SALE.name, SALE.table, wants)


def attempts(claims: list[Claim | None]) -> list[int | None]:
    return [claim.attempt if claim else None for claim in claims]


@pytest.mark.parametrize("has_state", [None, "made meanwhile", "known"])
async def test_a_claim_records_what_the_attempt_will_do(
    db: SalesDb, states: SyncStates, point_of_sale: PointOfSale, has_state: str | None
) -> None:
    """Promise 1. Broken by: a claim does not make the sale due again when its lease runs out, so a killed attempt is
    forgotten."""
    await point_of_sale.sell(1)
    if has_state:
        await point_of_sale.sync(1)  # enrolled, never claimed
    before = await db.now_ms()
    wanted = replace(
        want(1, sent_hash="ab", since=1_800_000_000_123, tries=3),
        sent_at=1_800_000_000_456,
        requested_at=1_700_000_000_789,
        has_row=has_state == "known",
        operation=Operation.WITHDRAW,
    )
    (taken,) = await claim(states, wanted)
    assert taken is not None
    assert before + LEASE <= taken.lease_until <= await db.now_ms() + LEASE
    row = await point_of_sale.state(1)
    assert row | {"owner": None} == {
        "document_type": "sale",
        "id": 1,
        "attempt": 1,
        "owner": None,
        "lease_until": taken.lease_until,
        "sent_hash": "ab",
        "ever_accepted": 0,
        "published_attempt": 0,
        "next_attempt_at": taken.lease_until,  # a claim that ends untold is brought back when its lease has run out
        "attempts_since": 1_800_000_000_123,
        "tries": 3,
        "sent_at": 1_800_000_000_456,
        "requested_at": 1_700_000_000_789,
        "reason_code": None,
        "http_status": None,
        "refused_attempt": None,
        "refused_body": None,
        "refused_text": None,
        "sent_rows": None,
        "changed_at": None,
        "is_withdrawal": 1,
        "stored_facility_code": None,
        "stored_document_code": None,
    }


async def test_nobody_else_can_claim_a_document_while_its_lease_runs(
    states: SyncStates, point_of_sale: PointOfSale
) -> None:
    """Promise 3. Broken by: a claim is taken while another worker's lease still runs."""
    await point_of_sale.sell(1)
    assert attempts(await claim(states, want(1))) == [1]
    assert attempts(await claim(states, want(1), want(1, 1))) == [None, None]


async def test_a_document_may_be_claimed_again_after_its_lease(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1)
    expired = SyncStates(db, lease_ms=-1)
    assert attempts(await claim(expired, want(1, sent_hash="ab"))) == [1]
    assert attempts(await claim(expired, want(1, 1, "cd"))) == [2]
    assert (await point_of_sale.state(1))["sent_hash"] == "cd"


async def test_a_claim_succeeds_only_on_the_state_that_was_read(point_of_sale: PointOfSale, states: SyncStates) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=5, sent_hash="ab", tries=2)
    for stale in (0, 4, 6):
        assert attempts(await claim(states, want(1, stale))) == [None]
    row = await point_of_sale.state(1)
    assert (row["attempt"], row["sent_hash"], row["tries"], row["lease_until"]) == (5, "ab", 2, 0)
    assert attempts(await claim(states, want(1, 5))) == [6]


async def test_each_document_of_a_batch_gets_its_own_claim(states: SyncStates, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, 2, 3)
    await point_of_sale.sync(2, attempt=7, published_attempt=7, ever_accepted=1, reason_code="api_refused")
    wants = [
        want(3, sent_hash="three", since=33, tries=1),
        want(2, 7, ANY_VERSION, since=22, tries=9),
        want(1, since=11),
    ]
    assert attempts(await claim(states, *wants)) == [1, 8, 1]
    rows = [await point_of_sale.state(id_) for id_ in (1, 2, 3)]
    assert [(r["sent_hash"], r["attempts_since"], r["tries"]) for r in rows] == [
        (None, 11, 0),
        (ANY_VERSION, 22, 9),
        ("three", 33, 1),
    ]
    assert (rows[1]["published_attempt"], rows[1]["ever_accepted"], rows[1]["reason_code"]) == (7, 1, "api_refused")


async def test_a_claim_clears_the_hash_when_nothing_can_be_stored(
    states: SyncStates, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=1, sent_hash="ab")
    await claim(states, want(1, 1, None))
    assert (await point_of_sale.state(1))["sent_hash"] is None


async def test_one_of_two_claims_for_a_document_in_one_batch_succeeds(
    states: SyncStates, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2)
    wants = (want(1, sent_hash="first"), want(2), want(1, sent_hash="second"), want(1, sent_hash="first"))
    assert attempts(await claim(states, *wants)) == [1, 1, None, None]
    assert (await point_of_sale.state(1))["sent_hash"] == "first"


async def test_more_claims_than_fit_one_statement_are_made(states: SyncStates, point_of_sale: PointOfSale) -> None:
    ids = list(range(1, 302))
    await point_of_sale.sell(*ids)
    await point_of_sale.syncs(ids[::3], attempt=4)
    wants = [want(id_, 4 if id_ % 3 == 1 else 0, f"h{id_}", since=id_) for id_ in reversed(ids)]
    claims = await claim(states, *wants)
    assert [c and c.id for c in claims] == list(reversed(ids))
    assert {c.attempt for c in claims if c} == {1, 5}
    rows = await point_of_sale.rows("SELECT id, sent_hash, attempts_since FROM dbo.SaleSync ORDER BY id")
    assert rows == [{"id": i, "sent_hash": f"h{i}", "attempts_since": i} for i in ids]


async def test_a_document_that_does_not_exist_cannot_be_claimed_and_gets_no_state(
    states: SyncStates, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(2)
    assert attempts(await claim(states, want(1), want(2), want(3))) == [None, 1, None]
    assert await point_of_sale.state(1) == {}


async def test_the_same_id_of_another_document_type_is_another_document(
    states: SyncStates, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    await point_of_sale.run("INSERT INTO dbo.SaleSync (document_type, id, attempt) VALUES ('other', 1, 9)")
    assert attempts(await claim(states, want(1))) == [1]
    others = await point_of_sale.rows("SELECT attempt, lease_until FROM dbo.SaleSync WHERE document_type = 'other'")
    assert others == [{"attempt": 9, "lease_until": 0}]


async def test_one_of_two_workers_obtains_each_claim(open_db: OpenDb, point_of_sale: PointOfSale) -> None:
    """Unseen and seen rows are claimed in batches of several sizes and orders, many times."""
    workers = [SyncStates(await open_db(), lease_ms=LEASE) for _ in range(2)]
    shuffle = random.Random(7).shuffle
    for turn in range(30):
        ids = list(range(turn * 20 + 1, turn * 20 + 21))
        await point_of_sale.sell(*ids)
        if turn % 2:
            await point_of_sale.syncs(ids[:10], attempt=1)
        wants = [want(id_, 1 if turn % 2 and id_ in ids[:10] else 0) for id_ in ids]

        async def take(worker: SyncStates, wants: list[ClaimRequest] = wants) -> list[Claim]:
            shuffle(mine := wants.copy())
            batches = (claim(worker, *mine[:13]), claim(worker, *mine[13:]), claim(worker, *mine))
            return [c for batch in await asyncio.gather(*batches) for c in batch if c]

        one, other = await asyncio.gather(*(take(worker) for worker in workers))
        assert sorted(c.id for c in (*one, *other)) == ids
        assert {row["attempt"] for row in await point_of_sale.rows("SELECT attempt FROM dbo.SaleSync")} <= {1, 2}


class RowsMadeMeanwhile(SalesDb):
    """Creates rows between our read and our insert, as another worker may; SQLite never lets that happen."""

    made_by_others = 0

    async def transaction(self, work: Callable[[Transaction], R]) -> R:
        if self.made_by_others:
            self.made_by_others -= 1
            raise StoreError("23000", 2627)
        return await super().transaction(work)


async def test_a_document_whose_state_another_worker_creates_meanwhile_is_still_claimed(
    database: Database, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2)
    db = RowsMadeMeanwhile(database.settings())
    await db.open()
    states = SyncStates(db, lease_ms=LEASE)
    db.made_by_others = 2
    assert attempts(await claim(states, want(1), want(2))) == [1, 1]
    await db.close()


async def test_a_claim_that_the_database_refuses_is_not_repeated_without_end(database: Database) -> None:
    db = RowsMadeMeanwhile(database.settings())
    await db.open()
    db.made_by_others = 1000
    with pytest.raises(StoreError):
        await claim(SyncStates(db, lease_ms=LEASE), want(1))
    db.made_by_others = 0
    await db.close()


async def test_the_hash_of_a_possibly_stored_body_is_written_only_by_its_own_attempt(
    states: SyncStates, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    (taken,) = await claim(states, want(1, sent_hash="ab"))
    assert taken is not None
    await states.may_be_stored(SALE.name, [(Claim(1, taken.attempt + 1, 0), None)])
    await states.may_be_stored(SALE.name, [(Claim(2, taken.attempt, 0), None)])
    await states.may_be_stored("other", [(taken, None)])
    assert (await point_of_sale.state(1))["sent_hash"] == "ab"
    await states.may_be_stored(SALE.name, [(taken, None)])
    assert (await point_of_sale.state(1))["sent_hash"] is None
    await states.may_be_stored(SALE.name, [(taken, ANY_VERSION)])
    assert (await point_of_sale.state(1))["sent_hash"] == ANY_VERSION


async def test_the_hashes_of_many_possibly_stored_bodies_are_written_together(
    states: SyncStates, point_of_sale: PointOfSale
) -> None:
    ids = range(1, 201)
    await point_of_sale.sell(*ids)
    claims = await claim(states, *(want(id_, sent_hash="ab") for id_ in ids))
    held = {id_: (None, ANY_VERSION, f"hash {id_}")[id_ % 3] for id_ in ids}
    known = [(taken, held[taken.id]) for taken in claims if taken]
    older = [(Claim(id_, 0, 0), "older") for id_ in (1, 2, 3)]
    await states.may_be_stored(SALE.name, [*known, *older])
    assert {id_: (await point_of_sale.state(id_))["sent_hash"] for id_ in ids} == held
    await states.may_be_stored(SALE.name, older)
    assert {id_: (await point_of_sale.state(id_))["sent_hash"] for id_ in (1, 2, 3)} == {
        id_: held[id_] for id_ in (1, 2, 3)
    }


async def test_a_refusal_is_kept_only_by_its_own_attempt(states: SyncStates, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1)
    (taken,) = await claim(states, want(1, sent_hash="ab"))
    assert taken is not None
    # Longer than what any driver takes for the longest text.
    body, words = '{"ho_ten_khach_hang":"Nguyễn Thị Ánh"}' + " " * 20_000, "Sai mã thuốc " + "ệ" * 20_000
    stale = Claim(1, taken.attempt - 1, 0)
    await states.keep_refusal(SALE.name, stale, sent_hash=None, body=body, text=words)
    row = await point_of_sale.state(1)
    assert (row["sent_hash"], row["refused_attempt"], row["refused_body"]) == ("ab", None, None)
    await states.keep_refusal(SALE.name, taken, sent_hash=None, body=body, text=words)
    row = await point_of_sale.state(1)
    assert (row["sent_hash"], row["refused_attempt"]) == (None, 1)
    assert (row["refused_body"], row["refused_text"]) == (body, words)
    await states.keep_refusal(SALE.name, taken, sent_hash=ANY_VERSION, body=None, text=None)
    row = await point_of_sale.state(1)
    assert (row["sent_hash"], row["refused_body"], row["refused_text"]) == (ANY_VERSION, None, None)


async def test_the_next_reader_sees_what_a_claim_wrote(
    db: SalesDb, states: SyncStates, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1)
    (taken,) = await claim(states, want(1, sent_hash="ab", since=44, tries=2))
    (found,) = await SourceRows(db).read(SALE, [1])
    assert found is not None
    assert taken is not None
    state = found.state
    assert state is not None
    assert (state.attempt, state.lease_until, state.sent_hash) == (1, taken.lease_until, "ab")
    assert (state.attempts_since, state.tries, state.ever_accepted) == (44, 2, False)


async def test_a_claim_to_send_follows_one_to_withdraw_and_both_are_known(
    states: SyncStates, point_of_sale: PointOfSale
) -> None:
    await point_of_sale.sell(1, 2)
    wanted = [replace(want(1), operation=Operation.WITHDRAW), want(2)]
    assert None not in await claim(states, *wanted)
    assert [(await point_of_sale.state(i))["is_withdrawal"] for i in (1, 2)] == [1, 0]
    await point_of_sale.run("UPDATE dbo.SaleSync SET lease_until = 0")
    again = [want(1, attempt=1), replace(want(2, attempt=1), operation=Operation.WITHDRAW)]
    assert None not in await claim(states, *again)
    assert [(await point_of_sale.state(i))["is_withdrawal"] for i in (1, 2)] == [0, 1]


async def test_a_withdrawal_is_kept_by_its_own_claim_alone(states: SyncStates, point_of_sale: PointOfSale) -> None:
    stored = {"ever_accepted": 1, "stored_facility_code": "79-1", "stored_document_code": "HD-1"}
    await point_of_sale.sell(1)
    await point_of_sale.sync(1, attempt=2, sent_hash="ab", **stored)
    await states.keep_withdrawal("sale", Claim(1, 1, 5))
    state = await point_of_sale.state(1)
    assert {name: state[name] for name in (*stored, "sent_hash")} == stored | {"sent_hash": "ab"}
    await states.keep_withdrawal("sale", Claim(1, 2, 5))
    state = await point_of_sale.state(1)
    assert [state[name] for name in ("sent_hash", *stored)] == [None, 0, None, None]
