"""Faults of somebody else's producer that writes to our topics: it is not believed, and delays nobody."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import pyodbc
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.local.real.stack import DATABASE
from streams.local.stack import CHANGE_TOPIC
from tests.harness.chaos.faults.force import InForce, Parameters
from tests.harness.chaos.planted import Becomes
from tests.harness.chaos.world import World

Codec: TypeAlias = Literal["gzip", "snappy", "lz4", "zstd"]
_TOPICS = (CHANGE_TOPIC, "sale-retry", "sale-status")
_WITHIN = 240.0
"""Seconds for a broker that is away to come back."""
_MOST = 1_048_588
"""Bytes: what a broker takes by default, more than our own producers send."""
_NOBODY = 2_000_000_000
"""No sale has this id."""
_FAR = 1_000_000
"""No attempt has this number."""
_FAILED: Mapping[str, Any] = {"status": "SYNC_FAILED", "national_invoice_id": None}


@dataclass(frozen=True, slots=True)
class Record:
    topic: str
    value: bytes | None
    becomes: Becomes = "buried"
    headers: Sequence[tuple[str, bytes]] = ()
    codec: Codec | None = None


@dataclass(frozen=True, slots=True)
class Sale:
    """A row that exists, for forged decisions about it."""

    id: int
    local_invoice_id: str
    pharmacy_code: str
    shop_pharmacy_code: str
    status: str


def event(sale: Sale, *, database: str = DATABASE, **changes: Any) -> bytes:
    """A change event: sold just now."""
    after = {**_codes(sale), "status": "PENDING_SYNC"} | changes
    source = {"db": database, "table": "SalesInvoices", "ts_ms": time.time_ns() // 1_000_000}
    return _json({"op": "c", "source": source, "before": None, "after": after})


def retry(sale: Sale, *, database: str = DATABASE, **changes: Any) -> bytes:
    known = {"schema_version": 1, "document": "sale", "source_database": database, "attempt": 0, "since_ms": 1}
    return _json(known | _codes(sale) | changes)


def decision(sale: Sale, event_id: str, *, database: str = DATABASE, **changes: Any) -> bytes:
    """That it was accepted, as an id says that nobody gave."""
    known = {
        **{"schema_version": 1, "event_id": event_id, "document": "sale", "source_database": database, "attempt": 1},
        **_codes(sale),
        **{"status": "SYNC_SUCCESS", "national_invoice_id": "QG-FORGED", "reason": None, "next_attempt_at": None},
        **{"captured_at": "2026-01-01T00:00:00.000Z", "decided_at": "2026-01-01T00:00:01.000Z"},
    }
    return _json(known | changes)


def _codes(sale: Sale) -> dict[str, Any]:
    names = ("id", "local_invoice_id", "pharmacy_code", "shop_pharmacy_code")
    return {name: getattr(sale, name) for name in names}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _everywhere(*values: bytes) -> Iterator[Record]:
    return (Record(topic, value) for topic in _TOPICS for value in values)


def _no_text(sale: Sale, _: random.Random) -> Iterator[Record]:
    """Bytes that are no UTF-8, half of an emoji in an escape, and what Python's own JSON takes and no other's does."""
    half = b'"\\ud83c"'
    yield from _everywhere(b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf\xc3\x28", b'{"after": ' + half + b"}")
    yield Record(CHANGE_TOPIC, event(sale).replace(_json(sale.pharmacy_code), half))
    yield Record("sale-retry", retry(sale).replace(_json(sale.pharmacy_code), half))
    yield Record("sale-status", decision(sale, "half").replace(_json(sale.pharmacy_code), half))


def _deep(_: Sale, rng: random.Random) -> Iterator[Record]:
    depth = rng.choice((1_000, 20_000, 100_000))
    yield from _everywhere(b"[" * depth, b"[" * depth + b"]" * depth, b'{"after":' * depth + b"1" + b"}" * depth)


def _huge_numbers(sale: Sale, _: random.Random) -> Iterator[Record]:
    """Beyond a column, beyond 64 bits, and of more digits than Python reads."""
    digits = int("9" * 4_000)
    for number in (2**63, 2**70, -(2**70), digits):
        yield Record(CHANGE_TOPIC, event(sale, id=number))
    for id_, attempt in ((2**63, 2**31), (2**70, 2**70), (digits, digits)):
        yield Record("sale-retry", retry(sale, id=id_))
        yield Record("sale-retry", retry(sale, attempt=attempt))
        yield Record("sale-status", decision(sale, "huge", id=id_))
        yield Record("sale-status", decision(sale, "huge", attempt=attempt))


def _odd_headers(sale: Sale, _: random.Random) -> Iterator[Record]:
    odd = [("traceparent", b"\xff\xfe"), ("tracestate", b"\x00" * 5_000), ("\N{SUN WITH FACE}", b"")]
    yield Record("sale-status", decision(sale, "headers"), headers=[("sent-hash", b"\xff\xfe"), *odd])
    yield Record("sale-status", decision(sale, "headers"), headers=[("sent-hash", b"a"), ("sent-rows", b"\xc3\x28")])
    yield Record("sale-status", decision(sale, "headers"), headers=[("sent-hash", b"a" * 70_000)])
    yield from (Record(topic, b"{", headers=odd) for topic in _TOPICS)


def _empty(_: Sale, __: random.Random) -> Iterator[Record]:
    """On the change topic it says that a row was deleted, and is what compaction leaves."""
    yield Record(CHANGE_TOPIC, None, "skipped")
    yield from (Record(topic, None) for topic in _TOPICS[1:])
    yield from _everywhere(b"")


def _too_large(_: Sale, __: random.Random) -> Iterator[Record]:
    return _everywhere(b"x" * 1_020_000)


def _compressed(sale: Sale, _: random.Random) -> Iterator[Record]:
    codecs: tuple[Codec, ...] = ("gzip", "snappy", "lz4", "zstd")
    for codec in codecs:
        for topic in _TOPICS:
            yield Record(topic, b"[" * 200_000, codec=codec)
        yield Record(CHANGE_TOPIC, event(sale, database="other"), "foreign", codec=codec)


def _of_another_database(sale: Sale, _: random.Random) -> Iterator[Record]:
    other = "other"
    yield Record(CHANGE_TOPIC, event(sale, database=other), "foreign", [("traceparent", b"\xff\xfe")])
    yield Record("sale-retry", retry(sale, database=other), "foreign")
    yield Record("sale-status", decision(sale, "foreign", database=other), "foreign")
    yield Record("sale-status", decision(sale, "foreign", database=other, attempt=_FAR, **_FAILED), "foreign")


def _forged(sale: Sale, rng: random.Random) -> Iterator[Record]:
    """Of a sale that there is not, and of attempts at one that nobody claimed."""
    nobody = Sale(_NOBODY, "HD-NOBODY", sale.pharmacy_code, sale.shop_pharmacy_code, "")
    waits = {"status": "PENDING_SYNC", "national_invoice_id": None, "next_attempt_at": "2090-01-01T00:00:00Z"}
    for changes in ({}, _FAILED, waits):
        for whose, attempt in ((nobody, 1), (sale, _FAR), (sale, 2**31 - 1)):
            forged = decision(whose, f"forged-{rng.randrange(10**12)}", attempt=attempt, **changes)
            yield Record("sale-status", forged, "unclaimed")


MADE: Mapping[str, Callable[[Sale, random.Random], Iterator[Record]]] = {
    "records_no_text": _no_text,
    "records_deep": _deep,
    "records_of_huge_numbers": _huge_numbers,
    "records_of_odd_headers": _odd_headers,
    "records_empty": _empty,
    "records_too_large": _too_large,
    "records_compressed": _compressed,
    "records_of_another_database": _of_another_database,
    "decisions_forged": _forged,
}


@asynccontextmanager
async def _written(kind: str, world: World, drawn: Parameters) -> AsyncIterator[None]:
    rng = random.Random(drawn["seed"])
    try:
        async with asyncio.timeout(_WITHIN):
            sale = await _some_sale(world, rng)
            left = {
                f"junk-{kind}-{len(world.planted.records) + place}": record
                for place, record in enumerate(MADE[kind](sale, rng))
            }
            for key, record in left.items():
                world.planted.expects(key, record.topic)
                if record.becomes == "unclaimed":
                    world.planted.forged.add(json.loads(record.value or b"")["event_id"])
            while left:
                await _try(world, left)
    except TimeoutError:
        world.planted.missed[kind] = "the broker or the database was away"
    yield


async def _some_sale(world: World, rng: random.Random) -> Sale:
    """Any that is there: pending, or ended."""
    while True:
        with suppress(pyodbc.Error):
            rows = await asyncio.to_thread(_rows, world)
            if rows:
                return Sale(*rng.choice(rows))
        await asyncio.sleep(0.5)


def _rows(world: World) -> Sequence[Any]:
    point_of_sale = world.stack.database.connect()
    try:
        return point_of_sale.execute(
            "SELECT id, local_invoice_id, pharmacy_code, shop_pharmacy_code, status FROM SalesInvoices"
        ).fetchall()
    finally:
        point_of_sale.close()


async def _try(world: World, left: dict[str, Record]) -> None:
    """What the broker confirms leaves `left`; what is left is for another try."""
    for codec in sorted({record.codec for record in left.values()}, key=str):
        producer = AIOKafkaProducer(
            bootstrap_servers=world.stack.kafka.address,
            compression_type=codec,
            max_request_size=_MOST,
            request_timeout_ms=3000,
        )
        try:
            async with asyncio.timeout(15):
                await producer.start()
                for key, record in [each for each in left.items() if each[1].codec == codec]:
                    await producer.send_and_wait(
                        record.topic, record.value, key=key.encode(), headers=[*record.headers]
                    )
                    world.planted.confirmed(key, record.becomes)
                    del left[key]
        except (KafkaError, OSError, TimeoutError):
            await asyncio.sleep(0.5)
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(4):
                    await producer.stop()


DONE: Mapping[str, InForce] = {kind: partial(_written, kind) for kind in MADE}
