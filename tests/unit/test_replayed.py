"""What was put back is remembered exactly, however it was chosen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operators import Trouble
from streams.operators.replayed import Done, read_ranges, write_ranges


@given(st.sets(st.integers(0, 10_000)))
def test_ranges_are_read_as_they_were_written(offsets: set[int]) -> None:
    assert read_ranges(write_ranges(offsets)) == offsets


def test_ranges_are_short() -> None:
    assert write_ranges([5, 6, 7, 9]) == "5-7,9"
    assert write_ranges([]) == ""


@given(st.lists(st.integers(0, 60), unique=True, min_size=1), st.data())
def test_what_is_committed_says_of_every_letter_whether_it_was_put_back(
    letters: list[int], data: st.DataObject
) -> None:
    present = sorted(letters)
    chosen = data.draw(st.sets(st.sampled_from(present)))
    done = Done(0, set(chosen))
    kept = done.commit(present, present[-1] + 1)
    again = Done(kept.offset, read_ranges(kept.metadata))
    assert {offset for offset in present if offset in again} == chosen


def test_more_than_the_broker_keeps_is_refused_with_a_remedy() -> None:
    scattered = set(range(1, 4000, 2))
    with pytest.raises(Trouble, match="without a filter"):
        Done(0, scattered).commit(range(4000), 4000)
