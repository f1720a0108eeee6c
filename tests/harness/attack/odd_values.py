"""Messages of each topic, spoilt in their bytes, in their structure or in their headers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.contract.stores.point_of_sale import accepted, pending, refused
from tests.harness.attack.payloads import steering

CANARY = "Kín-Đáo-Nguyễn"
"""Stands in what is a person's in every message, and in many of the values that are put into it."""
_ROW = {
    "id": 7,
    "local_invoice_id": "HD-7",
    "pharmacy_code": "79-1",
    "shop_pharmacy_code": "SHOP-1",
    "status": "PENDING_SYNC",
    "customer_name": CANARY,
}
_CHANGE = {
    "op": "c",
    "source": {"db": "chain", "schema": "dbo", "table": "SalesInvoices", "ts_ms": 1_800_000_000_000},
    "before": None,
    "after": _ROW,
    "ts_ms": 1_800_000_000_500,
}
_RETRY = {
    "schema_version": 1,
    "document": "sale",
    "source_database": "chain",
    "id": 7,
    "attempt": 1,
    "local_invoice_id": "HD-7",
    "pharmacy_code": "79-1",
    "shop_pharmacy_code": "SHOP-1",
    "since_ms": 1_800_000_000_000,
    "customer_name": CANARY,
}
_STATUSES = [
    json.loads(published.status.model_dump_json()) | {"customer_name": CANARY}
    for published in (accepted(7, 2), refused(7, 2), pending(7, 2, 1_800_000_000_000))
]
_NUMBERS = (0, -1, 1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, -(2**63), 2**70, 10**400, 1.5, 1e308, -0.0)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    "",
    " ",
    "0",
    "7",
    "-7",
    "1e3",
    "null",
    CANARY,
    CANARY * 200,
    f"{CANARY}\r\n{CANARY}",
    [],
    {},
    [CANARY],
    {"id": CANARY},
    {CANARY: 1},
    [[[[]]]],
    "x" * 51,
    "x" * 5000,
    "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "c",
    "u",
    "r",
    "d",
    "t",
    "PENDING_SYNC",
    "SYNC_SUCCESS",
    "SYNC_FAILED",
    "sale",
    "chain",
    "CHAIN",
    "SalesInvoices",
)
_HEADERS = (
    "sent-hash",
    "sent-rows",
    "traceparent",
    "tracestate",
    "topic",
    "partition",
    "offset",
    "reader",
    "reason",
    "left-out",
)
_RAW = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\xbc",
    b"a" * 64,
    b"a" * 65,
    b"-1",
    b"0",
    b"9" * 30,
    b"1e3",
    b" 1",
    "１".encode(),
    b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
    b"00-" + b"0" * 55,
    b"\r\nx: y",
    b"x" * 10_000,
    CANARY.encode(),
    b"\x1b[2J",
)
_WHOLE = (
    None,
    b"",
    b"null",
    b"true",
    b"0",
    b"[]",
    b"{}",
    b'""',
    b"{",
    b"]",
    b"[" * 100_000,
    b'{"a":' * 5000,
    b"\x00" * 50,
    b"\xff" * 50,
    b"\xef\xbb\xbf{}",
    b"\x00\x00\x00\x00\x05Avro",
    b"PK\x03\x04",
    b"<xml/>",
    b"NaN",
    b"1e999",
    b"-",
    b'"\\ud83d"',
    b"9" * 5000,
)
_TOPICS = ("change", "change", "sale-retry", "sale-status", "sale-status", "sale-dead-letter")


@dataclass(frozen=True)
class OddMessage:
    topic: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def odd_message(rng: Random) -> OddMessage:
    topic = rng.choice(_TOPICS)
    document: Any = deepcopy(_whole(rng, topic))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        document = _spoilt(rng, document)
    value: bytes | None = _written(rng, document)
    if rng.random() < 0.35:
        value = rng.choice(_BYTES)(rng, value or b"")
    elif rng.random() < 0.04:
        value = rng.choice(_WHOLE)
    headers = [(rng.choice(_HEADERS), rng.choice(_RAW)) for _ in range(rng.choice((0, 0, 1, 2, 4)))]
    if topic == "sale-dead-letter":
        headers = [*(("topic", b"sale-retry"), ("partition", b"0"), ("offset", b"3")), *headers]
    return OddMessage(topic, value, tuple(headers))


def _whole(rng: Random, topic: str) -> dict[str, Any]:
    if topic == "sale-status":
        return dict(rng.choice(_STATUSES))
    if topic == "sale-retry":
        return dict(_RETRY)
    change = {**_CHANGE, "op": rng.choice("ccccu")}
    return {"schema": {"type": "struct"}, "payload": change} if rng.random() < 0.3 else change


def _spoilt(rng: Random, document: Any) -> Any:
    """Change, remove, or duplicate one place anywhere in the message."""
    places = list(_places(document))
    if not places:
        return document
    holder, name = rng.choice(places)
    match rng.randrange(7):
        case 0:
            del holder[name]
        case 1 if isinstance(holder, dict):
            holder[str(name).upper()] = holder.pop(name)
        case 2 if isinstance(holder, dict):
            holder[f"{CANARY}-{name}"] = holder[name]
        case 3:
            holder[name] = json.dumps(holder[name])
        case 4:
            holder[name] = rng.choice(_NUMBERS)
        case 5:
            holder[name] = CANARY + steering(rng)
        case _:
            holder[name] = deepcopy(rng.choice(_VALUES))
    return document


def _places(node: Any) -> Any:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in list(items):
        yield node, name
        yield from _places(value)


def _written(rng: Random, document: Any) -> bytes:
    match rng.randrange(12):
        case 0:
            return json.dumps(json.dumps(document)).encode()
        case 1:
            return json.dumps([document]).encode()
        case 2:
            return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
        case _:
            return json.dumps(document).encode()


def _cut(rng: Random, value: bytes) -> bytes:
    return value[: rng.randrange(len(value) + 1)]


def _with_noise(rng: Random, value: bytes) -> bytes:
    at = rng.randrange(len(value) + 1)
    return value[:at] + rng.randbytes(rng.randrange(1, 6)) + value[at:]


def _flipped(rng: Random, value: bytes) -> bytes:
    if not value:
        return value
    changed = bytearray(value)
    for _ in range(rng.randrange(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _recoded(rng: Random, value: bytes) -> bytes:
    return value.decode("utf-8", "replace").encode(
        rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1")), "replace"
    )


def _twice(rng: Random, value: bytes) -> bytes:
    return value + rng.choice((b"", b"\n", b",", b"\x00")) + value


def _key_twice(rng: Random, value: bytes) -> bytes:
    return value.replace(b"{", rng.choice((b'{"id":1,', b'{"status":"SYNC_SUCCESS",', b'{"op":"d",')), 1)


_BYTES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _cut,
    _with_noise,
    _flipped,
    _recoded,
    _twice,
    _key_twice,
    lambda _, value: gzip.compress(value),
    lambda rng, value: value[::-1],
)
