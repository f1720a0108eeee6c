"""Tests what each of Debezium's change events requests, and that an invalid one raises `Undecodable` and nothing
else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.change_event import Edited, Origin, SendRequest, Skip, captured_at_ms, read_change_event
from streams.domain.undecodable import Undecodable

EXAMPLES = Path(__file__).parents[1] / "examples"
CODES = {"salesinvoices": ("sale", "local_invoice_id")}

WHAT_FOLLOWS: dict[str, Skip | Origin] = {
    "insert, to be sent": Origin.INSERTED,
    # Snapshot rows are for the scheduler, which brings what was pending before, fairly.
    "snapshot of a row that was pending before the connector existed, to be sent": Skip.SNAPSHOT,
    "last row of a snapshot": Skip.SNAPSHOT,
    "our own write-back, passed over": Skip.NOT_PENDING,
    "asked for again by an operator, to be sent": Origin.REQUESTED_AGAIN,
    "reason of a waiting sale written, nothing captured changed, passed over": Skip.STILL_PENDING,
    "deleted": Skip.DELETED,
    "tombstone after the delete": Skip.TOMBSTONE,
    "draft became pending, to be sent": Origin.REQUESTED_AGAIN,
}


def examples() -> list[dict[str, Any]]:
    lines = (EXAMPLES / "sqlserver-changes.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def encoded(value: Any) -> bytes | None:
    return None if value is None else json.dumps(value, ensure_ascii=False).encode()


def in_schema(value: Any) -> Any:
    return {"schema": {"type": "struct", "optional": False}, "payload": value}


def read(value: Any) -> SendRequest | Edited | Skip:
    return read_change_event(encoded(value), CODES)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "local_invoice_id": "HD-7",
        "pharmacy_code": "79-00001",
        "shop_pharmacy_code": "SHOP-1",
        "status": "PENDING_SYNC",
    } | changes


def event(op: str = "c", *, before: Any = None, after: Any = None, **source: Any) -> dict[str, Any]:
    return {
        "op": op,
        "before": before,
        "after": row() if after is None and op != "d" else after,
        "source": {"db": "chain", "table": "SalesInvoices", "ts_ms": 1_795_400_000_001} | source,
    }


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in row().items() if key != name}


def test_every_recorded_example_has_an_expected_result() -> None:
    assert [example["why"] for example in examples()] == list(WHAT_FOLLOWS)


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "with schema"])
@pytest.mark.parametrize("example", examples(), ids=lambda example: example["why"])
def test_a_recorded_change_event_gives_the_expected_request_or_skip(example: dict[str, Any], wrapped: bool) -> None:
    value = in_schema(example["value"]) if wrapped else example["value"]
    result = read(value)
    expected = WHAT_FOLLOWS[example["why"]]
    if isinstance(expected, Skip):
        assert result is expected
        return
    after, source = example["value"]["after"], example["value"]["source"]
    assert result == SendRequest(
        document_type="sale",
        database=source["db"],
        id=after["id"],
        document_code=after["local_invoice_id"],
        pharmacy_code=after["pharmacy_code"],
        shop=after["shop_pharmacy_code"],
        origin=expected,
        captured_at_ms=source["ts_ms"],
    )


def test_a_recorded_change_event_with_its_schema_is_read() -> None:
    result = read_change_event((EXAMPLES / "sqlserver-change-with-schema.json").read_bytes(), CODES)
    assert isinstance(result, SendRequest)
    assert (result.id, result.document_code, result.origin) == (1004, "HD-2026-001004", Origin.INSERTED)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (event("c", after=row(status="DRAFT")), Skip.NOT_PENDING),
        (event("c", after=row(status="SYNC_SUCCESS")), Skip.NOT_PENDING),
        (event("r"), Skip.SNAPSHOT),
        (event("d", before=row()), Skip.DELETED),
        (event("d"), Skip.DELETED),
        (event("t", after={}), Skip.TRUNCATED),
        ({"op": "t", "source": event()["source"]}, Skip.TRUNCATED),
        (event(table="Customers"), Skip.OTHER_TABLE),
        (event(table="Customers", after={"customer": "A", "id": "text"}), Skip.OTHER_TABLE),
        (event(table="salesinvoices_2025"), Skip.OTHER_TABLE),
        (event("u", before=row(status="PENDING_SYNC")), Skip.STILL_PENDING),
        (event("u", before=row(), after=row(status="SYNC_SUCCESS")), Skip.NOT_PENDING),
        (event("u", before=row(status="SYNC_FAILED"), after=row(status="SYNC_SUCCESS")), Skip.NOT_PENDING),
        (event("u", after=row(status="SYNC_SUCCESS")), Skip.NOT_PENDING),
        (event("u", before=row(status="SYNC_SUCCESS"), after=row(status="CANCELLED")), Skip.NOT_PENDING),
        (event("r", after=row(status="SYNC_SUCCESS")), Skip.SNAPSHOT),
        (event("u", before=row(status="PENDING_CANCEL"), after=row(status="PENDING_CANCEL")), Skip.STILL_PENDING),
        (event("u", before=row(status="PENDING_CANCEL"), after=row(status="CANCELLED")), Skip.NOT_PENDING),
        (event("c", after=row(status="CANCEL_FAILED")), Skip.NOT_PENDING),
        (in_schema(None), Skip.TOMBSTONE),
    ],
)
def test_a_change_event_that_needs_no_sending_is_skipped(value: Any, expected: Skip) -> None:
    assert read(value) is expected


def test_an_accepted_document_that_was_changed_and_kept_its_status_was_edited() -> None:
    change = event("u", before=row(status="SYNC_SUCCESS  "), after=row(status="SYNC_SUCCESS", local_invoice_id="X"))
    assert read(change) == Edited("sale", "chain", 7)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SYNC_SUCCESS", "PENDING_CANCEL"),
        ("PENDING_SYNC", "PENDING_CANCEL"),
        ("PENDING_CANCEL", "PENDING_SYNC"),
        ("CANCELLED", "PENDING_SYNC"),
        ("CANCEL_FAILED", "PENDING_CANCEL"),
        ("PENDING_SYNC        ", "PENDING_CANCEL      "),
    ],
)
def test_a_change_of_the_requested_operation_is_a_new_request(before: str, after: str) -> None:
    """Promise 1. Broken by: a change from waiting to be sent to waiting to be withdrawn counts as no change."""
    request = read(event("u", before=row(status=before), after=row(status=after)))
    assert isinstance(request, SendRequest)
    assert request.origin is Origin.REQUESTED_AGAIN


def test_a_tombstone_is_skipped_in_either_form() -> None:
    assert read_change_event(None, CODES) is Skip.TOMBSTONE
    assert read_change_event(b"null", CODES) is Skip.TOMBSTONE


@pytest.mark.parametrize("before", [None, {}, {"status": None}, {"status": "SYNC_FAILED"}, {"status": 5}])
def test_an_update_to_pending_is_sent_even_without_its_before_image(before: Any) -> None:
    """A document that is sent once too often is looked up first; one that is skipped is lost."""
    result = read(event("u", before=before))
    assert isinstance(result, SendRequest)
    assert result.origin is Origin.REQUESTED_AGAIN


def test_blanks_with_which_a_char_column_fills_the_status_do_not_count() -> None:
    """Promise 1. Broken by: a status in a CHAR column is not recognised in a change event."""
    padded = "PENDING_SYNC        "
    assert isinstance(read(event("c", after=row(status=padded))), SendRequest)
    assert read(event("u", before=row(status=padded), after=row(status=padded))) is Skip.STILL_PENDING


def test_unknown_fields_are_ignored() -> None:
    value = event(after=row(a_new_column=[1, {"x": None}]), new_in_source={"a": 1}) | {"ts_us": 1, "new": "x"}
    assert read(value) == read(event())


def test_the_table_gives_the_document_type_and_the_column_of_its_code() -> None:
    codes = CODES | {"purchasereceipts": ("purchase_receipt", "local_receipt_id")}
    value = event(table="PurchaseReceipts", after=row(local_receipt_id="PN-1"))
    result = read_change_event(encoded(value), codes)
    assert isinstance(result, SendRequest)
    assert (result.document_type, result.document_code) == ("purchase_receipt", "PN-1")


@pytest.mark.parametrize("table", ["SalesInvoices", "salesinvoices", "SALESINVOICES"])
def test_a_table_name_is_recognized_in_any_case(table: str) -> None:
    assert isinstance(read(event(table=table)), SendRequest)


@pytest.mark.parametrize("column", ["id", "pharmacy_code", "shop_pharmacy_code", "status", "local_invoice_id"])
def test_a_missing_column_is_named_in_the_error(column: str) -> None:
    """A missing `status` matters most: every event would be skipped silently."""
    with pytest.raises(Undecodable, match=rf"after\.{column}: "):
        read(event(after=without(column)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("after.id", event(after=row(id="7"))),
        ("after.id", event(after=row(id=True))),
        ("after.id", event(after=row(id=7.0))),
        ("after.id", event(after=row(id=None))),
        ("after.id", event(after=row(id=2**63))),
        ("after.id", event(after=row(id=-(10**400)))),
        ("after.pharmacy_code", event(after=row(pharmacy_code=79))),
        ("after.pharmacy_code", event(after=row(pharmacy_code=""))),
        ("after.shop_pharmacy_code", event(after=row(shop_pharmacy_code=""))),
        ("after.shop_pharmacy_code", event(after=row(shop_pharmacy_code=None))),
        ("after.status", event(after=row(status=1))),
        ("after.local_invoice_id", event(after=row(local_invoice_id=7))),
        ("after.local_invoice_id", event(after=row(local_invoice_id=""))),
        ("after", event(after="row")),
        ("envelope", {k: v for k, v in event().items() if k != "after"}),
        ("envelope", event("u") | {"after": None}),
        ("envelope", event("r") | {"after": None}),
        ("before", event("u", before=[])),
        ("op", event("x")),
        ("op", event() | {"op": None}),
        ("source", event() | {"source": None}),
        ("source.db", event(db=None)),
        ("source.table", event(table=3)),
        ("source.ts_ms", event(ts_ms="soon")),
        ("source.ts_ms", event(ts_ms=True)),
        ("source.ts_ms", event(ts_ms=-1)),
        ("source.ts_ms", event(ts_ms=10**18)),
        ("envelope", []),
        ("envelope", "text"),
        ("envelope", 5),
        ("envelope", in_schema("text")),
        ("op", {}),
    ],
)
def test_an_invalid_field_is_named_in_the_error(field: str, value: Any) -> None:
    with pytest.raises(Undecodable, match=rf"(^|; ){field}: "):
        read(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"{",
        b"not json",
        b'{"op": "c",}',
        b'"\xff\xfe"',
        "Hóa đơn".encode("utf-16"),
        b'"\\ud800"',
        b"\x00" * 10,
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 100_000,
        b'{"op": "c"} {"op": "c"}',
        b'\x00\x00\x00\x00\x01{"op":"c"}',  # a schema registry's framing
    ],
    ids=lambda value: repr(value[:12]),
)
def test_bytes_that_are_not_json_cannot_be_read(value: bytes) -> None:
    with pytest.raises(Undecodable, match=r"^not JSON$"):
        read_change_event(value, CODES)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_numbers_that_json_does_not_have_cannot_be_read(number: bytes) -> None:
    value = (encoded(event()) or b"").replace(b'"id": 7', b'"id": ' + number)
    assert number in value
    with pytest.raises(Undecodable, match=r"^after\.id: "):
        read_change_event(value, CODES)


def test_a_change_event_of_a_megabyte_is_read() -> None:
    assert read(event(after=row(note="x" * 1_000_000))) == read(event())


def test_the_capture_time_is_read_from_any_change_event_that_has_one() -> None:
    assert captured_at_ms(encoded(event())) == 1_795_400_000_001
    assert captured_at_ms(encoded(in_schema(event("d")))) == 1_795_400_000_001
    assert captured_at_ms(None) is None
    assert captured_at_ms(b"null") is None
    assert captured_at_ms(b"{") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_undecodable(value: bytes) -> None:
    captured_at_ms(value)
    with suppress(Undecodable):
        read_change_event(value, CODES)


@given(json_values, st.booleans())
def test_any_json_is_read_or_undecodable(value: Any, wrapped: bool) -> None:
    with suppress(Undecodable):
        read(in_schema(value) if wrapped else value)


def _paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))


PATHS = list(_paths(event("u", before=row(status="SYNC_FAILED"))))


@given(st.sampled_from(PATHS), json_values, st.booleans())
def test_a_change_event_with_one_field_changed_or_missing_is_read_or_undecodable(
    path: tuple[str, ...], value: Any, missing: bool
) -> None:
    """The changed event stays close to a real one, so that every rule is reached."""
    changed = event("u", before=row(status="SYNC_FAILED"))
    inner = changed
    for part in path[:-1]:
        inner = inner[part]
    if missing:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    try:
        result = read(changed)
    except Undecodable:
        return
    assert isinstance(result, Skip) or -(2**63) <= result.id < 2**63


MARK = "MARKER-OF-A-VALUE"
marked = st.recursive(
    st.sampled_from([MARK, f"{MARK} 1", f"-{MARK}", f"2026-{MARK}"]),
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, min_size=1),
    max_leaves=4,
)


@given(st.sets(st.sampled_from(PATHS), min_size=1), st.data())
def test_the_error_about_an_undecodable_event_shows_no_value(paths: set[tuple[str, ...]], data: st.DataObject) -> None:
    changed = event("u", before=row(status="SYNC_FAILED"))
    for path in sorted(paths, key=len, reverse=True):
        inner: Any = changed
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = data.draw(marked)
    text = json.dumps(changed).encode()
    for value in (text, text[:-1], text.replace(MARK.encode(), b"\xff" + MARK.encode())):
        try:
            read_change_event(value, CODES)
        except Undecodable as error:
            assert MARK not in str(error)  # noqa: PT017
            assert error.__cause__ is None  # noqa: PT017
            assert error.__context__ is None or error.__suppress_context__  # noqa: PT017
