"""Tests the judge of the demo, which compares the database with the ledger of the simulated API."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from streams.local.database import open_database
from streams.local.tally import AcceptedDocuments, Tally, take_tallies


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(tmp_path / "sales.db")) as connection:
        yield connection


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def take_tally(database: sqlite3.Connection, ledger: Path) -> Tally:
    """Of the sales."""
    return take_tallies(database, ledger)[0]


def row(database: sqlite3.Connection, code: str, status: str, national_id: str | None = None) -> None:
    database.execute(
        "INSERT INTO SalesInvoices (local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, "
        "national_invoice_id, created_at, updated_at) VALUES (?, '79-1', 'SHOP-1', '2026-11-20', ?, ?, '', '')",
        [code, status, national_id],
    )


def accepted(ledger: Path, code: str, national_id: str, **other: Any) -> None:
    entry = {"kind": "sale", "ma_co_so": "79-1", "code": code, "national_id": national_id}
    with ledger.open("a") as file:
        file.write(json.dumps(entry | {"call": "create", "new_document": True} | other) + "\n")


def test_a_ledger_that_matches_the_database_is_right(database: sqlite3.Connection, ledger: Path) -> None:
    row(database, "A", "SYNC_SUCCESS", "QG_1")
    row(database, "B", "SYNC_FAILED")
    accepted(ledger, "A", "QG_1")
    tally = take_tally(database, ledger)
    assert tally.right
    assert tally.lines() == (
        "2 sales: 1 SYNC_SUCCESS, 1 SYNC_FAILED, 0 PENDING_SYNC, 0 CANCELLED",
        "ledger: 1 accepted, 0 withdrawn, 0 replaced, 0 twice, 0 unknown to the database",
    )


def test_withdrawn_documents_are_compared_with_their_rows(database: sqlite3.Connection, ledger: Path) -> None:
    row(database, "A", "CANCELLED")
    row(database, "B", "CANCEL_FAILED", "QG_2")
    for code, national_id in (("A", "QG_1"), ("B", "QG_2")):
        accepted(ledger, code, national_id)
    accepted(ledger, "A", "QG_1", call="withdraw", new_document=False)
    tally = take_tally(database, ledger)
    assert tally.right
    assert tally.lines() == (
        "2 sales: 0 SYNC_SUCCESS, 0 SYNC_FAILED, 0 PENDING_SYNC, 1 CANCELLED, 1 CANCEL_FAILED",
        "ledger: 1 accepted, 1 withdrawn, 0 replaced, 0 twice, 0 unknown to the database",
    )


def test_a_document_with_the_status_cancelled_that_the_ledger_still_has_is_wrong(
    database: sqlite3.Connection, ledger: Path
) -> None:
    row(database, "A", "CANCELLED")
    accepted(ledger, "A", "QG_1")
    tally = take_tally(database, ledger)
    assert (tally.unknown, tally.right) == (1, False)


def test_a_replacement_is_not_counted_as_a_duplicate(database: sqlite3.Connection, ledger: Path) -> None:
    row(database, "A", "SYNC_SUCCESS", "QG_1")
    accepted(ledger, "A", "QG_1")
    accepted(ledger, "A", "QG_1", call="replace", new_document=False)
    assert take_tally(database, ledger).right


def test_two_acceptances_of_one_sale_are_wrong(database: sqlite3.Connection, ledger: Path) -> None:
    row(database, "A", "SYNC_SUCCESS", "QG_2")
    accepted(ledger, "A", "QG_1")
    accepted(ledger, "A", "QG_2")
    tally = take_tally(database, ledger)
    assert (tally.accepted, tally.twice, tally.unknown, tally.right) == (1, 1, 0, False)


@pytest.mark.parametrize(
    ("status", "national_id"), [("SYNC_FAILED", None), ("SYNC_SUCCESS", "QG_9"), ("PENDING_SYNC", None)]
)
def test_an_accepted_sale_that_the_database_does_not_know_is_wrong(
    database: sqlite3.Connection, ledger: Path, status: str, national_id: str | None
) -> None:
    row(database, "A", status, national_id)
    accepted(ledger, "A", "QG_1")
    tally = take_tally(database, ledger)
    assert (tally.unknown, tally.right) == (1, False)


def test_a_success_that_the_ledger_does_not_have_is_wrong(database: sqlite3.Connection, ledger: Path) -> None:
    row(database, "A", "SYNC_SUCCESS", "QG_1")
    assert not take_tally(database, ledger).right


def test_the_ledger_is_read_on_by_whole_lines(ledger: Path) -> None:
    documents = AcceptedDocuments(ledger)
    documents.look()
    accepted(ledger, "A", "QG_1")
    with ledger.open("a") as file:
        file.write('{"kind": "sale", "half')
    documents.look()
    documents.look()
    assert documents.by_type["sale"].national_ids == {("79-1", "A"): "QG_1"}
    assert documents.twice == 0


def test_a_receipt_and_a_sale_with_the_same_code_are_counted_separately(
    database: sqlite3.Connection, ledger: Path
) -> None:
    row(database, "A", "SYNC_SUCCESS", "QG_1")
    accepted(ledger, "A", "QG_1")
    database.execute(
        "INSERT INTO PurchaseReceipts (local_receipt_id, pharmacy_code, shop_pharmacy_code, receipt_date, "
        "receipt_type, status, created_at, updated_at) "
        "VALUES ('A', '79-1', 'SHOP-1', '2026-11-20', 1, 'PENDING_SYNC', '', '')"
    )
    accepted(ledger, "A", "PN_QG_1", kind="purchase_receipt")
    sales, receipts, issues = take_tallies(database, ledger)
    assert (sales.right, receipts.right, issues.right) == (True, False, True)
    assert receipts.lines() == (
        "1 purchase receipts: 0 SYNC_SUCCESS, 0 SYNC_FAILED, 1 PENDING_SYNC, 0 CANCELLED",
        "ledger of purchase receipts: 1 accepted, 0 withdrawn, 0 replaced, 0 twice, 1 unknown to the database",
    )
