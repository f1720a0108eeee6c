"""Tests that every planted record and sale is what the judge expects."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from streams.documents.document import BrokenRules
from streams.documents.sale import SALE
from streams.domain.change_event import SendRequest, Skip, read_change_event
from streams.domain.retry_message import read_retry
from streams.domain.status_message import read_status
from streams.domain.undecodable import Undecodable
from streams.local.samples.sales import make_sale
from streams.local.samples.shops import make_shops
from streams.local.stack import CHANGE_TOPIC
from streams.pipeline.source_database import SourceDatabaseFilter
from tests.harness.chaos.faults.records import MADE, Record, Sale, decision, event, retry
from tests.harness.chaos.faults.rows import HEADER, LINE, WRONGS, Wrong
from tests.harness.chaos.planted import Becomes, Planted

TABLES = {"salesinvoices": ("sale", "local_invoice_id")}
SALE_THERE = Sale(7, "HD-7", "79-00001", "SHOP-01", "PENDING_SYNC")
NOW = datetime(2026, 7, 1, 10, tzinfo=UTC)
PLANTED = {
    f"{kind}-{place}": record
    for kind, make in MADE.items()
    for place, record in enumerate(make(SALE_THERE, random.Random(1)))
}


def becomes(record: Record) -> Becomes:
    """Return what the workers' readers make of the record."""
    try:
        match record.topic:
            case "sale-status":
                status = read_status(record.value, dict(record.headers)).status
                database, claimed = status.source_database, False
            case "sale-retry":
                database, claimed = read_retry(record.value).database, True
            case _:
                asked = read_change_event(record.value, TABLES)
                if isinstance(asked, Skip):
                    return "skipped"
                database, claimed = asked.database, True
    except Undecodable:
        return "buried"
    assert not claimed or database != "chain", "a worker would take it for a sale of ours"
    return "unclaimed" if SourceDatabaseFilter("chain").takes(record.topic, database) else "foreign"


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_record_becomes_what_the_judge_expects(name: str) -> None:
    record = PLANTED[name]
    assert becomes(record) == record.becomes


def test_a_planted_record_would_be_believed_if_it_were_not_spoilt() -> None:
    """So the spoilt part is what makes it a dead letter."""
    assert isinstance(read_change_event(event(SALE_THERE), TABLES), SendRequest)
    assert read_retry(retry(SALE_THERE)).id == SALE_THERE.id
    assert read_status(decision(SALE_THERE, "e"), {}).status.id == SALE_THERE.id
    assert {record.topic for record in PLANTED.values()} == {CHANGE_TOPIC, "sale-retry", "sale-status"}


def broken(wrong: Wrong | None) -> list[tuple[str, str]]:
    header, lines = make_sale(1, 5, make_shops(1, 12), NOW, 0.0, ())
    row = dict(zip(HEADER, header.row(), strict=True))
    of_lines = [dict(zip(LINE, line.row(5), strict=True)) for line in lines]
    if wrong is not None:
        (row if wrong.column in row else of_lines[0])[wrong.column] = wrong.value
    try:
        SALE.transform(row, of_lines, NOW.date())
    except BrokenRules as error:
        return [(rule.field, rule.rule) for rule in error.rules]
    return []


@pytest.mark.parametrize("kind", WRONGS)
def test_a_planted_sale_breaks_exactly_the_rule_that_the_judge_expects(kind: str) -> None:
    assert broken(None) == []
    for wrong in WRONGS[kind](NOW):
        assert broken(wrong) == ([wrong.breaks] if wrong.breaks else []), wrong


def test_a_planted_record_that_was_not_confirmed_may_be_a_dead_letter() -> None:
    planted = Planted()
    for key in ("junk-a", "junk-b", "junk-c"):
        planted.expects(key, "sale-retry")
    planted.confirmed("junk-b", "foreign")
    planted.confirmed("junk-c", "buried")
    assert [junk.dead_letters for junk in planted.records.values()] == [None, False, True]
