"""Attacks with odd values and headers on every topic, read by a worker's own agents, journal and commands.

Each is read rightly or becomes a dead letter without its value; none stops those after it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from prometheus_client import generate_latest

from streams.documents import DOCUMENT_TYPES
from streams.domain.change_event import YEAR_10000_MS, Edited, SendRequest, Skip, captured_at_ms, read_change_event
from streams.domain.retry_message import read_retry
from streams.domain.sale_status import SaleStatus
from streams.domain.status_message import StatusMessage, read_status
from streams.domain.undecodable import Undecodable
from streams.kafka.in_order_window import InOrderWindow
from streams.kafka.producer import Producers
from streams.operators.dead_letter import read_dead_letter
from streams.pipeline.journal_writer import JournalWriter
from streams.stores.decisions import DecisionWriter, Refusal
from streams.stores.journal import Journal
from streams.stores.sales_db import SalesDb
from streams.worker import Worker
from tests.harness.attack.arena import Arena, Lines, Suite, listening, secretive
from tests.harness.attack.odd_values import CANARY, OddMessage, odd_message

_CODES = {"salesinvoices": ("sale", "local_invoice_id")}
_AT_ONCE = 500
_SOON = 30.0
_INT = 2**31
_BIGINT = 2**63


@dataclass(frozen=True)
class Record:
    """A record in the form of Kafka's clients."""

    topic: str
    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = b"key"
    partition: int = 0


