"""Tests that a document which a point of sale changed after it was accepted is noticed, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import Body, BodyOptions, DocumentType, Row
from streams.documents.sale import SALE
from streams.stores.corrections import Corrections, count_changed
from streams.stores.sales_db import SalesDb
from streams.stores.sent_rows import has_digest, sent_rows
from streams.stores.sync_state import ClaimRequest, SyncStates
from tests.contract.stores.point_of_sale import PointOfSale, accepted, refused
from tests.support.accepted_sales import ALL, accept, changed_ids, edit
from tests.support.decided_sales import body_of, decision_writer_on

# ruff: noqa: S608 - the texts are of this file
DAY_MS = 86_400_000
FAR = 4_000_000_000_000
OF_SALE_1 = "WHERE id = 1"
OF_LINES_OF_1 = "WHERE sales_invoice_id = 1"

EDITS = {
    "header": [f"UPDATE dbo.SalesInvoices SET customer_name = 'Lê Văn Mới' {OF_SALE_1}"],
    "code": [f"UPDATE dbo.SalesInvoices SET local_invoice_id = 'HD-1B' {OF_SALE_1}"],
    "line": [f"UPDATE dbo.SalesInvoiceDetails SET quantity = 7 {OF_LINES_OF_1} AND drug_code = 'DRUG-2'"],
    "one line less": [f"DELETE FROM dbo.SalesInvoiceDetails {OF_LINES_OF_1} AND drug_code = 'DRUG-1'"],
    "no lines": [f"DELETE FROM dbo.SalesInvoiceDetails {OF_LINES_OF_1}"],
    "breaks a rule": [f"UPDATE dbo.SalesInvoiceDetails SET dosage = '' {OF_LINES_OF_1}"],
}


@pytest.fixture
def corrections(db: SalesDb) -> Corrections:
    return Corrections(db, SALE, accepted_within_ms=30 * DAY_MS)


async def sweep(corrections: Corrections) -> Sequence[int]:
    """Check all documents; return the ids of the changed ones."""
    documents, floor = await corrections.below(ALL, 1000)
    assert floor is not None
    return (await corrections.check(documents)).changed


@pytest.mark.parametrize("knows", ["digest", "no digest", "no digests"])
@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_after_the_acceptance_is_noticed_with_or_without_digests(
    corrections: Corrections, db: SalesDb, point_of_sale: PointOfSale, name: str, knows: str
) -> None:
    """Promise 2. Broken by: a sale that breaks a rule since it was changed is shown nowhere."""
    await accept(point_of_sale, 1, 2, with_digest=knows == "digest")
    db.digests = db.digests and knows != "no digests"
    assert await sweep(corrections) == []
    for statement in EDITS[name]:
        await point_of_sale.run(statement)
    before = await db.now_ms()
    assert await sweep(corrections) == [1]
    assert before <= (await point_of_sale.state(1))["changed_at"] <= await db.now_ms()
    assert await changed_ids(point_of_sale) == [1]
    assert await db.transaction(lambda tx: count_changed(tx, SALE)) == 1
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"


@pytest.mark.parametrize("name", EDITS)
async def test_a_change_of_a_code_makes_another_document_which_replaces_none(
    corrections: Corrections, point_of_sale: PointOfSale, name: str
) -> None:
    """Promise 3. Broken by: a sale whose code was changed is sent by itself, as a second one."""
    await accept(point_of_sale, 1)
    for statement in EDITS[name]:
        await point_of_sale.run(statement)
    documents, _ = await corrections.below(ALL, 1000)
    found = await corrections.check(documents)
    assert (found.changed, found.replaceable) == ([1], [] if name == "code" else [1])
    found = await corrections.check([replace(documents[0], sent_rows=None)])
    assert (found.changed, found.replaceable) == ([1], []), "the code under which it was accepted is not known"


async def test_a_line_that_was_added_is_noticed(corrections: Corrections, point_of_sale: PointOfSale) -> None:
    await accept(point_of_sale, 1)
    await point_of_sale.add_lines(1, "DRUG-3")
    assert await sweep(corrections) == [1]


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES, ids=lambda document_type: document_type.name)
async def test_every_document_type_is_compared_and_requested(
    db: SalesDb, point_of_sale: PointOfSale, document_type: DocumentType
) -> None:
    point_of_sale = PointOfSale(point_of_sale.db, document_type)
    await accept(point_of_sale, 1, 2)
    corrections = Corrections(db, document_type, accepted_within_ms=DAY_MS)
    assert await sweep(corrections) == []
    await edit(point_of_sale, 2)
    assert await sweep(corrections) == [2]
    assert await corrections.request([1, 2]) == 1
    assert (await point_of_sale.row(2))["status"] == "PENDING_SYNC"


async def test_the_moment_of_the_first_notice_is_kept(corrections: Corrections, point_of_sale: PointOfSale) -> None:
    await accept(point_of_sale, 1, changed_at=5)
    await edit(point_of_sale, 1)
    assert await sweep(corrections) == [1]
    assert (await point_of_sale.state(1))["changed_at"] == 5


@pytest.mark.parametrize("with_digest", [True, False])
async def test_a_sale_that_was_edited_back_is_no_longer_marked(
    corrections: Corrections, point_of_sale: PointOfSale, with_digest: bool
) -> None:
    await accept(point_of_sale, 1, with_digest=with_digest)
    await edit(point_of_sale, 1)
    assert await sweep(corrections) == [1]
    await edit(point_of_sale, 1, quantity="1.50")
    assert await sweep(corrections) == []
    assert await changed_ids(point_of_sale) == []


async def test_an_edit_that_leaves_the_body_unchanged_is_no_change(
    corrections: Corrections, point_of_sale: PointOfSale
) -> None:
    """Promise 2. Broken by: a sale counts as changed although the national system has this very body.

    The rows have another digest then, which is remembered: they are read in full only once.
    """
    await accept(point_of_sale, 1)
    await point_of_sale.run(f"UPDATE dbo.SalesInvoiceDetails SET route_of_administration = '  ' {OF_LINES_OF_1}")
    assert await sweep(corrections) == []
    assert await changed_ids(point_of_sale) == []
    made = counting(corrections)
    assert await sweep(corrections) == []
    state = await point_of_sale.state(1)
    assert made == ([] if has_digest(state["sent_rows"], state["sent_hash"]) else [1])


async def test_what_is_kept_of_another_version_than_the_accepted_one_counts_for_nothing(
    corrections: Corrections, point_of_sale: PointOfSale
) -> None:
    """A worker of an earlier version has sent the second version: it sets the hash alone."""
    await accept(point_of_sale, 1)
    await edit(point_of_sale, 1)
    second = await body_of(point_of_sale)
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 2, published_attempt = 2, sent_hash = ?", second.hash)
    await edit(point_of_sale, 1, quantity="1.50")
    assert await sweep(corrections) == [1]


async def test_a_remembered_digest_is_that_of_rows_that_make_the_accepted_body(
    corrections: Corrections, point_of_sale: PointOfSale
) -> None:
    await accept(point_of_sale, 1, with_digest=False)
    await edit(point_of_sale, 1)
    await sweep(corrections)
    assert (await point_of_sale.state(1))["sent_rows"] is None, "the rows are not those that were accepted"
    await edit(point_of_sale, 1, quantity="1.50")
    await sweep(corrections)
    await edit(point_of_sale, 1)
    assert await sweep(corrections) == [1]


NOT_AT_REST: list[dict[str, Any]] = [
    {"lease_until": FAR},
    {"next_attempt_at": FAR},
    {"next_attempt_at": 1},
    {"attempt": 2},
    {"sent_hash": "*"},
    {"sent_hash": None},
    {"ever_accepted": 0},
    {"sent_at": 1},
    {"sent_at": None},
]


@pytest.mark.parametrize("state", NOT_AT_REST, ids=str)
async def test_a_sale_that_is_in_flight_waits_is_in_doubt_or_is_old_is_left_alone(
    corrections: Corrections, point_of_sale: PointOfSale, state: dict[str, Any]
) -> None:
    """Promise 2. Broken by: a sale whose last attempt is in doubt is compared with what an earlier one sent."""
    await accept(point_of_sale, 1, **state)
    await edit(point_of_sale, 1)
    assert await sweep(corrections) == []
    assert await changed_ids(point_of_sale) == []


@pytest.mark.parametrize("status", ["PENDING_SYNC", "SYNC_FAILED", "CANCELLED", "PENDING_CANCEL", "DRAFT"])
async def test_a_sale_with_another_status_is_left_alone(
    corrections: Corrections, point_of_sale: PointOfSale, status: str
) -> None:
    await accept(point_of_sale, 1)
    await edit(point_of_sale, 1)
    await point_of_sale.set_status(1, status)
    assert await sweep(corrections) == []
    assert await changed_ids(point_of_sale) == []


MEANWHILE = {
    "requested again": "UPDATE dbo.SalesInvoices SET status = 'PENDING_SYNC' WHERE id = 1",
    "due": f"UPDATE dbo.SaleSync SET next_attempt_at = {FAR}",
    "claimed": f"UPDATE dbo.SaleSync SET attempt = 2, lease_until = {FAR}, next_attempt_at = {FAR}",
    "accepted": "UPDATE dbo.SaleSync SET attempt = 2, published_attempt = 2",
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
async def test_what_happens_between_reading_and_marking_is_respected(
    corrections: Corrections, point_of_sale: PointOfSale, meanwhile: str
) -> None:
    """Promise 2. Broken by: the present version is compared with one that is no longer the accepted one."""
    await accept(point_of_sale, 1)
    await edit(point_of_sale, 1)
    documents, _ = await corrections.below(ALL, 1000)
    await point_of_sale.run(MEANWHILE[meanwhile])
    await corrections.check(documents)
    assert await changed_ids(point_of_sale) == []


async def test_the_digest_and_the_mark_of_a_newer_attempt_are_left_alone(
    corrections: Corrections, point_of_sale: PointOfSale
) -> None:
    await accept(point_of_sale, 1, with_digest=False, changed_at=5)
    documents, _ = await corrections.below(ALL, 1000)
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 2, published_attempt = 2, sent_rows = 'of attempt 2'")
    await corrections.check(documents)
    state = await point_of_sale.state(1)
    assert (state["sent_rows"], state["changed_at"]) == ("of attempt 2", 5)


async def test_a_marked_sale_is_looked_at_however_old_it_is(
    corrections: Corrections, point_of_sale: PointOfSale
) -> None:
    await accept(point_of_sale, 1, sent_at=1, changed_at=5)
    assert [document.id for document in await corrections.marked(0, 10)] == [1]
    await sweep(corrections)
    assert await changed_ids(point_of_sale) == []


async def test_a_deleted_row_is_no_change_and_one_that_was_made_again_is_compared(
    corrections: Corrections, point_of_sale: PointOfSale
) -> None:
    await accept(point_of_sale, 1)
    documents, _ = await corrections.below(ALL, 1000)
    await point_of_sale.run(f"DELETE FROM dbo.SalesInvoiceDetails {OF_LINES_OF_1}")
    await point_of_sale.run(f"DELETE FROM dbo.SalesInvoices {OF_SALE_1}")
    assert (await corrections.check(documents)).changed == []
    await point_of_sale.sell(1, status="SYNC_SUCCESS")
    await point_of_sale.add_lines(1, "DRUG-1", "DRUG-2")
    assert await sweep(corrections) == []
    await point_of_sale.run(f"DELETE FROM dbo.SalesInvoiceDetails {OF_LINES_OF_1}")
    await point_of_sale.add_lines(1, "DRUG-1", "DRUG-9")
    assert await sweep(corrections) == [1]


async def test_no_clock_takes_part_in_the_comparison(corrections: Corrections, point_of_sale: PointOfSale) -> None:
    """Promise 2. Broken by: after a clock was set back unchanged sales count as changed.

    A sale of a day that is in the future again, since a clock was set back, breaks no rule here.
    """
    await accept(point_of_sale, 1, with_digest=False)
    future = "UPDATE dbo.SalesInvoices SET sale_date = '2090-01-01' WHERE id = 1"
    await point_of_sale.run(future)
    (found, _) = await corrections.below(ALL, 10)
    header = await point_of_sale.row(1)
    lines = await point_of_sale.rows("SELECT * FROM dbo.SalesInvoiceDetails WHERE sales_invoice_id = 1 ORDER BY id")
    body = SALE.transform(header, lines, date(2090, 1, 1))
    await point_of_sale.run("UPDATE dbo.SaleSync SET sent_hash = ?", body.hash)
    assert (await corrections.check([replace(found[0], sent_hash=body.hash)])).changed == []
    assert await sweep(corrections) == []


async def test_a_mistake_of_our_own_marks_nothing(db: SalesDb, point_of_sale: PointOfSale) -> None:
    def mistaken(*_: Any) -> Any:
        raise RuntimeError("Nguyễn Thị Ánh")

    await accept(point_of_sale, 1, with_digest=False)
    corrections = Corrections(db, replace(SALE, make_body=mistaken), accepted_within_ms=DAY_MS)
    with capture_logs() as logs:
        assert await sweep(corrections) == []
    assert await changed_ids(point_of_sale) == []
    assert "document.unreadable" in str(logs)
    assert "Ánh" not in str(logs)


def counting(corrections: Corrections) -> list[int]:
    """Return the ids of the documents that are read in full from now on."""
    made: list[int] = []

    def make_body(header: Row, lines: Sequence[Row], today: date, _: BodyOptions) -> Body:
        made.append(header["id"])
        return SALE.transform(header, lines, today)

    corrections._document_type = replace(SALE, make_body=make_body)
    return made


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_only_rows_with_another_digest_are_read_in_full(
    corrections: Corrections, point_of_sale: PointOfSale
) -> None:
    await accept(point_of_sale, 1, 2, 3)
    await edit(point_of_sale, 2)
    made = counting(corrections)
    assert await sweep(corrections) == [2]
    assert made == [2]


async def test_documents_are_found_downwards_a_few_rows_at_a_time(
    corrections: Corrections, point_of_sale: PointOfSale
) -> None:
    await accept(point_of_sale, 1, 2, 3, 4)
    await accept(point_of_sale, 5, 6, 7, sent_at=1)
    found: list[list[int]] = []
    below: int | None = ALL
    while below is not None:
        documents, below = await corrections.below(below, 2)
        found.append([document.id for document in documents])
    assert found == [[], [4], [3, 2], [1], []]


async def test_only_what_is_still_changed_and_at_rest_is_requested(
    corrections: Corrections, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    await accept(point_of_sale, 1, 2, 3, 4, 5)
    await edit(point_of_sale, 1, 2, 3, 4)
    await sweep(corrections)
    await point_of_sale.run(MEANWHILE["claimed"] + " WHERE id = 2")
    await point_of_sale.set_status(3, "CANCELLED")
    await point_of_sale.run("UPDATE dbo.SaleSync SET changed_at = NULL WHERE id = 4")
    assert await corrections.request([1, 2, 3, 4, 5]) == 1
    statuses = await point_of_sale.rows("SELECT status FROM dbo.SalesInvoices ORDER BY id")
    assert [row["status"] for row in statuses] == [
        *("PENDING_SYNC", "SYNC_SUCCESS", "CANCELLED"),
        *("SYNC_SUCCESS", "SYNC_SUCCESS"),
    ]
    state = await point_of_sale.state(1)
    assert state["next_attempt_at"] <= await db.now_ms()
    assert (state["ever_accepted"], len(state["sent_hash"])) == (1, 64), "it will be replaced"
    assert await db.transaction(lambda tx: count_changed(tx, SALE)) == 1, "what waits is counted elsewhere"


async def test_a_change_is_sent_only_after_it_was_noticed_for_a_while(
    corrections: Corrections, db: SalesDb, point_of_sale: PointOfSale
) -> None:
    now = await db.now_ms()
    await accept(point_of_sale, 1, changed_at=now - 90_000)
    await accept(point_of_sale, 2, changed_at=now - 30_000)
    assert [document.id for document in await corrections.marked(0, 10)] == [1, 2]
    assert [document.id for document in await corrections.marked(0, 10, marked_for_ms=60_000)] == [1]
    assert [document.id for document in await corrections.marked(0, 1)] == [1]
    assert [document.id for document in await corrections.marked(1, 10)] == [2]


async def test_a_claim_removes_the_mark(db: SalesDb, point_of_sale: PointOfSale) -> None:
    """Promise 2. Broken by: a correction that was sent is still shown as not sent."""
    await accept(point_of_sale, 1, changed_at=5)
    states = SyncStates(db, lease_ms=60_000)
    [claim] = await states.claim(SALE.name, SALE.table, [ClaimRequest(1, 1, "ab", 1, 1, has_row=True)])
    assert claim is not None
    assert (await point_of_sale.state(1))["changed_at"] is None


async def test_an_acceptance_keeps_what_was_accepted(db: SalesDb, point_of_sale: PointOfSale) -> None:
    await point_of_sale.sell(1, 2, 3, 4)
    await point_of_sale.syncs([1, 2, 3, 4], attempt=1, sent_rows="earlier")
    body, digest = "b" * 64, "d" * 64
    decisions = [accepted(1, 1, "QG", body, digest), accepted(2, 1, "QG", body), accepted(3, 1), refused(4, 1)]
    await decision_writer_on(db).apply(SALE.name, decisions)
    states = [(await point_of_sale.state(id_))["sent_rows"] for id_ in (1, 2, 3, 4)]
    assert states[:2] == [sent_rows(body, digest, "79-1", "HD-1"), sent_rows(body, None, "79-1", "HD-2")]
    assert states[2:] == ["earlier", "earlier"], "it names the body that it belongs to"
    assert all(len(state) <= 64 for state in states)
    assert (has_digest(states[0], body), has_digest(states[1], body), has_digest(states[0], "*")) == (
        True,
        False,
        False,
    )
