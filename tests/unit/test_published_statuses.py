"""Tests that a message on `sale-status` or `sale-retry` with a value beyond its column cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain.retry_message import read_retry
from streams.domain.status_message import read_status
from streams.domain.undecodable import Undecodable
from tests.contract.stores.point_of_sale import accepted, refused

VALUE = json.loads(refused(1, 1).status.model_dump_json())


def changed(**fields: Any) -> bytes:
    return json.dumps(VALUE | fields).encode()


@pytest.mark.parametrize("header", ["sent-hash", "sent-rows"])
@pytest.mark.parametrize(
    "odd", [b"\xff\xfe", b"\xed\xa0\xbc", b"a" * 65], ids=["no UTF-8", "half a letter", "too long"]
)
def test_a_status_with_a_header_that_is_not_a_hash_cannot_be_read(header: str, odd: bytes) -> None:
    """A header such as `sent-hash` may contain any bytes.

    Promise 5. Broken by: one header that is no UTF-8 ends the journal and the write-back, after each restart too.
    """
    with pytest.raises(Undecodable):
        read_status(changed(), {"sent-hash": b"ab"} | {header: odd})


@pytest.mark.parametrize(
    "fields",
    [
        {"id": 2**70},
        {"id": 2**63},
        {"id": -(2**63) - 1},
        {"attempt": 2**70},
        {"attempt": 2**31},
        {"attempt": 0},
        {"attempt": -1},
        {"reason": VALUE["reason"] | {"http_status": 2**31}},
        {"reason": VALUE["reason"] | {"http_status": -(2**70)}},
        {"reason": VALUE["reason"] | {"code": "x" * 51}},
        {"local_invoice_id": "x" * 51},
        {"national_invoice_id": "x" * 101},
        {"document": "x" * 21},
        {"next_attempt_at": "9999-12-31T23:59:59Z"},
        {"next_attempt_at": "0001-01-01T00:00:00+14:00"},
        {"decided_at": "0001-01-01T00:00:00"},
        {"captured_at": 2**70},
    ],
    ids=str,
)
def test_a_status_with_a_value_beyond_its_column_cannot_be_read(fields: dict[str, Any]) -> None:
    """Promise 5. Broken by: one message with a number beyond its column stops the journal of all shops."""
    with pytest.raises(Undecodable) as caught:
        read_status(changed(**fields), {})
    assert "x" * 21 not in str(caught.value)


def test_a_status_with_values_at_the_limits_of_their_columns_is_read() -> None:
    assert read_status(changed(id=2**63 - 1, attempt=2**31 - 1), {}).status.attempt == 2**31 - 1
    published = accepted(1, 1, body_hash="a" * 64)
    assert published.version is not None
    assert read_status(published.status.model_dump_json().encode(), published.version.headers()) == published


RETRY: dict[str, Any] = {
    "document": "sale",
    "source_database": "chain",
    "id": 1,
    "attempt": 1,
    "local_invoice_id": "HD-1",
    "pharmacy_code": "79-1",
    "shop_pharmacy_code": "SHOP-1",
    "since_ms": 1,
}


@pytest.mark.parametrize(
    "fields",
    [
        *({"id": number} for number in (2**70, 2**63, -(2**63) - 1)),
        *({"attempt": number} for number in (2**70, 2**31 - 1, -1)),
        *({"since_ms": number} for number in (2**70, -1, 253_402_300_800_000)),
    ],
    ids=str,
)
def test_a_retry_message_with_a_number_beyond_its_column_cannot_be_read(fields: dict[str, int]) -> None:
    """Promise 5. Broken by: one message of sale-retry with a number beyond its column is claimed together with
    others."""
    assert read_retry(json.dumps(RETRY).encode()).id == 1
    with pytest.raises(Undecodable):
        read_retry(json.dumps(RETRY | fields).encode())


@pytest.mark.parametrize("junk", [None, b"", b"{}", b"\xff", b'{"schema_version": 9}'])
def test_a_message_that_is_not_a_retry_is_undecodable(junk: bytes | None) -> None:
    with pytest.raises(Undecodable):
        read_retry(junk)
