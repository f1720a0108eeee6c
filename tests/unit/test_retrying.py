"""Tests that the result of a first call counts as the first try of a retry loop."""

from __future__ import annotations

import pytest
from tenacity import AsyncRetrying, stop_after_attempt, wait_none

from streams.runtime.retrying import replayed


async def nine() -> int:
    return 9


async def test_a_replayed_call_first_returns_the_earlier_result() -> None:
    call = replayed(1, nine)
    assert [await call(), await call(), await call()] == [1, 9, 9]


async def test_a_replayed_call_first_raises_the_earlier_error() -> None:
    call = replayed(ValueError("first"), nine)
    with pytest.raises(ValueError, match="first"):
        await call()
    assert await call() == 9


async def test_a_replayed_call_counts_as_a_try() -> None:
    tries: list[int] = []

    async def fail() -> int:
        tries.append(len(tries))
        raise ValueError

    retrying = AsyncRetrying(stop=stop_after_attempt(3), wait=wait_none(), reraise=True)
    with pytest.raises(ValueError, match="first"):
        await AsyncRetrying(stop=stop_after_attempt(1), reraise=True)(replayed(ValueError("first"), fail))
    with pytest.raises(ValueError):  # noqa: PT011 - it has no words
        await retrying(replayed(ValueError("first"), fail))
    assert len(tries) == 2
