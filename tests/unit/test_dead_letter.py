"""What becomes of a message that cannot be read, when the broker does not take it as it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError
from structlog.testing import capture_logs

from streams.dead_letter import LEFT_OUT, DeadLetters
from tests.unit.virtual_time import in_virtual_time

RECORD = SimpleNamespace(topic="sales", partition=3, offset=17, key=b"key", value=b"x" * 1000)


class Topic:
    def __init__(self, *errors: Exception, most: int = 10_000) -> None:
        self._errors = list(errors)
        self._most = most
        self.taken: list[tuple[bytes | None, bytes | None, Mapping[str, bytes]]] = []

    async def publish(self, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> None:
        if self._errors:
            raise self._errors.pop(0)
        if len(value or b"") > self._most:
            raise MessageSizeTooLargeError
        self.taken.append((key, value, headers))


@in_virtual_time
async def test_a_broker_that_is_away_is_waited_for_and_each_try_is_said() -> None:
    topic = Topic(KafkaConnectionError(), KafkaConnectionError())
    with capture_logs() as lines:
        await DeadLetters(topic.publish).put(RECORD, "not JSON", reader="sales")
    [(key, value, headers)] = topic.taken
    assert (key, value) == (RECORD.key, RECORD.value)
    assert LEFT_OUT not in headers
    assert [line["event"] for line in lines] == ["dead_letter.waiting"] * 2 + ["dead_letter"]


def faust_error() -> Exception:
    error = ProducerSendError("Error while sending")
    error.__cause__ = MessageSizeTooLargeError()
    return error


@pytest.mark.parametrize("error", [MessageSizeTooLargeError(), faust_error()], ids=["aiokafka", "Faust"])
@in_virtual_time
async def test_one_that_is_too_large_is_told_without_what_is_in_it(error: Exception) -> None:
    topic = Topic(error, most=100)
    await DeadLetters(topic.publish).put(RECORD, "not JSON", reader="sales")
    [(key, value, headers)] = topic.taken
    assert (key, value) == (None, b""), "aiokafka sends no message that has neither"
    assert headers[LEFT_OUT] == b"1003"
    assert (headers["topic"], headers["partition"], headers["offset"]) == (b"sales", b"3", b"17")
