"""Tests the form of the public status message that consumers rely on."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from itertools import combinations
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.document_status import (
    Operation,
    Status,
    is_failure,
    is_pending,
    operation_of,
    requested_operation,
)
from streams.domain.sale_status import SaleStatus, event_id, message_key, utc_from_ms

DECISION: dict[str, Any] = {
    "event_id": event_id("sale", "chain", 1001, 1, "SYNC_SUCCESS"),
    "document": "sale",
    "source_database": "chain",
    "id": 1001,
    "attempt": 1,
    "local_invoice_id": "HD-1",
    "pharmacy_code": "79-00001",
    "shop_pharmacy_code": "SHOP-01",
    "status": "SYNC_SUCCESS",
    "national_invoice_id": "HD_QG_1",
    "reason": None,
    "next_attempt_at": None,
    "captured_at": utc_from_ms(1795400000001),
    "decided_at": utc_from_ms(1795400000420),
}


def test_a_status_message_has_exactly_this_form() -> None:
    message = json.loads(SaleStatus(**DECISION).model_dump_json())
    assert message == DECISION | {
        "schema_version": 1,
        "event_id": "494989e0-1a8d-5be2-8f57-587cbec9ff9e",
        "captured_at": "2026-11-23T02:13:20.001Z",
        "decided_at": "2026-11-23T02:13:20.420Z",
    }


@given(st.integers(0, 4_000_000_000_000))
def test_times_in_a_status_message_are_utc_to_the_millisecond(ms: int) -> None:
    message = json.loads(SaleStatus(**DECISION | {"next_attempt_at": utc_from_ms(ms)}).model_dump_json())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["next_attempt_at"])
    assert round(datetime.fromisoformat(message["next_attempt_at"]).timestamp() * 1000) == ms


def test_a_time_of_another_zone_is_published_in_utc() -> None:
    at = datetime(2026, 1, 1, 3, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=7)))
    message = json.loads(SaleStatus(**DECISION | {"decided_at": at}).model_dump_json())
    assert message["decided_at"] == "2025-12-31T20:00:00.999Z"


def test_every_decision_has_its_own_event_id() -> None:
    ids = [
        event_id("sale", "chain", 1001, 1, "SYNC_SUCCESS"),
        event_id("goods_issue", "chain", 1001, 1, "SYNC_SUCCESS"),
        event_id("sale", "other", 1001, 1, "SYNC_SUCCESS"),
        event_id("sale", "chain", 1002, 1, "SYNC_SUCCESS"),
        event_id("sale", "chain", 1001, 2, "SYNC_SUCCESS"),
        event_id("sale", "chain", 1001, 1, "SYNC_FAILED"),
        event_id("sale", "chain", 1001, 1, "CANCELLED"),
    ]
    assert all(one != other for one, other in combinations(ids, 2))


def test_the_message_key_is_the_code_of_the_document() -> None:
    assert SaleStatus(**DECISION).key == message_key("79-00001", "HD-1") == b"79-00001/HD-1"


@pytest.mark.parametrize("status", get_args(Status))
def test_each_status_belongs_to_one_operation_and_is_pending_or_final(status: Status) -> None:
    assert (operation_of(status) is Operation.WITHDRAW) == ("CANCEL" in status)
    assert is_pending(status) == status.startswith("PENDING")
    assert is_failure(status) == status.endswith("FAILED")
    assert requested_operation(status) is (operation_of(status) if is_pending(status) else None)