class Published(Producers):
    """Keeps what is published instead of sending it."""

    def __init__(self) -> None:
        self.letters: dict[tuple[str, int], Mapping[str, bytes]] = {}
        """By topic and offset of what they were made of."""

    async def dead_letter(self, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
        self.letters[headers["reader"].decode(), int(headers["offset"])] = headers


class Takes:
    """Stands in for the sender and the write-back: both get only what could be read."""

    async def send(self, request: SendRequest, *, overdue: bool) -> None: ...

    async def write(self, published: StatusMessage) -> None: ...


class KeepsNothing(Journal):
    def __init__(self) -> None: ...

    async def append(
        self, statuses: Sequence[SaleStatus], refusals: Mapping[tuple[str, int], Refusal]
    ) -> dict[str, str]:
        return {}


class NoRefusals(DecisionWriter):
    async def refusals(self, document_type: str, ids: Sequence[int]) -> dict[int, Refusal]:
        return {}


class Taking:
    """A worker that is open, on topics of its own."""

    def __init__(self) -> None:
        settings = secretive()
        self.published = Published()
        self.worker = Worker(settings, DOCUMENT_TYPES, self.published)
        takes = Takes()
        self.worker.intake.open({document_type.name: cast(Any, takes) for document_type in DOCUMENT_TYPES}, takes.write)
        ends = NoRefusals(SalesDb(settings), {}, settings.zone)
        self.keeper = JournalWriter(
            settings, "sale-status", KeepsNothing, ends, self.worker.dead_letters, wrote=lambda *_: None
        )
        self.acknowledged: set[tuple[str, int]] = set()
        self._all = asyncio.Event()
        self._expected = 0

    async def take(self, records: Sequence[Record]) -> dict[int, str]:
        """Return once each record is acknowledged, with what an agent raised at which offset. Raises
        `TimeoutError`.
        """
        raised: dict[int, str] = {}
        agents = {
            "change": self.worker.intake.take_change,
            "sale-retry": self.worker.intake.take_retry,
            "sale-status": self.worker.intake.take_status,
        }
        self._all.clear()
        self._expected = len(self.acknowledged) + len(records)
        async with asyncio.timeout(_SOON):
            for record in records:
                try:
                    await agents[record.topic](self._event(record))
                except Exception as error:
                    raised[record.offset] = f"the agent raises {type(error).__name__}"
            if not raised:
                await self._all.wait()
                await self.keeper.write(KeepsNothing(), [record for record in records if record.topic == "sale-status"])
        return raised

    def _event(self, record: Record) -> Any:
        def ack(*_: Any, **__: Any) -> bool:
            self.acknowledged.add((record.topic, record.offset))
            if len(self.acknowledged) == self._expected:
                self._all.set()
            return True

        place = TopicPartition(record.topic, record.partition)
        message = SimpleNamespace(
            **vars(record) | {"tp": place, "timestamp": 1.0, "generation_id": 1, "ack": ack},
        )
        app = SimpleNamespace(
            rebalancing=False,
            flow_control=SimpleNamespace(is_active=lambda: True),
            consumer_generation_id=1,
            consumer=None,
        )
        return SimpleNamespace(message=message, headers=dict(record.headers), app=app)

    async def close(self) -> None:
        windows: list[InOrderWindow] = [self.worker.intake.sending, self.worker.intake.writing]
        for window in windows:
            await window.drain(5)


async def run(arena: Arena) -> None:
    with listening(arena.seen) as lines:
        taking = Taking()
        for start in range(0, arena.count, _AT_ONCE):
            await _take_some(arena, taking, lines, arena.numbers[start : start + _AT_ONCE])
        await taking.close()
        arena.seen.look("metrics", generate_latest(taking.worker.metrics.registry).decode())


async def _take_some(arena: Arena, taking: Taking, lines: Lines, numbers: range) -> None:
    messages = {number: odd_message(arena.random(number)) for number in numbers}
    problems: dict[int, str | None] = {}
    unread: set[int] = set()
    records = []
    for number, odd in messages.items():
        problems[number], is_read = _judged(odd)
        if not is_read:
            unread.add(number)
        if odd.topic != "sale-dead-letter":
            records.append(Record(odd.topic, number, odd.value, odd.headers))
    try:
        problems |= await taking.take(records)
    except TimeoutError:
        done = {offset for _, offset in taking.acknowledged}
        stuck = [record.offset for record in records if record.offset not in done]
        problems |= dict.fromkeys(stuck or [numbers[0]], "it, or one before it, stops those behind it")
    said = lines.take()
    for number, odd in messages.items():
        letter = taking.published.letters.get((odd.topic, number))
        if number in unread and letter is None and odd.topic != "sale-dead-letter":
            problems[number] = problems[number] or "cannot be read, and is no dead letter"
        if letter is not None and CANARY in letter["reason"].decode():
            problems[number] = problems[number] or "the dead letter's reason has a part of the value"
    leaking = next((line for line in said if CANARY in line), None)
    if leaking is not None:
        problems[numbers[0]] = problems[numbers[0]] or f"a part of a value in a log line {leaking[:300]}"
    for number, problem in problems.items():
        arena.judge(number, problem, (messages[number].topic, messages[number].value, messages[number].headers))
    for letter in taking.published.letters.values():
        arena.seen.look("dead letter", str(letter))
    taking.published.letters.clear()


def _judged(odd: OddMessage) -> tuple[str | None, bool]:
    """Return what is wrong with how it is read, and whether it is read at all."""
    readers: dict[str, Callable[[], str | None]] = {
        "change": lambda: _wrong_change(odd.value),
        "sale-retry": lambda: _wrong_retry(odd.value),
        "sale-status": lambda: _wrong_status(odd.value, dict(odd.headers)),
        "sale-dead-letter": lambda: _wrong_letter(odd),
    }
    try:
        return readers[odd.topic](), True
    except Undecodable as problem:
        return ("the problem has a part of the value" if CANARY in str(problem) else None), False
    except Exception as error:
        return f"the reader raises {type(error).__name__}", True


def _wrong_change(value: bytes | None) -> str | None:
    captured_at_ms(value)
    read = read_change_event(value, _CODES)
    if isinstance(read, (Skip, Edited)):
        return None
    document = json.loads(value or b"")
    after = (document["payload"] if "payload" in document and "schema" in document else document)["after"]
    right = (after["id"], after["local_invoice_id"], after["pharmacy_code"], after["shop_pharmacy_code"])
    if (read.id, read.document_code, read.pharmacy_code, read.shop) != right:
        return "it is read as another sale"
    if not (0 <= read.captured_at_ms < YEAR_10000_MS and -(2**63) <= read.id < 2**63 and type(after["id"]) is int):
        return "what is read lies beyond its bounds"
    return None


def _wrong_retry(value: bytes | None) -> str | None:
    read, said = read_retry(value), json.loads(value or b"")
    right = (said["local_invoice_id"], said["pharmacy_code"], said["shop_pharmacy_code"], said["document"])
    if (read.document_code, read.pharmacy_code, read.shop, read.document_type) != right or not _same(
        read.id, said["id"]
    ):
        return "it is read as another sale"
    attempt = read.attempt
    if not (-_BIGINT <= read.id < _BIGINT and attempt is not None and 0 <= attempt < _INT - 1):
        return "what is read lies beyond its bounds"
    return None


def _wrong_status(value: bytes | None, headers: Mapping[str, bytes]) -> str | None:
    published, said = read_status(value, headers), json.loads(value or b"")
    status = published.status
    if (status.status, status.local_invoice_id) != (said["status"], said["local_invoice_id"]):
        return "it is read as another decision"
    if not (_same(status.id, said["id"]) and -_BIGINT <= status.id < _BIGINT and 1 <= status.attempt < _INT):
        return "what is read lies beyond its bounds"
    texts = (status.local_invoice_id, status.pharmacy_code, status.shop_pharmacy_code)
    if max(map(len, texts)) > 50 or len(status.national_invoice_id or "") > 100:
        return "a text is longer than its column"
    if published.version and (
        published.version.body.encode() != headers["sent-hash"] or len(published.version.body) > 64
    ):
        return "a header is read as another"
    return None


def _wrong_letter(odd: OddMessage) -> str | None:
    record = Record("sale-dead-letter", 1, odd.value, odd.headers)
    letter = read_dead_letter(cast(Any, record))
    if letter.source is not None and not (0 <= letter.source[1] < 10**18 and 0 <= letter.source[2] < 10**18):
        return "it names a place that there cannot be"
    said = " ".join(text.decode("utf-8", "replace") for _, text in odd.headers)
    return "it shows its value" if CANARY in repr(letter) and CANARY not in said else None


def _same(read: int, said: Any) -> bool:
    """Compare the values, where a number may be a text."""
    return read == (int(said) if isinstance(said, str) else said)


SUITE = Suite("topic values", "agents, journal and readers, by odd values and headers on each topic", 87_628, run, 0.03)


def draw(seed: int, number: int) -> OddMessage:
    """Return the message of an attempt, to examine it again."""
    return odd_message(Random(f"{seed}/{SUITE.name}/{number}"))
