"""Tests that a final decision counts only for the version that was sent when a point of sale edits the sale
meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.documents.document import Body, BodyOptions, Row
from streams.documents.sale import SALE
from streams.domain.reasons import Code
from streams.domain.status_message import StatusMessage
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows
from tests.contract.stores.point_of_sale import PointOfSale, accepted, decided, refused
from tests.support.decided_sales import FAR, ZONE, decision_writer_on, sold_and_refused

Edit = Callable[[PointOfSale], Awaitable[None]]


@pytest.fixture
def decision_writer(db: SalesDb) -> DecisionWriter:
    return decision_writer_on(db)


async def header(point_of_sale: PointOfSale) -> None:
    await point_of_sale.run("UPDATE dbo.SalesInvoices SET customer_name = 'Lê Văn Mới' WHERE id = 1")


async def line(point_of_sale: PointOfSale) -> None:
    await point_of_sale.run("UPDATE dbo.SalesInvoiceDetails SET quantity = 7 WHERE sales_invoice_id = 1")


async def one_more_line(point_of_sale: PointOfSale) -> None:
    await point_of_sale.add_lines(1, "DRUG-2")


async def breaks_a_rule(point_of_sale: PointOfSale) -> None:
    await point_of_sale.run("UPDATE dbo.SalesInvoiceDetails SET dosage = '' WHERE sales_invoice_id = 1")


EDITS = [header, line, one_more_line, breaks_a_rule]


async def digest(point_of_sale: PointOfSale) -> str | None:
    """Return the digest of the current rows; None where the server has none."""
    (found,) = await SourceRows(point_of_sale.db).read(SALE, [1])
    assert found is not None
    return found.digest


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(("is_accepted", "with_digest"), [(True, True), (True, False), (False, False)])
async def test_a_sale_edited_meanwhile_is_due_at_once_and_stays_pending(
    decision_writer: DecisionWriter,
    db: SalesDb,
    point_of_sale: PointOfSale,
    edit: Edit,
    is_accepted: bool,
    with_digest: bool,
) -> None:
    """Promise 2. Broken by: a sale that was edited while it was at the API counts as accepted in its edited form."""
    body = await sold_and_refused(point_of_sale, 1, sent_hash="ab", tries=4)
    rows = await digest(point_of_sale) if with_digest else None
    await edit(point_of_sale)
    final_decision = accepted(1, 1, "QG-1", body.hash, rows) if is_accepted else refused(1, 1)
    before = await db.now_ms()
    assert await decision_writer.apply(SALE.name, [final_decision]) == {1}
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert row["status"] == "PENDING_SYNC"
    assert row["national_invoice_id"] == ("QG-1" if is_accepted else None)
    assert (state["published_attempt"], state["ever_accepted"], state["lease_until"]) == (1, int(is_accepted), 0)
    assert before <= state["next_attempt_at"] == state["attempts_since"] <= await db.now_ms()
    assert (state["tries"], state["sent_hash"]) == (0, "ab")


@pytest.mark.parametrize("code", [Code.RULES_BROKEN, Code.NO_LINES, Code.OLDER_VERSION_STORED])
async def test_our_own_refusal_does_not_count_when_the_sale_was_corrected_meanwhile(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, code: Code
) -> None:
    await sold_and_refused(point_of_sale, 1, refused_attempt=None, refused_body=None)
    await decision_writer.apply(SALE.name, [refused(1, 1, code)])
    assert (await point_of_sale.row(1))["status"] == "PENDING_SYNC"
    await breaks_a_rule(point_of_sale)
    await point_of_sale.run("UPDATE dbo.SaleSync SET attempt = 2, next_attempt_at = ?", FAR)
    await decision_writer.apply(SALE.name, [refused(1, 2, code)])
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


async def test_a_failure_by_the_time_limit_counts_although_the_sale_was_edited(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold_and_refused(point_of_sale, 1, refused_attempt=None, refused_body=None)
    await decision_writer.apply(SALE.name, [refused(1, 1, Code.TIME_LIMIT)])
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


async def test_a_newer_claim_keeps_its_lease_when_an_edited_sale_is_requested_again(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    body = await sold_and_refused(point_of_sale, 2)
    await line(point_of_sale)
    await decision_writer.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash)])
    row, state = await point_of_sale.row(1), await point_of_sale.state(1)
    assert (row["status"], state["lease_until"], state["next_attempt_at"]) == ("PENDING_SYNC", FAR, FAR)


@pytest.mark.parametrize("status", ["CANCELLED", None])
async def test_a_row_that_the_point_of_sale_cancelled_or_deleted_is_left_alone(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale, status: str | None
) -> None:
    body = await sold_and_refused(point_of_sale, 1)
    if status:
        await point_of_sale.set_status(1, status)
        await line(point_of_sale)
    else:
        await point_of_sale.run("DELETE FROM dbo.SalesInvoiceDetails WHERE sales_invoice_id = 1")
        await point_of_sale.run("DELETE FROM dbo.SalesInvoices WHERE id = 1")
    assert await decision_writer.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash)]) == {1}
    assert [row["status"] for row in await point_of_sale.rows("SELECT status FROM dbo.SalesInvoices")] == [
        status
    ] * bool(status)
    assert (await point_of_sale.state(1))["published_attempt"] == 1


async def test_only_the_edited_sale_of_a_batch_is_requested_again(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    body = await sold_and_refused(point_of_sale, 1)
    await point_of_sale.sell(2)
    await point_of_sale.sync(2, attempt=1, lease_until=FAR)
    await line(point_of_sale)
    with capture_logs() as logs:
        await decision_writer.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash), refused(2, 1, Code.NO_LINES)])
    rows = await point_of_sale.rows("SELECT status FROM dbo.SalesInvoices ORDER BY id")
    assert [row["status"] for row in rows] == ["PENDING_SYNC", "SYNC_FAILED"]
    assert [
        entry["ids"] for entry in logs if entry["event"] == "document.requested_again" and entry["why"] == "edited"
    ] == [[1]]


async def test_a_final_decision_of_an_unknown_version_is_written(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    await sold_and_refused(point_of_sale, 1)
    await line(point_of_sale)
    final_decision: StatusMessage = decided(1, 1, "SYNC_SUCCESS", national_id="QG-1")
    await decision_writer.apply(SALE.name, [final_decision])
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"


async def test_an_edit_that_leaves_the_body_unchanged_does_not_count(
    decision_writer: DecisionWriter, point_of_sale: PointOfSale
) -> None:
    body = await sold_and_refused(point_of_sale, 1)
    rows = await digest(point_of_sale)
    await point_of_sale.run(
        "UPDATE dbo.SalesInvoiceDetails SET route_of_administration = '  ' WHERE sales_invoice_id = 1"
    )
    await decision_writer.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash, rows)])
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_rows_with_the_digest_that_was_sent_are_not_read_again(db: SalesDb, point_of_sale: PointOfSale) -> None:
    """No body is built from them; another sale of the batch, sent by a worker without digests, is read."""
    body = await sold_and_refused(point_of_sale, 1)
    await point_of_sale.sell(2)
    await point_of_sale.add_lines(2, "DRUG-1")
    await point_of_sale.sync(2, attempt=1, lease_until=FAR)
    made: list[int] = []

    def make_body(header: Row, lines: Sequence[Row], today: date, _: BodyOptions) -> Body:
        made.append(header["id"])
        return SALE.transform(header, lines, today)

    decision_writer = DecisionWriter(db, {SALE.name: replace(SALE, make_body=make_body)}, ZONE)
    decisions = [accepted(1, 1, "QG-1", body.hash, await digest(point_of_sale)), accepted(2, 1, "QG-2", "ab")]
    await decision_writer.apply(SALE.name, decisions)
    assert made == [2]
    rows = await point_of_sale.rows("SELECT status FROM dbo.SalesInvoices ORDER BY id")
    assert [row["status"] for row in rows] == ["SYNC_SUCCESS", "PENDING_SYNC"]


async def test_an_error_of_our_own_does_not_keep_a_final_decision_from_being_written(
    db: SalesDb, point_of_sale: PointOfSale
) -> None:
    body = await sold_and_refused(point_of_sale, 1)

    def mistaken(*_: Any) -> Any:
        raise RuntimeError("Nguyễn Thị Ánh")

    decision_writer = DecisionWriter(db, {SALE.name: replace(SALE, make_body=mistaken)}, ZONE)
    with capture_logs() as logs:
        await decision_writer.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash)])
    assert (await point_of_sale.row(1))["status"] == "SYNC_SUCCESS"
    assert "Ánh" not in str(logs)
