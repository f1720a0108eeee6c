"""A till edits a sale while it is at the national system: the end is for the version that was sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.documents.document import Body, Row
from streams.documents.sale import SALE
from streams.domain.reasons import Code
from streams.domain.status_message import StatusMessage
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows
from tests.contract.stores.point_of_sale import Till, accepted, refused, told
from tests.support.decided_sales import FAR, ZONE, ends_on, sold_and_refused

Edit = Callable[[Till], Awaitable[None]]


@pytest.fixture
def ends(db: SalesDb) -> DecisionWriter:
    return ends_on(db)


async def header(till: Till) -> None:
    await till.run("UPDATE dbo.SalesInvoices SET customer_name = 'Lê Văn Mới' WHERE id = 1")


async def line(till: Till) -> None:
    await till.run("UPDATE dbo.SalesInvoiceDetails SET quantity = 7 WHERE sales_invoice_id = 1")


async def one_more_line(till: Till) -> None:
    await till.add_lines(1, "DRUG-2")


async def breaks_a_rule(till: Till) -> None:
    await till.run("UPDATE dbo.SalesInvoiceDetails SET dosage = '' WHERE sales_invoice_id = 1")


EDITS = [header, line, one_more_line, breaks_a_rule]


async def digest(till: Till) -> str | None:
    """Of the rows as they stand now; None where the server has none."""
    (found,) = await SourceRows(till.db).read(SALE, [1])
    assert found is not None
    return found.digest


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(("is_accepted", "with_digest"), [(True, True), (True, False), (False, False)])
async def test_a_sale_edited_meanwhile_is_due_at_once_and_stays_pending(
    ends: DecisionWriter, db: SalesDb, till: Till, edit: Edit, is_accepted: bool, with_digest: bool
) -> None:
    """Promise 2. Broken by: a sale that was edited while it was at the API counts as accepted in its edited form."""
    body = await sold_and_refused(till, 1, sent_hash="ab", tries=4)
    rows = await digest(till) if with_digest else None
    await edit(till)
    end = accepted(1, 1, "QG-1", body.hash, rows) if is_accepted else refused(1, 1)
    before = await db.now_ms()
    assert await ends.apply(SALE.name, [end]) == {1}
    row, state = await till.row(1), await till.state(1)
    assert row["status"] == "PENDING_SYNC"
    assert row["national_invoice_id"] == ("QG-1" if is_accepted else None)
    assert (state["published_attempt"], state["ever_accepted"], state["lease_until"]) == (1, int(is_accepted), 0)
    assert before <= state["next_attempt_at"] == state["attempts_since"] <= await db.now_ms()
    assert (state["tries"], state["sent_hash"]) == (0, "ab")


@pytest.mark.parametrize("code", [Code.RULES_BROKEN, Code.NO_LINES, Code.OLDER_VERSION_STORED])
async def test_our_own_refusal_does_not_count_when_the_sale_was_corrected_meanwhile(
    ends: DecisionWriter, till: Till, code: Code
) -> None:
    await sold_and_refused(till, 1, refused_attempt=None, refused_body=None)
    await ends.apply(SALE.name, [refused(1, 1, code)])
    assert (await till.row(1))["status"] == "PENDING_SYNC"
    await breaks_a_rule(till)
    await till.run("UPDATE dbo.SaleSync SET attempt = 2, next_attempt_at = ?", FAR)
    await ends.apply(SALE.name, [refused(1, 2, code)])
    assert (await till.row(1))["status"] == "SYNC_FAILED"


async def test_a_failure_by_the_time_limit_counts_although_the_sale_was_edited(
    ends: DecisionWriter, till: Till
) -> None:
    await sold_and_refused(till, 1, refused_attempt=None, refused_body=None)
    await ends.apply(SALE.name, [refused(1, 1, Code.TIME_LIMIT)])
    assert (await till.row(1))["status"] == "SYNC_FAILED"


async def test_a_newer_claim_keeps_its_lease_when_an_edited_sale_is_requested_again(
    ends: DecisionWriter, till: Till
) -> None:
    body = await sold_and_refused(till, 2)
    await line(till)
    await ends.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash)])
    row, state = await till.row(1), await till.state(1)
    assert (row["status"], state["lease_until"], state["next_attempt_at"]) == ("PENDING_SYNC", FAR, FAR)


@pytest.mark.parametrize("status", ["CANCELLED", None])
async def test_a_row_that_the_point_of_sale_cancelled_or_deleted_is_left_alone(
    ends: DecisionWriter, till: Till, status: str | None
) -> None:
    body = await sold_and_refused(till, 1)
    if status:
        await till.set_status(1, status)
        await line(till)
    else:
        await till.run("DELETE FROM dbo.SalesInvoiceDetails WHERE sales_invoice_id = 1")
        await till.run("DELETE FROM dbo.SalesInvoices WHERE id = 1")
    assert await ends.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash)]) == {1}
    assert [row["status"] for row in await till.rows("SELECT status FROM dbo.SalesInvoices")] == [status] * bool(status)
    assert (await till.state(1))["published_attempt"] == 1


async def test_only_the_edited_sale_of_a_batch_is_requested_again(ends: DecisionWriter, till: Till) -> None:
    body = await sold_and_refused(till, 1)
    await till.sell(2)
    await till.sync(2, attempt=1, lease_until=FAR)
    await line(till)
    with capture_logs() as logs:
        await ends.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash), refused(2, 1, Code.NO_LINES)])
    rows = await till.rows("SELECT status FROM dbo.SalesInvoices ORDER BY id")
    assert [row["status"] for row in rows] == ["PENDING_SYNC", "SYNC_FAILED"]
    assert [
        entry["ids"] for entry in logs if entry["event"] == "document.requested_again" and entry["why"] == "edited"
    ] == [[1]]


async def test_a_final_decision_of_an_unknown_version_is_written(ends: DecisionWriter, till: Till) -> None:
    await sold_and_refused(till, 1)
    await line(till)
    end: StatusMessage = told(1, 1, "SYNC_SUCCESS", national_id="QG-1")
    await ends.apply(SALE.name, [end])
    assert (await till.row(1))["status"] == "SYNC_SUCCESS"


async def test_an_edit_that_leaves_the_body_unchanged_does_not_count(ends: DecisionWriter, till: Till) -> None:
    body = await sold_and_refused(till, 1)
    rows = await digest(till)
    await till.run("UPDATE dbo.SalesInvoiceDetails SET route_of_administration = '  ' WHERE sales_invoice_id = 1")
    await ends.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash, rows)])
    assert (await till.row(1))["status"] == "SYNC_SUCCESS"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_rows_with_the_digest_that_was_sent_are_not_read_again(db: SalesDb, till: Till) -> None:
    """So nothing of them is made into a body; another sale of the batch, sent by a worker without digests, is."""
    body = await sold_and_refused(till, 1)
    await till.sell(2)
    await till.add_lines(2, "DRUG-1")
    await till.sync(2, attempt=1, lease_until=FAR)
    made: list[int] = []

    def transform(header: Row, lines: Sequence[Row], today: date) -> Body:
        made.append(header["id"])
        return SALE.transform(header, lines, today)

    ends = DecisionWriter(db, {SALE.name: replace(SALE, transform=transform)}, ZONE)
    decisions = [accepted(1, 1, "QG-1", body.hash, await digest(till)), accepted(2, 1, "QG-2", "ab")]
    await ends.apply(SALE.name, decisions)
    assert made == [2]
    rows = await till.rows("SELECT status FROM dbo.SalesInvoices ORDER BY id")
    assert [row["status"] for row in rows] == ["SYNC_SUCCESS", "PENDING_SYNC"]


async def test_an_error_in_our_own_code_does_not_keep_a_final_decision_from_being_written(
    db: SalesDb, till: Till
) -> None:
    body = await sold_and_refused(till, 1)

    def mistaken(*_: Any) -> Any:
        raise RuntimeError("Nguyễn Thị Ánh")

    ends = DecisionWriter(db, {SALE.name: replace(SALE, transform=mistaken)}, ZONE)
    with capture_logs() as logs:
        await ends.apply(SALE.name, [accepted(1, 1, "QG-1", body.hash)])
    assert (await till.row(1))["status"] == "SYNC_SUCCESS"
    assert "Ánh" not in str(logs)
