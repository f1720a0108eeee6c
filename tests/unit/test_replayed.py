"""Tests that replayed dead letters are remembered exactly, and that only one that equals its original is replayed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.operators import Problem
from streams.operators.commands.replay import ReplayOptions, Tally, _verified
from streams.operators.dead_letter import DeadLetter
from streams.operators.replay_ledger import ReplayedOffsets, read_ranges, write_ranges


@given(st.sets(st.integers(0, 10_000)))
def test_ranges_of_offsets_survive_writing_and_reading(offsets: set[int]) -> None:
    assert read_ranges(write_ranges(offsets)) == offsets


def test_ranges_of_offsets_are_written_briefly() -> None:
    assert write_ranges([5, 6, 7, 9]) == "5-7,9"
    assert write_ranges([]) == ""


@given(st.lists(st.integers(0, 60), unique=True, min_size=1), st.data())
def test_the_commit_records_of_every_dead_letter_whether_it_was_replayed(
    letters: list[int], data: st.DataObject
) -> None:
    present = sorted(letters)
    chosen = data.draw(st.sets(st.sampled_from(present)))
    done = ReplayedOffsets(0, set(chosen))
    kept = done.to_commit(present, present[-1] + 1)
    again = ReplayedOffsets(kept.offset, read_ranges(kept.metadata))
    assert {offset for offset in present if offset in again} == chosen


def test_a_commit_that_the_broker_cannot_store_is_refused_with_an_action() -> None:
    scattered = set(range(1, 4000, 2))
    with pytest.raises(Problem, match="without a filter"):
        ReplayedOffsets(0, scattered).to_commit(range(4000), 4000)


def letter(offset: int, value: bytes = b"value", key: bytes = b"key") -> DeadLetter:
    """Make a dead letter that claims to be the record at `offset`."""
    place = ("sale-retry", 0, offset)
    said = [("attempt", b"forged")]
    return DeadLetter(TopicPartition("sale-dead-letter", 0), 0, key, value, place[0], place, "", "", "", headers=said)


async def test_a_dead_letter_that_differs_from_its_original_is_not_replayed() -> None:
    """Promise 2. Broken by: a forged dead letter is put into any of our topics, with the operator's rights.
    Promise 2. Broken by: a dead letter is put back with the headers that it says of itself.
    Promise 2. Broken by: a dead letter whose message is gone is put back unasked.
    """
    true = [("attempt", b"true")]

    class There:
        async def read(self, places: Any) -> dict[Any, Any]:
            return {
                place: SimpleNamespace(key=b"key", value=b"value", headers=true) for place in places if place[2] < 9
            }

    letters = [letter(1), letter(2, value=b"forged"), letter(3, key=b"another"), letter(9)]
    for without_original, gone in ((False, 1), (True, 0)):
        tally = Tally()
        how = ReplayOptions(yes=True, dismiss=False, without_original=without_original)
        proven = await _verified(There(), letters, how, tally)  # type: ignore[arg-type]
        assert [each.source for each in proven if each.source] == [("sale-retry", 0, n) for n in (1, 9)[: 2 - gone]]
        assert proven[0].headers == true
        assert (tally.different, tally.gone) == (2, gone)
