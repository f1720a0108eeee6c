"""Tests the rate limit of calls in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.national_api.rate_limit import BURST, RateLimits
from tests.unit.virtual_time import in_virtual_time, running_loop


class Calls:
    def __init__(self, rate: float, per_shop: float = 0, timeout: float = 1e9) -> None:
        self.loop = running_loop()
        self.limits = RateLimits(rate, per_shop, timeout, clock=self.loop.time)
        self.at: list[tuple[float, str]] = []

    async def attempt(self, shop: str, calls: int = 1, takes: float = 0.1) -> bool:
        if not await self.limits.acquire(shop):
            return False
        for _ in range(calls):
            self.limits.count(shop)
            self.at.append((self.loop.time(), shop))
            await asyncio.sleep(takes)
        return True

    def most_within(self, seconds: float, shop: str | None = None) -> int:
        at = [when for when, whose in self.at if shop in (None, whose)]
        return max(sum(1 for other in at if when <= other < when + seconds) for when in at)


@in_virtual_time
async def test_a_rate_of_zero_means_no_limit() -> None:
    calls = Calls(0)
    await asyncio.gather(*(calls.attempt("A") for _ in range(1000)))
    assert calls.loop.time() < 1


@in_virtual_time
async def test_all_shops_together_keep_to_the_rate_and_use_it_fully() -> None:
    calls = Calls(10)
    await asyncio.gather(*(calls.attempt(f"SHOP-{n % 7}", takes=0.3) for n in range(300)))
    assert 29 <= calls.loop.time() <= 32
    assert calls.most_within(1) <= 11


@in_virtual_time
async def test_every_call_of_an_attempt_counts_and_none_waits_within_it() -> None:
    calls = Calls(10)
    await asyncio.gather(*(calls.attempt("A", calls=4) for _ in range(100)))
    assert 38 <= calls.loop.time() <= 42, "400 calls at ten a second"
    first = calls.at[0][0]
    assert [at for at, _ in calls.at[:4]] != [first] * 4
    assert calls.most_within(10) <= 10 * 10 + 10 * BURST + 4


@in_virtual_time
async def test_a_shop_with_much_work_delays_no_other() -> None:
    calls = Calls(0, per_shop=1)
    many = [asyncio.create_task(calls.attempt("BIG")) for _ in range(60)]
    await asyncio.sleep(0)
    assert await calls.attempt("SMALL")
    assert calls.loop.time() < 1
    await asyncio.gather(*many)
    assert 59 <= calls.loop.time() <= 61
    assert calls.most_within(1, "BIG") <= 2


@in_virtual_time
async def test_an_attempt_that_is_not_admitted_within_the_timeout_uses_no_capacity() -> None:
    calls = Calls(0, per_shop=2, timeout=5)
    began = await asyncio.gather(*(calls.attempt("A") for _ in range(100)))
    assert 10 <= sum(began) <= 12, "as many as five seconds allow"
    assert calls.loop.time() <= 6


@in_virtual_time
async def test_a_cancelled_attempt_costs_the_others_nothing() -> None:
    calls = Calls(1)
    tasks = [asyncio.create_task(calls.attempt("A")) for _ in range(10)]
    await asyncio.sleep(0.5)
    for task in tasks[1:9]:
        task.cancel()
    assert await tasks[9]
    assert calls.loop.time() <= 2


@in_virtual_time
async def test_the_rate_limit_forgets_idle_shops() -> None:
    calls = Calls(0, per_shop=10)
    for n in range(1000):
        await calls.attempt(f"SHOP-{n}")
    assert len(calls.limits._shops) < 10


@pytest.mark.timeout(60)
@given(
    st.floats(0.5, 50),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 5), st.floats(0.01, 2)), min_size=1, max_size=60),
)
@in_virtual_time
async def test_the_rate_is_kept_over_any_ten_seconds(rate: float, plans: list[tuple[float, int, float]]) -> None:
    calls = Calls(rate)

    async def come(at: float, number: int, takes: float) -> None:
        await asyncio.sleep(at)
        assert await calls.attempt("A", number, takes)

    await asyncio.gather(*(come(*plan) for plan in plans))
    in_flight_at_once = 5 * (2 * rate + 10)  # what those that began may still call
    assert calls.most_within(10) <= 10 * rate + BURST * rate + in_flight_at_once
