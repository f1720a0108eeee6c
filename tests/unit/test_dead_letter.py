"""Tests that a dead letter keeps its message byte for byte, or without the value where it is too large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from structlog.testing import capture_logs

from streams.kafka.dead_letters import DeadLetters
from streams.operators.commands.replay import Choice
from streams.operators.dead_letter import DeadLetter
from streams.runtime.outages import OUTAGES

MOST = 1_000_000


@dataclass(frozen=True)
class Message:
    value: bytes | None
    key: bytes | None = b"79-1/HD-1"
    topic: str = "pharmacy.chain.dbo.SalesInvoices"
    partition: int = 3
    offset: int = 77


class Broker:
    """Accepts what our producer may send, which is less than brokers accept."""

    def __init__(self, *, away: int = 0) -> None:
        self.away = away
        self.took: list[tuple[bytes | None, bytes | None, dict[str, str]]] = []
        self.waited: list[str] = []

    async def publish(self, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
        if self.away:
            self.away -= 1
            self.waited = [wait.what for wait in OUTAGES.current()]
            raise KafkaError("Nguyễn")
        size = len(key or b"") + len(value or b"") + sum(len(name) + len(text) for name, text in headers.items())
        if size > MOST:
            raise MessageSizeTooLargeError(f"{size} bytes")
        self.took.append((key, value, {name: text.decode() for name, text in headers.items()}))


async def bury(message: Message, broker: Broker, why: str = "no JSON") -> dict[str, str]:
    letters = DeadLetters(broker.publish)
    await letters.put(message, why, reader=message.topic)
    assert letters.put_by_reader == {message.topic: 1}
    [(_, _, headers)] = broker.took
    return headers


async def test_a_dead_letter_keeps_key_and_value_byte_for_byte() -> None:
    broker = Broker()
    headers = await bury(Message(b"\xff"), broker)
    assert broker.took[0][:2] == (b"79-1/HD-1", b"\xff")
    assert (headers["partition"], headers["offset"], headers["reason"]) == ("3", "77", "no JSON")
    assert "left-out" not in headers


@pytest.mark.parametrize("size", [999_900, 1_020_000, 1_048_500])
async def test_a_message_that_is_too_large_becomes_a_dead_letter_without_its_value(size: int) -> None:
    """Promise 5. Broken by: a message that our producer cannot send is tried forever without a log line, and its
    partition stalls."""
    broker = Broker()
    with capture_logs() as logs:
        headers = await bury(Message(b"x" * size), broker)
    assert broker.took[0][:2] == (b"79-1/HD-1", None)
    assert (headers["topic"], headers["partition"], headers["offset"]) == (
        "pharmacy.chain.dbo.SalesInvoices",
        "3",
        "77",
    )
    assert (headers["left-out"], headers["size"], headers["reason"]) == ("value", str(size + 9), "no JSON")
    [said] = [line for line in logs if line["event"] == "dead_letter"]
    assert (said["left_out"], said["offset"]) == ("value", 77)


async def test_a_dead_letter_leaves_out_a_key_that_is_too_large() -> None:
    """Promise 5. Broken by: a key that is too large keeps its message from being buried."""
    broker = Broker()
    headers = await bury(Message(b"x", key=b"k" * 1_020_000), broker)
    assert broker.took[0][:2] == (None, b""), "a message that has neither would not be sent"
    assert headers["left-out"] == "key, value"


async def test_the_reason_of_a_dead_letter_is_shortened() -> None:
    """Promise 5. Broken by: a reason that is too large keeps its message from being buried."""
    broker = Broker()
    headers = await bury(Message(b"x"), broker, "after.id: " * 200_000)
    assert broker.took[0][1] == b"x"
    assert len(headers["reason"]) == 2_000


async def test_every_retry_of_a_dead_letter_is_logged() -> None:
    """Promise 1. Broken by: a dead letter is tried again in silence."""
    broker = Broker(away=2)
    with capture_logs() as logs:
        await bury(Message(b"x"), broker)
    assert [line["error"] for line in logs if line["event"] == "dead_letter.waiting"] == ["KafkaError"] * 2
    assert "Nguyễn" not in str(logs)
    assert "sale-dead-letter is not confirmed: KafkaError" in broker.waited
    assert not [wait for wait in OUTAGES.current() if "dead-letter" in wait.what]


def test_a_dead_letter_without_its_value_is_never_replayed_but_may_be_dismissed() -> None:
    """Promise 2. Broken by: a letter without its value goes back as a tombstone, which says that the row is gone."""
    place = TopicPartition("sale-dead-letter", 0)
    whole = DeadLetter(
        place, 1, None, b"x", "sale-retry", ("sale-retry", 0, 1), "sale-retry", "no JSON", "", is_complete=True
    )
    assert Choice(None, None, None, None).includes(whole)
    assert not Choice(None, None, None, None).includes(replace(whole, value=None, is_complete=False))
    assert Choice(None, None, None, None, dismiss=True).includes(replace(whole, value=None, is_complete=False))
