"""Tests that the journal's service runs again after any error, and that a decision it cannot store becomes one dead
letter.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError
from structlog.testing import capture_logs

from streams.domain.sale_status import SaleStatus
from streams.kafka.dead_letters import DeadLetters
from streams.pipeline.journal_writer import JournalWriter
from streams.runtime.outages import OUTAGES
from streams.stores.decisions import DecisionWriter, Refusal
from streams.stores.journal import Journal
from streams.stores.sales_db import SalesDb, StoreError
from tests.contract.stores.databases import settings_for
from tests.contract.stores.point_of_sale import refused


@dataclass(frozen=True)
class Message:
    value: bytes | None
    offset: int
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
    topic: str = "sale-status"
    partition: int = 0


class InMemoryJournal(Journal):
    """Plays one client, which is useless once it is closed."""

    made: list[InMemoryJournal] = []  # noqa: RUF012 - of one test, which empties it

    def __init__(self, odd: Mapping[int, Exception]) -> None:
        self.odd = odd
        self.stored: list[int] = []
        self.payloads: dict[int, str | None] = {}
        self.is_closed = False
        self.made.append(self)

    async def open(self) -> None:
        assert not self.is_closed

    async def append(
        self, statuses: Sequence[SaleStatus], refusals: Mapping[tuple[str, int], Refusal]
    ) -> dict[str, str]:
        assert not self.is_closed
        for status in statuses:
            if status.id in self.odd:
                raise self.odd[status.id]
        self.stored += [status.id for status in statuses]
        self.payloads |= {id_: refusal.body for (_, id_), refusal in refusals.items()}
        return {status.event_id: "error 2" for status in statuses if status.id == 13}

    async def forget_old(self, older_than: Any) -> None:
        assert not self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Refusals(DecisionWriter):
    def __init__(self, odd: Mapping[int, Exception], *, answers: bool = True) -> None:
        super().__init__(SalesDb(settings_for()), {}, settings_for().zone)
        self._odd = odd
        self._answers = answers

    async def refusals(self, document_type: str, ids: Sequence[int]) -> dict[int, Refusal]:
        for id_ in ids:
            if id_ in self._odd:
                raise self._odd[id_]
        return {id_: Refusal(1, f"body {id_}", None) for id_ in ids}

    async def is_available(self) -> bool:
        return self._answers


_FIRST = TopicPartition("sale-status", 0)


class Consumer:
    """Gives its batches, or raises them."""

    def __init__(self, *batches: list[Message] | Exception) -> None:
        self.batches = deque(batches)
        self.committed = 0
        self.is_stopped = False
        self.is_empty = asyncio.Event()

    def assignment(self) -> set[TopicPartition]:
        return {_FIRST}

    async def getmany(self, *_: TopicPartition, **__: Any) -> dict[TopicPartition, list[Message]]:
        if not self.batches:
            self.is_empty.set()
            await asyncio.Event().wait()
        batch = self.batches.popleft()
        if isinstance(batch, Exception):
            raise batch
        return {_FIRST: batch}

    async def commit(self) -> None:
        self.committed += 1

    async def stop(self) -> None:
        self.is_stopped = True


class WriterWithoutKafka(JournalWriter):
    def __init__(
        self,
        *consumers: Consumer,
        odd: Mapping[int, Exception] | None = None,
        decisions: DecisionWriter | None = None,
        takes: Callable[[str], bool] = lambda _: True,
    ) -> None:
        InMemoryJournal.made.clear()
        self.dead_letters: list[tuple[str, str]] = []
        self._consumers = deque(consumers)

        async def publish(key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
            self.dead_letters.append((headers["offset"].decode(), headers["reason"].decode()))

        super().__init__(
            settings_for(),
            "sale-status",
            lambda: InMemoryJournal(odd or {}),
            decisions or Refusals({}),
            DeadLetters(publish),
            wrote=lambda *_: None,
            takes=takes,
        )

    async def _started_consumer(self) -> Any:
        return self._consumers.popleft()


def messages(*ids: int) -> list[Message]:
    return [Message(refused(id_, 1).status.model_dump_json().encode(), id_) for id_ in ids]


async def run_once(writer: WriterWithoutKafka, consumer: Consumer) -> None:
    running = asyncio.create_task(writer.run())
    async with asyncio.timeout(10):
        await consumer.is_empty.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_journal_runs_again_with_new_clients_after_its_consumer_was_refused() -> None:
    """Promise 4. Broken by: one GroupAuthorizationFailedError, and it runs on with the client that it closed itself."""
    first, second = Consumer(GroupAuthorizationFailedError("a-journal")), Consumer(messages(1))
    writer = WriterWithoutKafka(first, second)
    with capture_logs():
        with pytest.raises(GroupAuthorizationFailedError):
            await writer.run()
        [wait] = [wait for wait in OUTAGES.current() if wait.part == "journal"]
        assert "GroupAuthorizationFailedError" in wait.what
        assert "Kafka" in wait.action
        await run_once(writer, second)
    assert [(journal.stored, journal.is_closed) for journal in InMemoryJournal.made] == [([], True), ([1], True)]
    assert (first.is_stopped, second.is_stopped, second.committed) == (True, True, 1)
    assert not [wait for wait in OUTAGES.current() if wait.part == "journal"]


async def test_the_journal_turns_an_unreadable_message_into_a_dead_letter_and_stores_the_others() -> None:
    junk = Message(messages(1)[0].value, 7, (("sent-hash", b"\xff\xfe"),))
    consumer = Consumer([*messages(1, 2), junk, Message(b"\xff", 8), *messages(3)])
    writer = WriterWithoutKafka(consumer)
    with capture_logs():
        await run_once(writer, consumer)
    assert InMemoryJournal.made[0].stored == [1, 2, 3]
    assert [offset for offset, _ in writer.dead_letters] == ["7", "8"]
    assert consumer.committed == 1


@pytest.mark.parametrize(
    "error", [OverflowError("Nguyễn"), KeyError("Nguyễn"), UnicodeEncodeError("utf-8", "x", 0, 1, "")]
)
async def test_a_decision_that_cannot_be_stored_affects_no_other(error: Exception) -> None:
    """Promise 5. Broken by: one decision that cannot be kept stops the journal of all shops."""
    consumer = Consumer(messages(*range(1, 41)))
    writer = WriterWithoutKafka(consumer, odd={17: error})
    with capture_logs() as logs:
        await run_once(writer, consumer)
    assert sorted(InMemoryJournal.made[0].stored) == [i for i in range(1, 41) if i != 17]
    assert writer.dead_letters == [
        ("13", "the journal cannot store it: error 2"),
        ("17", f"the journal cannot store it: {type(error).__name__}"),
    ]
    assert "Nguyễn" not in str(logs)


async def test_h2_forty_unreadable_messages_become_forty_dead_letters_and_the_others_are_stored() -> None:
    value = refused(1, 1).status.model_dump(mode="json")
    beyond = [json.dumps(value | {name: 2**70}).encode() for name in ("id", "attempt")]
    reason = json.dumps(value | {"reason": value["reason"] | {"http_status": 2**70}}).encode()
    junk = [Message(text, offset) for offset, text in enumerate([*beyond, reason, b"\xff"] * 10, start=100)]
    consumer = Consumer([*junk[:20], *messages(1, 2), *junk[20:], *messages(3)])
    writer = WriterWithoutKafka(consumer)
    with capture_logs():
        await run_once(writer, consumer)
    assert InMemoryJournal.made[0].stored == [1, 2, 3]
    assert [offset for offset, _ in writer.dead_letters] == [str(each) for each in range(100, 140)]
    assert consumer.committed == 1


async def test_a_decision_about_another_database_is_not_stored() -> None:
    """Promise 7. Broken by: our journal has another company's decisions, under the codes of our own sales."""
    consumer = Consumer(messages(1, 2, 3))
    writer = WriterWithoutKafka(consumer, takes=lambda database: database == "another")
    await run_once(writer, consumer)
    assert (InMemoryJournal.made[0].stored, writer.dead_letters, consumer.committed) == ([], [], 1)


async def test_an_unreadable_refusal_leaves_only_its_decision_without_a_body() -> None:
    """Promise 5. Broken by: one refusal that cannot be read stops the journal of all shops."""
    consumer = Consumer(messages(*range(1, 11)))
    writer = WriterWithoutKafka(consumer, decisions=Refusals({3: StoreError("22000", None)}))
    with capture_logs():
        await run_once(writer, consumer)
    [journal] = InMemoryJournal.made
    assert sorted(journal.stored) == list(range(1, 11))
    assert sorted(journal.payloads) == [i for i in range(1, 11) if i != 3]
    assert writer.dead_letters == []


async def test_the_journal_waits_when_it_may_read_nothing_and_creates_no_dead_letter() -> None:
    consumer = Consumer(messages(*range(1, 11)))
    writer = WriterWithoutKafka(
        consumer, decisions=Refusals(dict.fromkeys(range(1, 11), StoreError("42501", None)), answers=False)
    )
    with capture_logs():
        running = asyncio.create_task(writer.run())
        async with asyncio.timeout(10):
            while not [wait for wait in OUTAGES.current() if "42501" in wait.what]:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert writer.dead_letters == []
    assert consumer.committed == 0
